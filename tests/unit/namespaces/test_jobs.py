"""Work that goes on: how it ends, how much of it there may be."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hevfast.core.errors import GatewayError
from hevfast.namespaces import jobs as module
from hevfast.namespaces.asking import RefusedError
from hevfast.namespaces.jobs import Job, Jobs
from hevfast.namespaces.shelf import Shelf
from hevfast.upstream.answer import Answer

pytestmark = pytest.mark.anyio

NS = b"ns"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def jobs(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Jobs]:
    made = Jobs(Shelf(tmp_path / "jobs", "scan"))
    yield made
    await made.close()


def new(jobs: Jobs, namespace: bytes = NS) -> Job:
    return Job(jobs.shelf, namespace, None, {"mode": "ids"})


async def ended(jobs: Jobs, job: Job) -> dict[str, object]:
    """Wait for the end of a job; give what the shelf says of it."""
    await asyncio.gather(*list(jobs._running), return_exceptions=True)
    state = jobs.shelf.get(job.namespace.decode(), job.id)
    assert state is not None
    return state


async def forever(job: Job) -> None:
    await asyncio.Event().wait()


async def test_a_job_that_is_done_says_so(jobs: Jobs) -> None:
    job = new(jobs)
    job.rows_expected = 10

    async def work(job: Job) -> None:
        await job.scanned(4)
        assert job.state["progress"] == 0.4
        await job.scanned(40)
        assert job.state["progress"] == 0.99

    await jobs.start(job, work, None)
    assert jobs.shelf.get("ns", job.id) is not None, "it is known before it is answered"
    state = await ended(jobs, job)
    assert (state["status"], state["progress"], state["documents_scanned"]) == (
        "completed",
        1.0,
        44,
    )
    assert jobs.running(NS) is None


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (GatewayError("upstream_error", "It is away."), "It is away."),
        (RefusedError(Answer(429, [], b"slow down")), "Turbopuffer answered 429: slow down"),
        (OSError(28, "No space left on device"), "It cannot be kept: No space left on device."),
        (ValueError("odd"), "The gateway has a fault; its log says more."),
    ],
)
async def test_a_job_that_fails_says_why(jobs: Jobs, fault: Exception, said: str) -> None:
    async def work(job: Job) -> None:
        raise fault

    job = new(jobs)
    await jobs.start(job, work, None)
    state = await ended(jobs, job)
    assert (state["status"], state["error"]) == ("failed", said)


async def test_a_job_that_takes_too_long_is_ended(jobs: Jobs) -> None:
    job = new(jobs)
    await jobs.start(job, forever, 0.01)
    state = await ended(jobs, job)
    assert state["status"] == "failed"
    assert "0.01 seconds" in str(state["error"])


async def test_more_jobs_than_a_worker_runs_are_refused(jobs: Jobs) -> None:
    for number in range(module._RUNNING_MAX):
        await jobs.start(new(jobs, b"ns-%d" % number), forever, None)
    with pytest.raises(GatewayError) as caught:
        await jobs.start(new(jobs), forever, None)
    assert caught.value.code == "service_unavailable"
    assert jobs.shelf.all_of("ns") == []


async def test_closing_ends_all_jobs_and_says_so(jobs: Jobs) -> None:
    job = new(jobs)
    await jobs.start(job, forever, None)
    await asyncio.sleep(0)
    await jobs.close()
    state = jobs.shelf.get("ns", job.id)
    assert state is not None
    assert (state["status"], state["error"]) == ("failed", "It was ended: the worker stopped.")


async def test_a_job_that_another_worker_removed_ends(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TELL_S", 0.0)

    async def work(job: Job) -> None:
        while True:
            await job.scanned(1)

    job = new(jobs)
    await jobs.start(job, work, None)
    jobs.shelf.remove("ns", job.id)
    await asyncio.gather(*list(jobs._running))
    assert jobs.shelf.all_of("ns") == []


async def test_jobs_of_a_namespace_that_is_gone_leave_nothing(jobs: Jobs) -> None:
    ours, others = new(jobs), new(jobs, b"other")
    await jobs.start(ours, forever, None)
    await jobs.start(others, forever, None)
    await asyncio.sleep(0)
    task = next(task for task, job in jobs._running.items() if job is ours)
    await jobs.forget(NS)
    await asyncio.gather(task, return_exceptions=True)
    assert jobs.shelf.all_of("ns") == []
    assert jobs.running(b"other") is others


async def test_a_job_that_cannot_be_noted_down_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file is in the way")
    jobs = Jobs(Shelf(tmp_path / "jobs", "scan"))
    with pytest.raises(GatewayError) as caught:
        await jobs.start(new(jobs), forever, None)
    assert caught.value.code == "service_unavailable"
    assert jobs.running(NS) is None
