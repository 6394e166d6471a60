"""What clients saw of the running gateway, under load and faults, is what upstream had held."""

import random

import pytest

from tests.history.judge import Judge, View
from tests.history.line import Reply
from tests.history.run import Options, Report, run
from tests.history.truth import Truth, spelled

# Seconds of load at most until a planted fault is seen: most are within two, those that need
# violence within fifteen.
PLANTED_S = 30.0

# Rules of the cache, and what it takes to see them broken.
PLANTS = {
    "spoiled_rows_are_put": "",
    "elder_writes_are_not_told": "",
    "any_lease_fills": "",
    "doubt_is_refusal": "",
    "doubt_ends_at_once": "",
    "whole_namespaces_are_not_voided": "",
    "refused_writes_are_put": "",
    "unmet_conditions_are_put": "",
    "patches_are_put_on_nothing": "",
    "answers_come_before_the_mirror": "",
    "deleted_rows_stay": "",
    "writes_the_store_missed_void_nothing": "hold",
    "dead_writes_are_only_forgotten": "kill",
}


def seeded() -> int:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return seed


def story(report: Report) -> str:
    return "\n".join(report.lines())


@pytest.mark.timeout(180)
def test_running_gateway_keeps_its_promises_under_faults_and_kills() -> None:
    report = run(Options(60.0, seeded()))
    assert not report.wrong, story(report)


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.timeout(120)
def test_broken_rule_of_the_cache_is_seen(plant: str) -> None:
    kill, hold = PLANTS[plant] == "kill", PLANTS[plant] == "hold"
    report = run(Options(PLANTED_S, seeded(), plant=plant, kill=kill, hold=hold))
    assert report.violation is not None, story(report)


@pytest.mark.timeout(120)
def test_gateways_on_a_cluster_keep_their_promises_under_faults_and_kills() -> None:
    """Also while the cluster is away: what it cannot be told of is refused."""
    report = run(Options(4.0, seeded(), store="aerospike"))
    assert not report.wrong, story(report)


@pytest.mark.timeout(120)
def test_broken_rule_of_the_registry_form_is_seen() -> None:
    """One of many, and soon seen; `python -m tests.history --store aerospike` has the others."""
    report = run(Options(PLANTED_S, seeded(), store="aerospike", plant="hits_need_no_stamp"))
    assert report.violation is not None, story(report)


def test_upstream_that_tells_of_old_rows_is_seen() -> None:
    report = run(Options(PLANTED_S, seeded(), kill=False, hold=False, stale=True))
    assert report.violation is not None, story(report)


class Scene:
    """One row, written by hand, and what a fetch may show of it."""

    def __init__(self) -> None:
        self.truth = Truth({"ns": ["k"]})
        self.judge = Judge(self.truth)
        self._past = self.truth.spaces["ns"].pasts["k"]

    def applied(self, number: int, *, answered: bool) -> None:
        self.truth.apply("ns", number, {"upsert_rows": [{"id": "k", "v": number}]})
        if answered:
            self.judge.answered(number, [self._past], 200, 1)

    def fetch(self, number: int, served: str = "hit") -> bool:
        """Tell whether a fetch that is sent and answered now may show a write's row."""
        return self.answer(self.judge.view("ns", ["k"]), number, served)

    def answer(self, views: list[View], number: int, served: str = "hit") -> bool:
        body = f'{{"id":"k","attributes":{spelled({"v": number})}}}'
        self.judge.violation = None
        self.judge.fetched(views, 0, Reply(200, served, body.encode()), 1)
        return self.judge.violation is None

    def absent(self) -> bool:
        self.judge.violation = None
        self.judge.fetched(self.judge.view("ns", ["k"]), 0, Reply(404, "", b"{}"), 1)
        return self.judge.violation is None


def test_hit_may_show_what_no_acknowledged_write_had_replaced() -> None:
    scene = Scene()
    assert scene.absent()
    scene.applied(1, answered=True)
    scene.applied(2, answered=False)
    assert scene.fetch(1)
    assert scene.fetch(2)
    assert not scene.fetch(1, "miss")
    assert not scene.absent()
    scene.applied(3, answered=True)
    assert not scene.fetch(1)
    assert not scene.fetch(2)
    assert scene.fetch(3)


def test_hit_may_show_what_is_written_while_it_is_fetched_but_nothing_else() -> None:
    scene = Scene()
    scene.applied(1, answered=True)
    views = scene.judge.view("ns", ["k"])
    scene.applied(2, answered=True)
    assert scene.answer(views, 1)
    assert scene.answer(views, 2)
    assert scene.answer(views, 1, "miss")
    assert not scene.answer(views, 3)


def test_after_quiet_a_hit_shows_the_row_as_it_is() -> None:
    scene = Scene()
    scene.applied(1, answered=True)
    scene.applied(2, answered=False)
    scene.judge.quiet = True
    assert not scene.fetch(1)
    assert scene.fetch(2)


def test_answer_without_a_write_and_a_write_sent_twice_are_seen() -> None:
    scene = Scene()
    past = scene.truth.spaces["ns"].pasts["k"]
    scene.judge.answered(1, [past], 200, 1)
    assert scene.judge.violation is not None
    scene = Scene()
    scene.applied(1, answered=False)
    scene.applied(1, answered=True)
    assert scene.judge.violation is not None
