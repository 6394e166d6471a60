"""What the way of a document through its pipeline shows in `/metrics`."""

import asyncio
from typing import Any

import pytest

from hevfast.observe.exposition import Exposition
from hevfast.observe.stages import STAGES, Stages
from hevfast.observe.tally import Tally
from hevfast.pipelines import model
from hevfast.pipelines.store import NOWHERE, Counts, UnableError
from hevfast.routes.moves import StageCounts
from tests.contract.pipelines.calling import Caller, ask, caller, gateway
from tests.fakes.pipelines import PIPELINE, ScriptedPipelines
from tests.fakes.scrape import Scrape

__all__ = ["caller", "gateway"]

ROWS = [{"id": "r", "vector": [1]}]


def scrape(caller: Caller) -> Scrape:
    reply = ask(caller.gateway, "GET", "/metrics", None, [])
    assert reply.status == 200
    return Scrape(reply.body.decode())


def test_each_change_of_stage_is_counted_with_its_time(caller: Caller) -> None:
    caller.stage("a")
    caller.post("/documents", {"documents": [{"id": "b", "chunks": []}]})
    caller.claim()
    caller.vectors("a", ROWS)
    caller.move(["b"], "failed", reason="blurred")
    caller.move(["b"], "failed")
    shown = scrape(caller)
    pipeline = {"pipeline_id": caller.pipeline}
    ways = [
        ("none", "pending", 2),
        ("pending", "embedding", 2),
        ("embedding", "indexed", 1),
        ("embedding", "failed", 1),
    ]
    for source, target, count in ways:
        way = {**pipeline, "from_stage": source, "to_stage": target}
        assert shown.value("layer_stage_transitions_total", status="ok", **way) == count
        assert shown.value("layer_stage_duration_seconds_count", **way) == count
    assert shown.value("layer_pipeline_indexed_total", **pipeline) == 1
    assert shown.value("layer_pipeline_failed_total", reason="blurred", **pipeline) == 1
    rejected = shown.value("hevfast_writes_rejected_total", reason="validation_error")
    caller.vectors("a", [])
    again = scrape(caller).value("hevfast_writes_rejected_total", reason="validation_error")
    assert again == rejected + 1
    written = {**pipeline, "namespace": caller.namespace}
    assert shown.value("layer_upsert_duration_seconds_count", status="ok", **written) == 1
    assert shown.value("layer_upsert_batch_size_sum", **written) == 1


def test_documents_by_stage_are_shown_with_zeros(caller: Caller) -> None:
    caller.stage("a")
    caller.move(["b"], "extracting", create_missing=True)
    shown = scrape(caller)
    counts = {
        stage: shown.samples.get(
            ("layer_pipeline_stage_count", frozenset({("pipeline_id", caller.pipeline),
                                                      ("stage", stage)}))
        )
        for stage in ("pending", "embedding", "indexed", "failed", "extracting")
    }  # fmt: skip
    assert counts == {"pending": 1, "embedding": 0, "indexed": 0, "failed": 0, "extracting": 1}


def test_words_of_the_counts_are_those_of_the_stages() -> None:
    assert (NOWHERE, *model.STANDARD_STAGES) == STAGES
    assert STAGES[3:] == (model.INDEXED, model.FAILED)


async def shown_of(tally: Tally, store: Any) -> Scrape:
    pieces = await Exposition(tally, StageCounts(store, tally)).pieces()
    return Scrape(b"".join(pieces).decode())


@pytest.mark.anyio
async def test_store_that_fails_or_hangs_leaves_all_other_metrics() -> None:
    class Hanging(ScriptedPipelines):
        async def counts(self, pipeline: str) -> Counts:
            await asyncio.sleep(60)
            raise AssertionError

    for store in (
        ScriptedPipelines(pipelines=[UnableError()]),
        ScriptedPipelines(pipelines=[[PIPELINE]], counts=[UnableError()]),
        Hanging(pipelines=[[PIPELINE]]),
    ):
        shown = await shown_of(Tally(), store)
        assert shown.value("hevfast_workers") == 1
        assert shown.values_of("layer_pipeline_stage_count", "stage") == set()


@pytest.mark.anyio
async def test_names_are_bounded_and_the_stages_of_all_pipelines_are_among_them() -> None:
    tally = Tally()
    stages = Stages(tally)
    for n in range(200):
        stages.moved(f"p-{n}", [(f"s-{n}", f"t-{n}", 0.1)])
        stages.moved(f"p-{n}", [("embedding", "failed", 0.1)], f"reason-{n}")
    stages.moved("p-0", [("pending", "indexed", 0.1)])
    many = [PIPELINE._replace(id=f"p-{n}") for n in range(200)]
    counts = Counts({"pending": 1, "s-0": 2, "s-190": 3, "s-191": 4}, {}, 0, False)
    shown = await shown_of(tally, ScriptedPipelines(pipelines=[many], counts=[counts]))
    assert len(shown.values_of("layer_stage_transitions_total", "pipeline_id")) == 51
    assert len(shown.values_of("layer_stage_transitions_total", "from_stage")) <= 65
    assert len(shown.values_of("layer_pipeline_failed_total", "reason")) == 64
    assert len(shown.values_of("layer_pipeline_stage_count", "pipeline_id")) == 50
    assert shown.value("layer_pipeline_indexed_total", pipeline_id="p-0") == 1
    assert shown.value("layer_pipeline_stage_count", pipeline_id="p-0", stage="other") == 7
    assert shown.total("layer_stage_transitions_total") == 401
