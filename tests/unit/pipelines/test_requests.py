"""Requests as the store gets them: bounded, and without what is said twice."""

import json
from typing import Any

from hevfast.pipelines.requests import read_change, read_claim, read_heartbeat, read_several


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def test_claim_without_wishes_gets_the_defaults() -> None:
    asked = read_claim(body(worker_id="w"))
    assert asked == ("w", "pending", "embedding", 100, 900_000, "", False)


def test_limit_of_a_claim_is_cut_to_what_a_call_may_hold() -> None:
    assert read_claim(body(worker_id="w", limit=10**12)).limit == 10_000


def test_leases_may_be_fractions_of_a_second_and_never_end_at_once() -> None:
    assert read_claim(body(worker_id="w", lease_seconds=0.25)).lease_ms == 250
    assert read_claim(body(worker_id="w", lease_seconds=1e-9)).lease_ms == 1


def test_documents_named_twice_are_given_to_the_store_once() -> None:
    ids = ["b", "a", "b"]
    assert read_heartbeat(body(document_ids=ids, worker_id="w")).documents == ["b", "a"]
    assert read_change(body(document_ids=ids, stage="x")).documents == ["b", "a"]


def test_chunks_asked_for_twice_are_answered_twice() -> None:
    assert read_several(body(document_ids=["b", "a", "b"])) == ["b", "a", "b"]


def test_reason_is_cut_between_characters() -> None:
    assert read_change(body(document_ids=[], stage="failed", reason="€" * 50)).reason == "€" * 42
