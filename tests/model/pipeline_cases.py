"""What is explored of the pipelines in one go."""

from tests.model.pipeline_account import Case

EXTRACTION = (("pending", "extracting"), ("extracted", "embedding"))
FROM_FAILED = (("pending", "embedding"), ("failed", "embedding"))

PIPELINE_SMALL = [
    Case("two documents, vectors, a lapse", faults={"tick": 1}),
    Case("restaged while claimed", 1, deeds=("vectors",), faults={"restage": 1, "tick": 2}),
    Case("restaged twice", 1, deeds=("vectors",), faults={"restage": 2}),
    Case("restaged behind another", 2, 1, deeds=("complete",), faults={"restage": 2}),
    Case("heartbeats in time and late", 1, deeds=("heartbeat", "complete"), faults={"tick": 4}),
    Case("one of two heartbeats", deeds=("heartbeat",), limits=(1,), faults={"tick": 2}),
    Case("completed late", 1, deeds=("complete",), faults={"tick": 2, "restage": 1}),
    Case(
        "given up, failed, swept",
        *(1, 2),
        claims=FROM_FAILED,
        deeds=("complete", "sweep"),
        faults={"tick": 2, "move": 2},
    ),
    Case(
        "stages of their own",
        1,
        claims=EXTRACTION,
        deeds=("advance", "complete", "sweep"),
        faults={"tick": 2, "restage": 1},
    ),
    Case(
        "workers and gateways crash",
        1,
        deeds=("vectors", "sweep"),
        faults={"crash": 1, "deaf": 1, "tick": 2},
    ),
    Case("strangers", 1, deeds=("vectors",), faults={"stranger": 2, "restage": 1}),
    Case("by prefix", 2, 1, limits=(1,), prefixes=("", "d1", "d", "e"), faults={"restage": 2}),
]

# A worker is known by its name alone. One that is at work on a document which is staged again, and
# that claims it again without hearing of that, completes it by the older chunks.
PIPELINE_WINDOWS = [
    Case(
        "claimed anew unheard",
        *(1, 1),
        deeds=("complete",),
        faults={"restage": 1, "deaf": 1},
        anew=True,
    ),
]

PIPELINE_LARGE = [
    Case(
        "two documents, everything",
        deeds=("vectors", "complete"),
        faults={"restage": 1, "tick": 1, "crash": 1, "deaf": 1},
    ),
    Case(
        "one document, everything twice",
        1,
        deeds=("vectors", "complete", "heartbeat", "sweep"),
        faults={"restage": 1, "tick": 3, "crash": 1, "deaf": 1, "move": 1, "stranger": 1},
    ),
    Case(
        "stages of their own, two documents",
        claims=EXTRACTION,
        deeds=("advance", "vectors"),
        faults={"restage": 1, "tick": 1},
    ),
]
