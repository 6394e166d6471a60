"""The store of a single worker: its promises, its bound, its clock."""

from array import array
from collections.abc import Iterable

import pytest

from hevfast.cache.memory import MemoryStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.space import Documents, Space
from hevfast.cache.store import Lease, Part, Ticket, Touched
from hevfast.cache.transactional import Document

pytestmark = pytest.mark.anyio

NS = b"books"
LAPSE_MS, DOUBT_MS, LEASE_MS = 1000, 100, 50


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


class Clock:
    now_ms = 0

    def __call__(self) -> float:
        return self.now_ms / 1000


def digest_of(text: bytes) -> bytes:
    """Give ids of one first letter one digest."""
    return text[:1].rjust(4, b"\0")


def merge(base: bytes, patch: bytes) -> bytes | None:
    return base + patch


@pytest.fixture
def clock() -> Clock:
    return Clock()


def store_of(clock: Clock, bytes_max: int = 1_000_000) -> MemoryStore:
    return MemoryStore(
        bytes_max,
        lapse_s=LAPSE_MS / 1000,
        doubt_s=DOUBT_MS / 1000,
        lease_s=LEASE_MS / 1000,
        digest_of=digest_of,
        now_s=clock,
        merge=merge,
    )


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return store_of(clock)


def touched(*ids: bytes, namespace: bytes = NS) -> Touched:
    digests = {int.from_bytes(digest_of(text), "big") for text in ids}
    return Touched(namespace, array("I", sorted(digests)).tobytes())


EVERYTHING = Touched(NS, None)


def part(kind: Kind, **rows: bytes | None) -> Part:
    named = [(text.encode(), row) for text, row in rows.items()]
    return kind, [(digest_of(text), text, row) for text, row in named]


def upsert(**rows: bytes | None) -> list[Part]:
    return [part(Kind.UPSERT, **rows)]


async def write(store: MemoryStore, parts: list[Part], *ids: bytes, namespace: bytes = NS) -> None:
    ticket = await store.begin(touched(*ids, namespace=namespace))
    await store.end(ticket, Outcome.APPLIED, parts)


async def cached(store: MemoryStore, text: bytes, namespace: bytes = NS) -> bytes | None:
    found = await store.read(namespace, [text])
    return found.rows[0]


async def leased(store: MemoryStore, text: bytes) -> Lease:
    (lease,) = (await store.read(NS, [text])).leases
    assert lease is not None
    return lease


async def test_an_upsert_is_a_hit_after_its_end_and_not_before(store: MemoryStore) -> None:
    ticket = await store.begin(touched(b"a"))
    assert await cached(store, b"a") is None
    await store.end(ticket, Outcome.APPLIED, upsert(a=b"row"))
    assert await cached(store, b"a") == b"row"
    assert await cached(store, b"a", namespace=b"films") is None


async def test_a_hit_needs_no_waiting_and_leases_nothing(store: MemoryStore, clock: Clock) -> None:
    assert store.hit(NS, b"a") is None
    ticket = await store.begin(touched(b"a"))
    await store.end(ticket, Outcome.APPLIED, upsert(a=b"row"))
    assert store.hit(NS, b"a") == b"row"
    assert store.hit(NS, b"a2") is None
    await store.begin(touched(b"a"))
    clock.now_ms += LAPSE_MS + 1
    assert store.hit(NS, b"a") is None


async def test_patches_merge_deletes_remove_and_rows_too_large_are_removed(
    store: MemoryStore,
) -> None:
    await write(store, upsert(a=b"1", b=b"1", c=b"1"), b"a", b"b", b"c")
    parts = [part(Kind.PATCH, a=b"+", d=b"+"), part(Kind.DELETE, b=None)]
    await write(store, [*parts, *upsert(c=None)], b"a", b"b", b"c", b"d")
    found = await store.read(NS, [b"a", b"b", b"c", b"d"])
    assert found.rows == [b"1+", None, None, None]


async def test_a_rejected_write_changes_nothing(store: MemoryStore) -> None:
    await write(store, upsert(a=b"old"), b"a")
    ticket = await store.begin(touched(b"a"))
    await store.end(ticket, Outcome.REJECTED, upsert(a=b"new"))
    assert await cached(store, b"a") == b"old"


