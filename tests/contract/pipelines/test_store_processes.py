"""Several processes on one store, some of them killed: each document is done exactly once."""

from pathlib import Path

import pytest

from tests.contract.pipelines.claimers import STORES, judge, run


@pytest.mark.parametrize("kind", STORES)
def test_two_processes_of_claimers_share_the_documents(kind: str, tmp_path: Path) -> None:
    wrong = run(
        kind,
        tmp_path,
        documents=5000,
        processes=2,
        claimers=8,
        kills=0,
        lease_ms=10_000,
        seconds=60,
    )
    assert not wrong


@pytest.mark.parametrize("kind", STORES)
def test_killed_claimers_lose_nothing(kind: str, tmp_path: Path) -> None:
    wrong = run(
        kind,
        tmp_path,
        documents=5000,
        processes=2,
        claimers=8,
        kills=3,
        lease_ms=1500,
        seconds=60,
    )
    assert not wrong


def test_the_judge_finds_what_is_wrong() -> None:
    assert judge(["claimed d 0 1", "completed d 0 2", "claimed d 1000 1001"], 1000) == ""
    assert "claimed twice" in judge(["claimed d 0 1", "claimed d 998 999"], 1000)
    assert "completed twice" in judge(["completed d 0 1", "completed d 2 3"], 1000)
    assert judge([], 1000)
