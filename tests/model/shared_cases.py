"""Gateways' deeds that meet, within bounds: two of them, two documents."""

from functools import partial
from typing import Any

from hevfast.pipelines.aerospike_claims import Terms, claim
from hevfast.pipelines.aerospike_deeds import extend, index, move, stage
from hevfast.pipelines.aerospike_repeating import settle_overdue
from hevfast.pipelines.aerospike_upkeep import sweep
from hevfast.pipelines.store import Staging
from tests.model.shared_world import LEASE_MS, Case, Script


def staging(*documents: str, version: int = 1) -> Script:
    chunks = b"[%d]" % version
    return partial(stage, stagings=[Staging(each, chunks, 1) for each in documents])


def claiming(worker: str, limit: int = 2) -> Script:
    return partial(claim, terms=Terms("pending", "embedding", worker, LEASE_MS), limit=limit)


def moving(*documents: str, to: str = "indexed", worker: str | None = None, **words: Any) -> Script:
    terms: dict[str, Any] = {"from_stage": None, "reason": "", "create_missing": False} | words
    return partial(move, documents=documents, stage=to, worker=worker, **terms)


def beating(worker: str) -> Script:
    return partial(extend, documents=["a"], stage="embedding", worker=worker)


def indexing(document: str, generation: int) -> Script:
    return partial(index, each=document, generation=generation, rows=b"[1]", worker=None)


A, B = staging("a"), staging("b")
AB = staging("a", "b")
AGAIN = staging("a", version=2)
W1, W2 = claiming("w1"), claiming("w2")
ONE1, ONE2 = claiming("w1", 1), claiming("w2", 1)
DONE1 = moving("a", worker="w1")
BACK_A, BACK_B = (moving(each, to="pending", worker="w1") for each in "ab")
SETTLE: Script = settle_overdue
SWEEP: Script = sweep

DIE, LOSE, TICK, VANISH = ("die", 1), ("lose", 1), ("tick", 1), ("vanish", 1)

SHARED_SMALL = [
    Case("one document staged twice", ((A,), (AGAIN,)), faults=(DIE,)),
    Case("staged while it is claimed", ((A,), (W1,)), faults=(DIE,)),
    Case("two staged, one claims", ((AB,), (W1,)), faults=(DIE,), backwards=True),
    Case("two claim two", ((W1,), (W2,)), (AB,), (DIE,)),
    Case("two claim one each", ((ONE1,), (ONE2,)), (AB,), (DIE,)),
    Case("staged anew while it is claimed", ((W1,), (AGAIN,)), (A,), (DIE,)),
    Case("completed and staged anew", ((DONE1,), (AGAIN,)), (A, W1), (DIE,)),
    Case("completed twice", ((DONE1,), (indexing("a", 2),)), (A, W1), (DIE,)),
    Case("lapsed and beaten", ((W2,), (beating("w1"),)), (A, W1), (TICK, DIE)),
    Case("lapsed and completed", ((W2,), (DONE1,)), (A, W1), (TICK, DIE)),
    Case("swept and claimed", ((SWEEP,), (W2,)), (A, W1), (TICK, DIE)),
    Case("settled while it runs", ((A,), (SETTLE,)), faults=(DIE, LOSE)),
    Case("settled while it claims", ((W1,), (SETTLE,)), (A,), (LOSE,)),
    Case("settled by two", ((A,), (SETTLE,), (SETTLE,)), faults=(DIE,)),
    Case("not answered", ((AB,), (SETTLE,)), faults=(LOSE,), backwards=True),
    Case("failed with reasons", ((moving("a", to="failed", reason="x"),), (W1,)), (A,), (DIE,)),
    Case("created, and staged", ((moving("a", to="cut", create_missing=True),), (A,)), (), (DIE,)),
    Case("more come back than fit", ((BACK_A,), (BACK_B,)), (AB, W1), (DIE,)),
    Case("a segment is passed", ((AB,), (ONE1, ONE1)), faults=(DIE,)),
]

# Records that were lost: their documents are taken off the counts, once.
SHARED_LOSSES = [
    Case("one that waited is gone", ((ONE1,),), (A,), lost=("a",)),
    Case("one under a lease is gone", ((W2,),), (A, W1), (TICK,), lost=("a",)),
]

# Explored by command.
SHARED_LARGE = [
    Case("both find that one is gone", ((ONE1,), (ONE2,)), (A,), lost=("a",)),
    Case("two claim two, and lose answers", ((W1,), (W2,)), (AB,), (DIE, LOSE)),
    Case("two claim two, backwards", ((W1,), (W2,)), (AB,), (DIE,), backwards=True),
    Case("swept by two", ((SWEEP,), (SWEEP,)), (A, W1), (TICK, DIE)),
]

# What stays open. A record that is lost may be counted for good if its document is staged anew
# before its hint is met, if it goes at the very moment that its document is changed, or if whoever
# finds it gone dies or is taken for dead.
SHARED_WINDOWS = [
    Case("staged anew after it was lost", ((AGAIN,), (W1,)), (A,), lost=("a",)),
    Case("a record vanishes", ((ONE1,), (ONE2,)), (A,), (VANISH,)),
    Case("lost, and its finder dies", ((ONE1,), (SETTLE,)), (A,), (DIE,), lost=("a",)),
]