@pytest.mark.parametrize("first", [0, 1])
async def test_writes_that_overlap_leave_nothing(store: MemoryStore, first: int) -> None:
    tickets = [await store.begin(touched(b"a", b"b")), await store.begin(touched(b"b", b"c"))]
    rows = [upsert(a=b"1", b=b"1"), upsert(b=b"2", c=b"2")]
    for index in (first, 1 - first):
        await store.end(tickets[index], Outcome.APPLIED, rows[index])
    assert (await store.read(NS, [b"a", b"b", b"c"])).rows == [b"1", None, b"2"]


async def test_a_fetch_fills_once_and_not_over_a_write(store: MemoryStore) -> None:
    lease = await leased(store, b"a")
    await store.fill(lease, b"row")
    assert await cached(store, b"a") == b"row"
    await store.fill(lease, b"late")
    assert await cached(store, b"a") == b"row"

    lease = await leased(store, b"b")
    await write(store, [part(Kind.DELETE, b=None)], b"b")
    await store.fill(lease, b"old")
    assert await cached(store, b"b") is None


async def test_of_two_fetches_one_fills(store: MemoryStore, clock: Clock) -> None:
    first = await leased(store, b"a")
    assert (await store.read(NS, [b"a"])).leases == [None]
    clock.now_ms += LEASE_MS
    second = await leased(store, b"a")
    await store.fill(first, b"first")
    assert await cached(store, b"a") is None
    await store.fill(second, b"second")
    assert await cached(store, b"a") == b"second"


async def test_ids_of_one_digest_take_turns(store: MemoryStore) -> None:
    await write(store, upsert(a1=b"one"), b"a1")
    await store.fill(await leased(store, b"a2"), b"two")
    assert await cached(store, b"a1") is None
    # That read has leased the place for the first one again.
    assert await cached(store, b"a2") is None


async def test_a_write_of_everything_voids_its_namespace(store: MemoryStore) -> None:
    await write(store, upsert(a=b"row"), b"a")
    await write(store, upsert(a=b"row"), b"a", namespace=b"films")
    lease = await leased(store, b"b")
    ticket = await store.begin(EVERYTHING)
    during = await store.begin(touched(b"c"))
    assert await cached(store, b"a") == b"row"
    await store.end(ticket, Outcome.APPLIED, ())
    await store.end(during, Outcome.APPLIED, upsert(c=b"row"))
    await store.fill(lease, b"old")
    assert (await store.read(NS, [b"a", b"b", b"c"])).rows == [None] * 3
    assert await cached(store, b"a", namespace=b"films") == b"row"


@pytest.mark.parametrize("where", [touched(b"a"), EVERYTHING])
async def test_a_write_in_doubt_is_cleared_at_once_and_after_the_lapse(
    store: MemoryStore, clock: Clock, where: Touched
) -> None:
    await write(store, upsert(a=b"old"), b"a")
    ticket = await store.begin(where)
    await store.end(ticket, Outcome.UNKNOWN, upsert(a=b"new"))
    await store.fill(await leased(store, b"a"), b"old")
    clock.now_ms += DOUBT_MS - 1
    assert await cached(store, b"a") == b"old"
    await write(store, upsert(a=b"other"), b"a")
    assert await cached(store, b"a") is None
    clock.now_ms += 1
    assert await cached(store, b"a") is None
    await write(store, upsert(a=b"new"), b"a")
    assert await cached(store, b"a") == b"new"


async def test_a_write_that_is_forgotten_is_swept(store: MemoryStore, clock: Clock) -> None:
    await write(store, upsert(a=b"old"), b"a")
    ticket = await store.begin(touched(b"a"))
    clock.now_ms += LAPSE_MS
    assert await cached(store, b"a") == b"old"
    clock.now_ms += 1
    assert await cached(store, b"a") is None
    # It comes to its end after all, and its row is not kept.
    await store.end(ticket, Outcome.APPLIED, upsert(a=b"new"))
    assert await cached(store, b"a") is None


async def test_a_swept_write_of_everything_still_voids(store: MemoryStore, clock: Clock) -> None:
    ticket = await store.begin(EVERYTHING)
    clock.now_ms += LAPSE_MS + 1
    await write(store, upsert(a=b"old"), b"a")
    await store.end(ticket, Outcome.APPLIED, ())
    assert await cached(store, b"a") is None


async def test_a_swept_write_without_parts_still_invalidates(
    store: MemoryStore, clock: Clock
) -> None:
    ticket = await store.begin(touched(b"a"))
    clock.now_ms += LAPSE_MS + 1
    await write(store, upsert(a=b"old"), b"a")
    await store.end(ticket, Outcome.APPLIED, ())
    assert await cached(store, b"a") is None


