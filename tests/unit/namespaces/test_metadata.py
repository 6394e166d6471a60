"""What metadata say, and what the gateway makes of them."""

import json
from typing import Any

import pytest

from hevfast.namespaces.marker import Marker, Markers
from hevfast.namespaces.metadata import entry_of, layer_of, read_metadata
from hevfast.namespaces.shards import without_shard
from hevfast.reads.mark import Mark, Standing

NOT_MARKER = ["id", "NotEq", "_hevlayer:namespace_meta"]
NO_SHARD = ["_hevlayer_shard", "Eq", None]


def read(**members: Any) -> Any:
    return read_metadata(json.dumps(members).encode())


@pytest.mark.parametrize(
    ("declared", "dimensions"),
    [
        ({"type": "[768]f32"}, 768),
        ("[3]f16", 3),
        ("[8]i8", 8),
        ("[][8]f32", None),
        ("[]float", None),
        ("{}f16", None),
        ({"type": None}, None),
        ({}, None),
        (7, None),
    ],
)
def test_dense_vectors_are_told_by_their_types(declared: object, dimensions: int | None) -> None:
    found = read(schema={"v": declared}).dense_vectors()
    assert found == ({} if dimensions is None else {"v": dimensions})


@pytest.mark.parametrize("moment", ["", "soon", "2026-13-01", None])
def test_a_moment_that_cannot_be_read_is_left_out(moment: str | None) -> None:
    assert entry_of("n", read(last_write_at=moment), Mark())["last_write_ms"] is None


def test_an_index_in_a_state_of_its_own_is_left_out() -> None:
    metadata = read(index={"status": "resting"})
    assert "index" not in entry_of("n", metadata, Mark())
    assert layer_of(metadata, Mark(), None, 0)["indexed"] is False


def test_nothing_is_said_of_an_index_that_upstream_does_not_mention() -> None:
    layer = layer_of(read(), Mark(7, Standing.STABLE), None, 0)
    assert layer == {
        "stable_as_of": 7,
        "is_stable": True,
        "shard_state": "unsharded",
        "scatter_gather_active": False,
    }


@pytest.mark.parametrize(
    ("lag", "init", "shards"), [(0, "ready", "ready"), (3, "running", "backfilling")]
)
def test_rows_that_lack_their_shard_are_told(lag: int, init: str, shards: str) -> None:
    layer = layer_of(read(), Mark(), Marker(4, 2), lag)
    assert (layer["init_state"], layer["shard_state"]) == (init, shards)
    assert (layer["init_lag_rows"], layer["shard_lag_rows"]) == (lag, lag)
    assert (layer["shard_count"], layer["schema_version"]) == (4, 2)


def test_rows_without_their_shard_are_asked_for_by_what_the_schema_has() -> None:
    schema = {"_hevlayer_shard": "int", "_hevlayer_upserted_at": "int"}
    older = ["_hevlayer_upserted_at", "Lt", 9]

    def asked(marker: Marker, **schema: str) -> list[object]:
        return [json.loads(each) for each in without_shard(marker, read(schema=schema))]

    assert asked(Marker(4, 1, 9)) == [NOT_MARKER]
    assert asked(Marker(4, 1, None), **schema) == [NOT_MARKER, NO_SHARD]
    assert asked(Marker(4, 1, 9), **schema) == [NOT_MARKER, ["Or", [NO_SHARD, older]]]
    assert asked(Marker(4, 1, 9), _hevlayer_shard="int") == [NOT_MARKER, NO_SHARD]


def test_absence_does_not_undo_a_marker_but_forgetting_does() -> None:
    markers = Markers()
    assert not markers.is_known(b"n")
    markers.learn(b"n", None)
    assert (markers.is_known(b"n"), markers.of(b"n")) == (True, None)
    markers.learn(b"n", Marker(4))
    markers.learn(b"n", None)
    assert markers.of(b"n") == Marker(4)
    markers.forget(b"n")
    assert not markers.is_known(b"n")


def test_markers_remembered_are_bounded() -> None:
    markers = Markers()
    for n in range(10_005):
        markers.learn(b"%d" % n, Marker(4))
        markers.learn(b"x%d" % n, None)
    assert len(markers._known) == len(markers._absent) == 10_000
    assert markers.of(b"10004") == Marker(4)
