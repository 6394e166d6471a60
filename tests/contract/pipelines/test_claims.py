"""Claims, leases, heartbeats, changes of stages, and the status that counts them."""

import threading
import time
from typing import Any

import pytest

from tests.contract.pipelines.calling import CHUNKS, Caller, caller, gateway, refused, soon

__all__ = ["caller", "gateway"]

# Seconds. A lease that lapses at once.
LEASE_S = 0.05

STATUS_FIELDS = [
    "pipeline_id",
    "status",
    "counts",
    "failed_reasons",
    "pending_count",
    "processing_count",
    "failed_count",
    "indexed_rate_per_min",
    "rate_window_seconds",
]


def staged(caller: Caller, *documents: str) -> Caller:
    for document in documents:
        assert caller.stage(document).status == 200
    return caller


def test_claim_answers_what_was_asked_for_and_the_ids(caller: Caller) -> None:
    staged(caller, "a", "b")
    reply = caller.post("/claim", {"worker_id": "w"})
    assert reply.status == 200
    assert reply.json == {
        "pipeline_id": caller.pipeline,
        "stage": "pending",
        "claim_stage": "embedding",
        "worker_id": "w",
        "documents": ["a", "b"],
    }
    assert caller.counts == {"embedding": 2}
    assert caller.claim() == []


def test_nulls_stand_for_the_defaults(caller: Caller) -> None:
    staged(caller, "a")
    names = ("stage", "claim_stage", "limit", "lease_seconds", "document_id_prefix")
    nulls = dict.fromkeys([*names, "include_chunks"])
    assert caller.claim(**nulls) == ["a"]
    body = {"document_ids": ["a"], "worker_id": "w", "stage": None}
    assert caller.post("/documents/heartbeat", body).json["updated"] == 1
    assert caller.move(["a"], "pending", from_stage=None, worker_id=None, create_missing=None) == 1


def test_oldest_documents_are_claimed_first_up_to_the_limit(caller: Caller) -> None:
    staged(caller, "c", "a", "b")
    assert caller.claim(limit=2) == ["c", "a"]
    assert caller.claim(limit=10**9) == ["b"]


def test_claims_can_be_confined_to_a_prefix(caller: Caller) -> None:
    staged(caller, "x/1", "y/1", "x/2", "X/3")
    assert caller.claim(document_id_prefix="x/") == ["x/1", "x/2"]
    assert caller.claim(document_id_prefix="z") == []


def test_chunks_can_come_with_the_claim(caller: Caller) -> None:
    staged(caller, "a")
    caller.stage("b", [])
    reply = caller.post("/claim", {"worker_id": "w", "include_chunks": True})
    assert reply.json["documents"] == ["a", "b"]
    assert reply.json["chunks"] == {"a": CHUNKS, "b": []}
    nothing = caller.post("/claim", {"worker_id": "w", "include_chunks": True}).json
    assert (nothing["documents"], nothing["chunks"]) == ([], {})