async def test_others_get_their_turn_between_parts(store: MemoryStore) -> None:
    seen: list[bytes | None] = []

    def parts() -> Iterable[Part]:
        yield part(Kind.UPSERT, a=b"1")
        seen.append(b"turn")
        yield part(Kind.UPSERT, b=b"1")

    ticket = await store.begin(touched(b"a", b"b"))
    end = store.end(ticket, Outcome.APPLIED, parts())
    end.send(None)
    assert await cached(store, b"a") == b"1"
    ending = await store.begin(touched(b"b"))
    with pytest.raises(StopIteration):
        end.send(None)
    assert await cached(store, b"b") is None
    await store.end(ending, Outcome.REJECTED, ())
    assert seen == [b"turn"]


async def test_nothing_is_kept_of_writes_that_have_ended(store: MemoryStore, clock: Clock) -> None:
    many = tuple(bytes([65 + index]) for index in range(40))
    for where in (touched(b"a"), touched(*many), EVERYTHING):
        for outcome in Outcome:
            await store.end(await store.begin(where), outcome, ())
    clock.now_ms += DOUBT_MS
    await store.read(NS, [])
    assert not store._spaces
    assert not store._begun
    assert not store._doubtful
    assert repr(store) == "<MemoryStore <Documents 0, 0 of 1000000 bytes>, 0 writes in flight>"


async def test_the_least_recently_used_rows_go_first(clock: Clock) -> None:
    store = store_of(clock, bytes_max=3 * 402)
    for text in (b"a", b"b", b"c"):
        await write(store, upsert(**{text.decode(): b"1"}), text)
    assert await cached(store, b"a") == b"1"
    await write(store, upsert(d=b"1"), b"d")
    assert [text for text in (b"a", b"c", b"d") if await cached(store, text)] == [b"a", b"c", b"d"]
    assert await cached(store, b"b") is None


async def test_a_row_larger_than_all_room_is_not_kept(clock: Clock) -> None:
    store = store_of(clock, bytes_max=1000)
    await write(store, upsert(a=b"1"), b"a")
    await write(store, upsert(b=bytes(1000)), b"b")
    assert await cached(store, b"a") == b"1"


async def test_opening_and_closing_is_all_that_is_needed(store: MemoryStore) -> None:
    await store.open()
    await store.close()


async def test_many_cleared_namespaces_cost_one_clearing_of_all(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hevfast.cache.memory._FENCES_MAX", 2)
    await write(store, upsert(a=b"1"), b"a", namespace=b"films")
    for index in range(2):
        ticket = await store.begin(Touched(b"%d" % index, None))
        await store.end(ticket, Outcome.APPLIED, ())
    assert await cached(store, b"a", namespace=b"films") == b"1"
    await store.end(await store.begin(EVERYTHING), Outcome.APPLIED, ())
    assert await cached(store, b"a", namespace=b"films") is None
    await write(store, upsert(a=b"2"), b"a", namespace=b"films")
    assert await cached(store, b"a", namespace=b"films") == b"2"


def test_documents_count_their_bytes() -> None:
    documents = Documents(10_000)
    documents.put((NS, 1), Document(b"id", 0, b"row"))
    documents.put((NS, 1), Document(b"id", 0, b"longer row"))
    assert (len(documents), documents.bytes) == (1, 412)
    documents.remove((NS, 1))
    documents.remove((NS, 1))
    assert (len(documents), documents.bytes) == (0, 0)


@pytest.mark.parametrize("few", [1, 16, 17, 100])
@pytest.mark.parametrize("many", [1, 16, 17, 100])
def test_tokens_of_any_size_find_each_other(few: int, many: int) -> None:
    space = Space(NS, Documents(0), lambda: None)
    mine = frozenset(range(few))
    space.insert(b"other", frozenset(range(few - 1, few - 1 + many)), frozenset())
    space.insert(b"stranger", frozenset(range(1000, 1000 + many)), frozenset())
    space.insert(b"everybody", None, frozenset())
    found = dict(space.sharing(mine))
    assert found == {b"other": {few - 1}, b"everybody": mine}
    for token in (b"other", b"stranger", b"everybody", b"nobody"):
        space.drop(token)
    assert not space
    assert not dict(space.sharing(None))
    assert not space._few


def test_a_ticket_says_what_its_rows_carry(store: MemoryStore) -> None:
    assert Ticket(EVERYTHING, b"token").may_merge is False
