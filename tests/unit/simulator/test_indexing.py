"""An index that lags: what eventual queries see, what metadata says, when the service refuses."""

import random
from typing import Any

import pytest

from hevfast.simulator.answers import Refusal
from hevfast.simulator.document import Document
from hevfast.simulator.indexing import Backlog, Indexing
from hevfast.simulator.metadata import metadata_v2
from hevfast.simulator.namespace import Namespace

from .conftest import Service

EVENTUAL: Any = {"consistency": {"level": "eventual"}}
NEAREST: Any = {"rank_by": ["vector", "ANN", [0, 0]], "top_k": 100, "include_attributes": True}


@pytest.fixture
def late() -> Service:
    """A service whose index is ten seconds behind; its clock stands until a test moves it."""
    return Service(index_lag_ms=10_000)


def write(service: Service, *rows: dict[str, Any], **fields: Any) -> None:
    service.write(upsert_rows=list(rows), distance_metric="euclidean_squared", **fields)


def index_of(service: Service) -> Any:
    return metadata_v2(service.catalogue.find("books"))["index"]


def test_rows_become_visible_to_eventual_queries_when_they_are_indexed(late: Service) -> None:
    write(late, {"id": 1, "vector": [1, 1]})
    late.now_s = 5
    write(late, {"id": 2, "vector": [2, 2]})
    assert (late.ids(), late.ids(**EVENTUAL)) == ([1, 2], [])
    late.now_s = 10
    assert late.ids(**EVENTUAL) == [1]
    late.now_s = 15
    assert late.ids(**EVENTUAL) == [1, 2]


def test_metadata_says_what_is_not_indexed(late: Service) -> None:
    write(late, {"id": 1, "vector": [1, 1]}, {"id": 2, "vector": [1, 1]})
    late.now_s = 5
    write(late, {"id": 2, "vector": [2, 2]})
    assert index_of(late) == {"status": "updating", "unindexed_bytes": 48, "unindexed_rows": 3}
    late.now_s = 10
    assert index_of(late) == {"status": "updating", "unindexed_bytes": 16, "unindexed_rows": 1}
    late.now_s = 15
    assert index_of(late) == {"status": "up-to-date"}


def test_older_versions_are_seen_with_their_vectors_until_then(late: Service) -> None:
    write(late, {"id": 1, "vector": [1, 1], "n": 1}, {"id": 2, "vector": [5, 5]})
    late.now_s = 10
    assert len(late.ids(**EVENTUAL)) == 2
    write(late, {"id": 1, "vector": [9, 9], "n": 2})
    late.write(deletes=[2])
    late.write(patch_rows=[{"id": 1, "n": 3}])
    assert late.query(**NEAREST)["rows"] == [
        {"id": 1, "vector": [9.0, 9.0], "n": 3, "$dist": 162.0}
    ]
    assert late.query(**NEAREST, **EVENTUAL)["rows"] == [
        {"id": 1, "vector": [1.0, 1.0], "n": 1, "$dist": 2.0},
        {"id": 2, "vector": [5.0, 5.0], "$dist": 50.0},
    ]


def test_held_namespaces_wait_until_they_are_let_go(service: Service) -> None:
    service.indexing.held.add("books")
    write(service, {"id": 1, "vector": [1, 1]})
    write(service, {"id": 1, "vector": [1, 1]}, name="films")
    service.now_s = 1e9
    assert (service.ids(**EVENTUAL), service.ids(name="films", **EVENTUAL)) == ([], [1])
    service.indexing.held.clear()
    assert service.ids(**EVENTUAL) == [1]


def test_full_text_is_found_in_the_version_that_is_seen(late: Service) -> None:
    schema = {"t": {"type": "string", "full_text_search": True}}
    late.write(schema=schema, upsert_rows=[{"id": 1, "t": "old"}])
    late.now_s = 10
    asked: Any = {"rank_by": ["t", "BM25", "old"]}
    assert len(late.query(**asked, **EVENTUAL)["rows"]) == 1
    late.write(upsert_rows=[{"id": 1, "t": "new"}])
    assert len(late.query(**asked, **EVENTUAL)["rows"]) == 1
    assert late.query(**asked)["rows"] == []
    late.now_s = 20
    assert late.query(**asked, **EVENTUAL)["rows"] == []