def test_claimers_at_once_get_different_documents(caller: Caller) -> None:
    documents = [f"d-{n}" for n in range(200)]
    caller.post("/documents", {"documents": [{"id": d, "chunks": []} for d in documents]})
    claims: list[list[str]] = []

    def claim(worker: str) -> None:
        while found := caller.claim(worker, limit=7):
            claims.append(found)

    threads = [threading.Thread(target=claim, args=(f"w-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(document for claim in claims for document in claim) == sorted(documents)


def test_lapsed_lease_gives_the_document_back_and_its_worker_can_do_nothing(
    caller: Caller,
) -> None:
    staged(caller, "a")
    assert caller.claim("old", lease_seconds=LEASE_S) == ["a"]
    assert soon(lambda: caller.claim("new")) == ["a"]
    assert caller.heartbeat(["a"], "old") == 0
    assert caller.move(["a"], "indexed", worker_id="old") == 0
    assert caller.counts == {"embedding": 1}
    assert caller.move(["a"], "indexed", worker_id="new") == 1


def test_document_claimed_from_a_stage_of_its_own_returns_to_it(caller: Caller) -> None:
    caller.move(["a"], "extracting", create_missing=True)
    claim = {"stage": "extracting", "claim_stage": "extracting-now"}
    assert caller.claim("old", lease_seconds=LEASE_S, **claim) == ["a"]
    assert soon(lambda: caller.claim("new", **claim)) == ["a"]
    assert caller.counts == {"extracting-now": 1}


def test_heartbeat_extends_what_the_worker_holds_and_skips_the_rest(caller: Caller) -> None:
    staged(caller, "a", "b", "c")
    assert caller.claim("w", limit=1) == ["a"]
    assert caller.claim("v", limit=1) == ["b"]
    body = {"document_ids": ["a", "a", "b", "c", "x"], "worker_id": "w"}
    reply = caller.post("/documents/heartbeat", body)
    assert reply.json == {"pipeline_id": caller.pipeline, "stage": "embedding", "updated": 1}
    assert caller.heartbeat(["a"], "w", stage="other") == 0
    assert caller.heartbeat([], "w") == 0


def test_heartbeats_keep_a_lease_beyond_its_length(caller: Caller) -> None:
    staged(caller, "a")
    assert caller.claim("w", lease_seconds=2) == ["a"]
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert caller.heartbeat(["a"], "w") == 1
        assert caller.claim("v") == []


def test_stage_changes_where_the_document_is_as_the_caller_thinks(caller: Caller) -> None:
    staged(caller, "a", "b")
    caller.claim("w", limit=1)
    assert caller.move(["a", "b"], "failed", from_stage="pending") == 1
    assert caller.move(["a", "b"], "failed", worker_id="v") == 0
    assert caller.move(["a", "a", "b"], "pending") == 2
    assert caller.heartbeat(["a"], "w") == 0
    assert caller.counts == {"pending": 2}
    assert caller.move([], "failed") == 0


def test_missing_documents_are_created_only_if_that_is_wished(caller: Caller) -> None:
    assert caller.move(["a"], "pending") == 0
    refused(caller.chunks("a"), 404, "not_found")
    staged(caller, "b")
    wishes = {"create_missing": True, "from_stage": "embedding"}
    assert caller.move(["a", "b"], "pending", **wishes) == 1
    assert caller.chunks("a").body == b"[]"
    assert caller.chunks("b").json == CHUNKS
    assert caller.claim() == ["b", "a"]


def test_status_has_nine_fields_and_is_fresh(caller: Caller) -> None:
    status = caller.status
    assert list(status) == STATUS_FIELDS
    assert status["pipeline_id"] == caller.pipeline
    assert (status["status"], status["rate_window_seconds"]) == ("idle", 60)
    assert status["counts"] == {"pending": 0, "embedding": 0, "indexed": 0, "failed": 0}
    assert status["failed_reasons"] == {}
    staged(caller, "a", "b", "c", "d")
    caller.claim(limit=1)
    caller.move(["b"], "extracting")
    caller.move(["c"], "failed")
    status = caller.status
    assert status["status"] == "pending"
    assert status["counts"] == {
        "pending": 1, "embedding": 1, "indexed": 0, "failed": 1, "extracting": 1,
    }  # fmt: skip
    counts = [status[f"{name}_count"] for name in ("pending", "processing", "failed")]
    assert counts == [1, 2, 1]
    caller.move(["a", "b", "c", "d"], "indexed")
    status = caller.status
    assert (status["status"], status["indexed_rate_per_min"]) == ("idle", 4.0)


def test_work_that_waits_in_other_stages_is_waiting_on_upstream(caller: Caller) -> None:
    caller.move(["a"], "extracting", create_missing=True)
    assert caller.status["status"] == "waiting_on_upstream"
    caller.move(["a"], "pending")
    assert caller.status["status"] == "pending"


def test_reasons_of_failure_are_counted(caller: Caller) -> None:
    staged(caller, "a", "b", "c")
    caller.move(["a"], "failed")
    caller.move(["b"], "failed", reason="too blurred")
    caller.move(["c"], "failed", reason="é" * 100)
    assert caller.status["failed_reasons"] == {"worker_failed": 1, "too blurred": 1, "é" * 64: 1}
    caller.move(["a", "b", "c"], "pending", reason="none")
    assert caller.status["failed_reasons"] == {}


def test_sixty_four_stages_of_its_own_are_enough(caller: Caller) -> None:
    for n in range(64):
        assert caller.move([f"d-{n}"], f"stage-{n}", create_missing=True) == 1
    body = {"document_ids": ["x"], "stage": "one more", "create_missing": True}
    refused(caller.post("/documents/stage", body), 422, "validation_error")


CLAIM = {"worker_id": "w"}
BEAT = {"document_ids": ["a"], "worker_id": "w"}
CHANGE = {"document_ids": ["a"], "stage": "pending"}


@pytest.mark.parametrize(
    ("below", "body"),
    [
        ("/claim", b""),
        ("/claim", []),
        ("/claim", {}),
        ("/claim", {"worker_id": None}),
        ("/claim", {"worker_id": 1}),
        ("/claim", {"worker_id": ""}),
        ("/claim", {"worker_id": "  "}),
        ("/claim", {"worker_id": "x" * 257}),
        ("/claim", {**CLAIM, "limit": 0}),
        ("/claim", {**CLAIM, "limit": -1}),
        ("/claim", {**CLAIM, "limit": 1.5}),
        ("/claim", {**CLAIM, "limit": True}),
        ("/claim", {**CLAIM, "lease_seconds": 0}),
        ("/claim", {**CLAIM, "lease_seconds": -1}),
        ("/claim", {**CLAIM, "lease_seconds": 10**20}),
        ("/claim", {**CLAIM, "lease_seconds": "1"}),
        ("/claim", {**CLAIM, "stage": ""}),
        ("/claim", {**CLAIM, "claim_stage": " "}),
        ("/claim", {**CLAIM, "stage": "x" * 129}),
        ("/claim", {**CLAIM, "document_id_prefix": "x" * 1025}),
        ("/claim", {**CLAIM, "include_chunks": "yes"}),
        ("/documents/heartbeat", {}),
        ("/documents/heartbeat", {"document_ids": ["a"]}),
        ("/documents/heartbeat", {"worker_id": "w"}),
        ("/documents/heartbeat", {**BEAT, "worker_id": " "}),
        ("/documents/heartbeat", {**BEAT, "stage": ""}),
        ("/documents/heartbeat", {**BEAT, "document_ids": "a"}),
        ("/documents/heartbeat", {**BEAT, "document_ids": [1]}),
        ("/documents/heartbeat", {**BEAT, "document_ids": ["x"] * 10_001}),
        ("/documents/stage", {}),
        ("/documents/stage", {"document_ids": ["a"]}),
        ("/documents/stage", {"stage": "pending"}),
        ("/documents/stage", {**CHANGE, "stage": ""}),
        ("/documents/stage", {**CHANGE, "stage": "é" * 65}),
        ("/documents/stage", {**CHANGE, "from_stage": " "}),
        ("/documents/stage", {**CHANGE, "worker_id": ""}),
        ("/documents/stage", {**CHANGE, "create_missing": 1}),
        ("/documents/stage", {**CHANGE, "reason": 1}),
        ("/documents/stage", {**CHANGE, "document_ids": [""], "create_missing": True}),
        ("/documents/stage", {**CHANGE, "document_ids": ["x" * 1025], "create_missing": True}),
        ("/documents/stage", {**CHANGE, "document_ids": ["x"] * 10_001}),
    ],
)
def test_malformed_request_is_a_422_and_changes_nothing(
    caller: Caller, below: str, body: Any
) -> None:
    staged(caller, "a")
    refused(caller.ask("POST", below, body), 422, "validation_error")
    assert caller.counts == {"pending": 1}
