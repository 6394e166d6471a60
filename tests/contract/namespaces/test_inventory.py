"""Answers that are always the same: licence, store, capabilities, the metrics' catalogue."""

import pytest

from hevfast.observe.catalogue import CATALOGUE
from hevfast.routes.inventory import FAMILIES
from tests.contract.namespaces.calling import refused
from tests.fakes.gateway import RunningGateway


def test_license_says_that_the_gateway_is_open(gateway: RunningGateway) -> None:
    assert gateway.ask("GET", "/v2/license").json == {
        "valid": False,
        "state": "floor",
        "reason": "open_gateway",
        "gateway": {"state": "floor", "seconds_to_deadline": 0, "grace_seconds_remaining": 0},
    }


def test_there_is_one_store_and_it_shows_no_key(gateway: RunningGateway) -> None:
    (store,) = gateway.ask("GET", "/v2/vectorstores").json["vectorstores"]
    assert (store["name"], store["kind"], store["default"]) == ("turbopuffer", "turbopuffer", True)
    assert gateway.ask("GET", "/v2/vectorstores/turbopuffer").json == store
    refused(gateway.ask("GET", "/v2/vectorstores/other"), 404, "not_found")
    refused(gateway.ask("GET", "/v2/vectorstores/other/capabilities"), 404, "not_found")


def test_capabilities_are_the_same_for_the_store_and_its_namespaces(
    gateway: RunningGateway,
) -> None:
    report = gateway.ask("GET", "/v2/namespaces/n/capabilities").json
    assert report["store"] == {"name": "turbopuffer", "kind": "turbopuffer"}
    assert {feature["support"] for feature in report["features"]} == {"supported", "unsupported"}
    assert gateway.ask("GET", "/v2/vectorstores/turbopuffer/capabilities").json == report


def test_no_snapshot_job_was_ever_made(gateway: RunningGateway) -> None:
    assert gateway.ask("GET", "/v2/namespaces/n/snapshot-jobs").json == {"snapshot_jobs": []}


def test_catalogue_describes_every_metric_without_a_key(gateway: RunningGateway) -> None:
    reply = gateway.ask("GET", "/v2/metrics/catalog", None, [])
    assert reply.value(b"cache-control") == b"public, max-age=86400"
    entries = {entry["name"]: entry for entry in reply.json["entries"]}
    assert set(entries) == {metric.name for metric in CATALOGUE}
    for metric in CATALOGUE:
        entry = entries[metric.name]
        assert (entry["kind"], entry["labels"]) == (metric.kind.value, list(metric.labels))
        assert entry["family"] in FAMILIES
        assert metric.name in entry["example_promql"]
    name = CATALOGUE[0].name
    assert gateway.ask("GET", f"/v2/metrics/catalog/{name}", None, []).json == entries[name]


@pytest.mark.parametrize("family", FAMILIES)
def test_catalogue_is_filtered_by_family(gateway: RunningGateway, family: str) -> None:
    entries = gateway.ask("GET", f"/v2/metrics/catalog?family={family}", None, []).json["entries"]
    assert {entry["family"] for entry in entries} <= {family}


def test_catalogue_knows_no_other_family_or_name(gateway: RunningGateway) -> None:
    refused(gateway.ask("GET", "/v2/metrics/catalog?family=x", None, []), 422, "validation_error")
    refused(gateway.ask("GET", "/v2/metrics/catalog/x", None, []), 404, "not_found")
