"""The store that the explorer explores does what a server does: random operations on both."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aerospike
import pytest
from aerospike_helpers.batch.records import BatchRecords

from hevfast.pipelines import aerospike_operations as ops
from hevfast.pipelines.aerospike_keys import Place
from hevfast.pipelines.aerospike_operations import Answer, Book, Hints, Kept, Opened
from hevfast.pipelines.aerospike_state import Hinted, Spot, State, Tag, packed
from hevfast.pipelines.aerospike_wire import answer_of, record_of
from hevfast.pipelines.model import Document
from tests.contract.pipelines.aerospike_home import NAMESPACE, AerospikeHome
from tests.model.shared_store import BOOK, Draft, initial, thawed

NOW_MS = 1000
STAGES = ["pending", "a\x00b", "é"]
SEGMENTS = [b"s1", b"s2"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[AerospikeHome]:
    made = AerospikeHome(tmp_path)
    yield made
    made.stop()


def state_like(chosen: random.Random) -> bytes:
    document = Document("pending", chosen.randrange(9), 1, 2, 3)
    return packed(State(document, Tag(1, b"t\x00"), Spot(b"s1", b"k")))


def drawn(chosen: random.Random) -> Any:
    """Draw an operation from those that deeds use."""
    token, stage = bytes([chosen.randrange(3), 0, 1]), chosen.choice(STAGES)
    segment, document = chosen.choice(SEGMENTS), chosen.choice(["d", "e\x00", "é"])
    key = bytes([0, chosen.randrange(6), 0])
    hinted = packed(Hinted(document, token, stage))
    counts = {each: chosen.choice([-1, 1, 2]) for each in chosen.sample(STAGES, 2)}
    generation = chosen.randrange(4)
    return chosen.choice(
        [
            ops.Look(),
            ops.Look(bodies=True),
            ops.Open(token, b"body\x00", chosen.randrange(3), stage, chosen.randrange(3), 7, 2),
            ops.Open(token, b"body"),
            ops.Close(token, counts, {}, counts, 1, 60),
            ops.Advance(stage, chosen.randrange(4)),
            ops.Retire(7, chosen.randrange(5), chosen.choice([None, -3, 3])),
            ops.Read(document),
            ops.Read(document, chunks=True, rows=True),
            ops.Put(document, state_like(chosen), generation, b"[1]", None),
            ops.Put(document, state_like(chosen), generation, b"", b"[2]"),
            ops.Touch(document, generation, chosen.randrange(5)),
            ops.PutPart(document, token, 1, b"part\x00"),
            ops.ReadPart(document, token, 1),
            ops.DropPart(document, token, 1),
            ops.Hint(segment, {key: hinted}),
            ops.Hint(segment, {key: hinted, b"\x00\x09": hinted}),
            ops.Drop(segment, [key], chosen.randrange(2)),
            ops.Drop(segment, [], 1),
            ops.Reserve(segment, 1 + chosen.randrange(3), chosen.random() < 0.3),
            ops.Glance(segment, 2),
            ops.Glance(segment, 9, b"\x00\x03"),
            ops.Seal(segment),
            ops.Remove(segment),
        ]
    )


def plain(answer: Any) -> Any:
    """Take off what the two need not agree on."""
    if isinstance(answer, Book):
        # When documents were indexed is of no concern to the explorer.
        return answer._replace(now_ms=0, rates={})
    if isinstance(answer, Opened):
        return answer._replace(now_ms=0, position=0, arrival=0, lapse=0, reasons=frozenset())
    if isinstance(answer, Kept):
        return answer._replace(chunks=answer.chunks or None, rows=answer.rows or None)
    return answer


def as_asked(op: Any, answer: Any) -> Any:
    """Give the explorer's answer as far as it was asked for."""
    if isinstance(op, ops.Look) and isinstance(answer, Book) and not op.bodies:
        return answer._replace(open=dict.fromkeys(answer.open, b""))
    if isinstance(op, ops.Read) and isinstance(answer, Kept):
        return answer._replace(
            chunks=answer.chunks if op.chunks else None, rows=answer.rows if op.rows else None
        )
    if isinstance(op, ops.Reserve) and isinstance(answer, Hints) and not answer.total:
        return answer._replace(hints={})
    return answer


@pytest.mark.parametrize("seed", range(12))
def test_the_explored_store_does_what_a_server_does(home: AerospikeHome, seed: int) -> None:
    client = aerospike.client({"hosts": home.hosts}).connect()
    place = Place(NAMESPACE, home.set_prefix, seed)
    client.put(place.book, {"n": 0})
    store = initial(NOW_MS)
    chosen = random.Random(seed)
    for _ in range(250):
        op = drawn(chosen)
        draft = Draft(store)
        draft._guard = lambda before, after: None  # type: ignore[method-assign]
        expected = plain(as_asked(op, thawed(draft.do(op))))
        store = draft.kept()
        record = record_of(place, op)
        client.batch_write(BatchRecords([record]))
        found = plain(answer_of(op, record, int))
        if isinstance(op, ops.Reserve) and Answer.REFUSED in (found, expected):
            # A segment that was sealed before anything came into it gives nothing either way.
            assert not isinstance(expected, Hints) or not expected.total
            continue
        assert found == expected, op
    assert BOOK in dict(store)
    client.close()
