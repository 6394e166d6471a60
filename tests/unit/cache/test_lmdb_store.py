"""The LMDB store's promises, one worker and several, one step at a time."""

import random
from array import array

import lmdb
import pytest

from hevfast.batch.mirror import digest_of
from hevfast.cache import transactional as rules
from hevfast.cache.lmdb_file import View
from hevfast.cache.lmdb_step import Step, namespace_key, tokens_begun
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Part, Ticket
from tests.unit.cache.writes import (
    EVERYTHING,
    NS,
    begin,
    fetch,
    hit,
    part,
    patch,
    touched,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio


async def test_no_write_leaves_its_token_behind(store: LmdbStore) -> None:
    for outcome in (Outcome.APPLIED, Outcome.REJECTED):
        for ids in ((), (b"a",), tuple(b"r%d" % n for n in range(40))):
            rows: dict[bytes, bytes | None] = dict.fromkeys(ids, b"{}")
            parts = [part(Kind.UPSERT, rows)] if rows else []
            await store.end(await begin(store, *ids), outcome, parts)
        await store.end(await store.begin(EVERYTHING), outcome, [])
    assert await store._do(tokens_begun) == {}


async def test_unregistered_write_invalidates_and_spoils(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 0}))
    beside = await begin(store, b"a")
    await store.end(Ticket(touched(b"a"), None), Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(store, b"a") is None
    await store.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None


async def test_store_that_cannot_invalidate_voids_everything(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    in_flight = await begin(store, b"b")
    writer, store._writer = store._writer, _Refusing()  # type: ignore[assignment]
    await store.end(Ticket(touched(b"a"), None), Outcome.APPLIED, upsert(a={"n": 1}))
    store._writer = writer
    assert await hit(store, b"a") is None
    # A write that began before the store was voided cannot be told from the one that voided it.
    await store.end(in_flight, Outcome.APPLIED, upsert(b={"n": 1}))
    assert await hit(store, b"b") is None
    await write(store, upsert(a={"n": 2}))
    assert await hit(store, b"a") == {"n": 2}


class _Refusing:
    def submit(self, _: object, __: float) -> None:
        raise lmdb.MapFullError


async def test_parts_are_iterated_lazily(store: LmdbStore) -> None:
    begun = 0

    class Parts:
        def __iter__(self) -> "Parts":
            return self

        def __next__(self) -> Part:
            nonlocal begun
            if begun == 3:
                raise StopIteration
            begun += 1
            return part(Kind.UPSERT, {b"r%d" % begun: b"{}"})

    ticket = await begin(store, b"r1", b"r2", b"r3")
    await store.end(ticket, Outcome.APPLIED, Parts())
    assert await hit(store, b"r3") == {}


async def test_write_that_cannot_be_announced_keeps_patches_from_merging(store: LmdbStore) -> None:
    """Upstream may apply it between another's patch and that one's end, unseen by both."""
    await write(store, upsert(a={"n": 0, "m": 0}))
    writer, store._writer = store._writer, _Refusing()  # type: ignore[assignment]
    unannounced = await store.begin(touched(b"a"))
    store._writer = writer
    assert unannounced.token is None
    await fetch(store, b"a", {"n": 0, "m": 0})
    await write(store, patch(a={"m": 1}))
    assert await hit(store, b"a") is None
    await store.end(unannounced, Outcome.APPLIED, upsert(a={"n": 2}))
    store._lapse_ms = -1
    await store._do_quietly(store._sweep)
    await write(store, upsert(a={"n": 3}))
    await write(store, patch(a={"m": 4}))
    assert await hit(store, b"a") == {"n": 3, "m": 4}


@pytest.mark.parametrize("seed", range(30))
async def test_bulk_upserts_do_what_the_rules_do(store: LmdbStore, seed: int) -> None:
    rng = random.Random(seed)
    names = [b"r%d" % n for n in range(rng.randrange(1, 60))]
    spoiled = {int.from_bytes(digest_of(name), "big") for name in names if rng.random() < 0.3}
    rows = {name: None if rng.random() < 0.2 else b'{"n":%d}' % seed for name in names}
    token, held, place = b"t" * 16, None, namespace_key(NS)
    contents = []
    for bulk in (True, False):
        await store._do(lambda view: Step(view, place).clear())
        await write(store, [part(Kind.UPSERT, dict.fromkeys(names, b'{"old":1}'))])
        fence = store._page.read().fence

        def deed(view: View, bulk: bool = bulk, fence: int = fence) -> list[object]:
            step = Step(view, place)
            step.insert(token, held, frozenset(spoiled))
            if bulk:
                step.mirror_upserts(part(Kind.UPSERT, rows), frozenset(spoiled), fence)
            else:
                each = [
                    rules.Row(Kind.UPSERT, int.from_bytes(digest_of(name), "big"), name, row)
                    for name, row in rows.items()
                ]
                rules.mirror(step, token, each, fence)
            step.drop(token)
            return [step.get(int.from_bytes(digest_of(name), "big")) for name in names]

        contents.append(await store._do(deed))
    assert contents[0] == contents[1]
    assert contents[0] is not None


@pytest.mark.parametrize("seed", range(30))
async def test_write_that_shares_a_row_is_never_announced_as_alone(
    store: LmdbStore, seed: int
) -> None:
    """Small, large and whole tokens in one namespace, against the rule that looks at each."""
    rng = random.Random(seed)
    place = namespace_key(NS)

    def drawn() -> frozenset[int] | None:
        size = rng.choice([0, 1, 1, 2, 3, 16, 17, 40, None])
        return None if size is None else frozenset(rng.sample(range(120), size))

    def deed(view: View) -> list[tuple[bool, bool]]:
        seen = []
        for number in range(12):
            step, held = Step(view, place), drawn()
            shared = bool(list(step.sharing(held)))
            digests = None if held is None else array("I", sorted(held)).tobytes()
            token = number.to_bytes(16, "big")
            seen.append((shared, step.insert_alone(token, digests)))
            # The next ones find it as they would find one that the rule has inserted.
            if not seen[-1][1]:
                rules.begin(step, token, held)
            assert Step(view, place).held(token) == held
            if rng.random() < 0.5:
                step.drop(token)
                assert not view.prefixed(view.file.tokens, b"t" + token)
                with pytest.raises(KeyError):
                    step.held(token)
        return seen

    seen = await store._do(deed)
    assert seen is not None
    assert (True, True) not in seen


async def test_single_rows_beside_each_other_are_announced_as_alone(store: LmdbStore) -> None:
    """The many small writes of one namespace do not pay for a look at one another."""

    def deed(view: View) -> list[bool]:
        digests = [array("I", [number]).tobytes() for number in range(5)]
        names = [number.to_bytes(16, "big") for number in range(5)]
        step = Step(view, namespace_key(NS))
        return [step.insert_alone(*each) for each in zip(names, digests, strict=True)]

    assert await store._do(deed) == [True] * 5