def play(seed: int) -> None:
    """Play a history of writes against a plain model, which keeps every state whole."""
    draw = random.Random(seed)
    late = Service(index_lag_ms=10_000)
    write(late, {"id": 0, "vector": [0, 0]})
    state: dict[int, list[float]] = {0: [0.0, 0.0]}
    history = [(-1.0, {}), (0.0, dict(state))]
    for _ in range(60):
        late.now_s += draw.choice([0, 0.5, 3])
        chosen = draw.sample(range(8), 3)
        if draw.random() < 0.4:
            late.write(deletes=chosen)
            for id_ in chosen:
                state.pop(id_, None)
        elif draw.random() < 0.3:
            late.write(patch_rows=[{"id": id_, "n": 1} for id_ in chosen])
        else:
            vectors = {id_: [float(draw.randrange(100)), 1.0] for id_ in chosen}
            write(late, *({"id": id_, "vector": vectors[id_]} for id_ in chosen))
            state |= vectors
        history.append((late.now_s, dict(state)))
        indexed = [held for at, held in history if at + 10 <= late.now_s or at < 0][-1]
        for asked, expected in (({}, state), (EVENTUAL, indexed)):
            rows = late.query(**NEAREST, **asked)["rows"]
            assert {row["id"]: row["vector"] for row in rows} == expected
    namespace = late.catalogue.find("books")
    late.now_s += 10
    namespace.catch_up()
    # Nothing is left behind: each document has one matrix row, and all others are free.
    assert len(namespace.owners) - len(namespace._free) == len(namespace.documents)
    assert len(set(namespace._free)) == len(namespace._free)
    assert namespace.columns["vector"].live.sum() == len(namespace.documents)


def play_some() -> None:
    for seed in range(12):
        play(seed)


def test_any_history_shows_its_state_of_ten_seconds_ago() -> None:
    play_some()


def newest_hidden(backlog: Backlog, tail_bytes: int) -> dict[Any, Any]:
    """A fault: of several hidden versions the youngest is shown."""
    instead: dict[Any, Any] = {}
    for commit in backlog._commits:
        instead.update(commit.replaced)
    return instead


def rows_freed_early(namespace: Namespace, old: Document) -> None:
    """A fault: the matrix row that a patch took over is given away."""
    namespace._free.append(old.slot)


def rows_never_freed(namespace: Namespace, old: Document) -> None:
    """A fault: nothing is given back."""


def always_due(indexing: Indexing, name: str, committed_s: float) -> bool:
    """A fault: the lag is half of what it should be."""
    return indexing.clock() - committed_s >= 5


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (Backlog, "shown", newest_hidden),
        (Namespace, "_retire", rows_freed_early),
        (Namespace, "_retire", rows_never_freed),
        (Indexing, "is_due", always_due),
    ],
)
def test_planted_faults_do_not_survive_such_histories(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, fault: Any
) -> None:
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises(AssertionError):
        play_some()


def test_too_much_that_is_not_indexed_is_pushed_back() -> None:
    service = Service(index_lag_ms=10_000, unindexed_bytes_max=40)
    write(service, *({"id": number, "vector": [1, 1]} for number in range(3)))
    with pytest.raises(Refusal, match="unindexed data") as refused:
        write(service, {"id": 9, "vector": [1, 1]})
    assert refused.value.status == 429
    for refused_too in (
        {"patch_rows": [{"id": 1, "n": 1}]},
        {"delete_by_filter": ["id", "Eq", 1]},
        {"deletes": [1], "delete_condition": ["id", "Eq", 1]},
    ):
        with pytest.raises(Refusal, match="unindexed data"):
            service.write(disable_backpressure=True, **refused_too)
    write(service, {"id": 9, "vector": [1, 1]}, disable_backpressure=True)
    service.write(deletes=[0], disable_backpressure=True)
    metadata = metadata_v2(service.catalogue.find("books"))
    # The approximate numbers stand still meanwhile.
    assert (metadata["approx_row_count"], metadata["approx_logical_bytes"]) == (0, 0)
    service.now_s = 10
    write(service, {"id": 10, "vector": [1, 1]})
    assert metadata_v2(service.catalogue.find("books"))["approx_row_count"] == 4


def test_an_index_switched_on_later_is_refused_until_it_is_built(late: Service) -> None:
    late.write(schema={"t": {"type": "string", "filterable": False}}, upsert_rows=[{"id": 1}])
    late.write(schema={"t": {"type": "string", "filterable": True}})
    with pytest.raises(Refusal, match="still being built") as refused:
        late.ids(["t", "Eq", "x"])
    assert refused.value.status == 409
    late.now_s = 10
    assert late.ids(["t", "Eq", None]) == [1]
    # A new attribute has nothing to build.
    late.write(schema={"u": "string"})
    assert late.ids(["u", "Eq", None]) == [1]


def test_eventual_queries_may_look_into_the_oldest_of_the_tail(late: Service) -> None:
    late.indexing.eventual_tail_bytes = 40
    for number in range(4):
        write(late, {"id": number, "vector": [1, 1]})
    assert late.ids(**EVENTUAL) == [0, 1]
    late.now_s = 10
    assert late.ids(**EVENTUAL) == [0, 1, 2, 3]


def test_approximate_size_is_known_once_there_is_enough_to_index(service: Service) -> None:
    def shown() -> tuple[object, object]:
        metadata = metadata_v2(service.catalogue.find("books"))
        return metadata["approx_row_count"], metadata["approx_logical_bytes"]

    write(service, {"id": 1, "vector": [1, 1], "text": "x" * 2000})
    assert shown() == (0, 0)
    long = [{"id": number, "vector": [1, 1], "text": "x" * 2000} for number in range(40)]
    write(service, *long)
    assert shown() == (40, 40 * 2016)
