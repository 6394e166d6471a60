"""The sets that are explored: the small one with every test run, the large one when asked for."""

from hevfast.cache.coherence import Mode
from hevfast.cache.keys import DIGESTS_INLINE_MAX
from tests.model.configuration import Configuration, Write, puts

PUT, PATCH, DELETE = Write("put"), Write("patch"), Write("delete")
EVERYTHING, FILTER = Write("everything", ()), Write("filter")


def but(write: Write, outcomes: str) -> Write:
    return Write(write.kind, write.keys, outcomes)


def on(write: Write, *keys: int) -> Write:
    return Write(write.kind, keys, write.outcomes)


def explored(
    name: str,
    *writes: Write,
    fetches: tuple[int, ...] = (),
    buckets: tuple[int, ...] = (0,),
    mode: Mode = Mode.REFUSE,
    cached: bool = True,
    young: bool = False,
    late_kinds: bool = False,
    parted: bool = False,
    settles: bool = True,
    inline_max: int = DIGESTS_INLINE_MAX,
    **faults: int,
) -> Configuration:
    return Configuration(
        name,
        writes,
        fetches,
        buckets,
        mode,
        cached,
        young,
        late_kinds or parted,
        parted,
        False,
        settles,
        inline_max,
        faults,
    )


SMALL = (
    explored("2 puts, 2 fetches", PUT, PUT, fetches=(0, 0)),
    explored("2 puts, fetch, evicted twice", PUT, PUT, fetches=(0,), evict=2),
    explored("2 puts, any outcome", *puts(2, "ORUMN")),
    explored("put, put in doubt, fetch", but(PUT, "U"), PUT, fetches=(0,)),
    explored("3 puts", PUT, PUT, PUT),
    explored("2 puts, crash, fetch", PUT, PUT, fetches=(0,), crash=1),
    explored("2 puts, crash, batch left on the wire", PUT, PUT, crash=1, doubt=1),
    explored("2 puts, swept early, fetch", PUT, PUT, fetches=(0,), early=1),
    explored("2 puts, registry lost, fetch", PUT, PUT, fetches=(0,), lose_registry=1),
    explored("2 puts, registry lost, crash", PUT, PUT, lose_registry=1, crash=1),
    explored("put, registry lost, crash, fetch", PUT, fetches=(0,), lose_registry=1, crash=1),
    explored("2 puts, all lost, doubt", PUT, PUT, lose_all=1, doubt=1),
    explored("2 puts, doubts, fetch", PUT, PUT, fetches=(0,), doubt=1, evict=1),
    explored("2 puts, begins fail", *puts(2, "OU"), begin=1),
    explored("2 puts, begins fail, open", PUT, PUT, mode=Mode.OPEN, begin=2),
    explored("2 puts, begins fail, refused", PUT, PUT, fetches=(0,), begin=2),
    explored("put, begins fail, crash, refused", PUT, fetches=(0,), begin=3, crash=1, fail=1),
    explored("put, patch, begins fail, refused", PUT, PATCH, begin=2),
    explored("put, store away, crash, refused", PUT, fetches=(0,), fail=2, crash=1, hopeless=1),
    explored("put, begins fail, crash, open", PUT, fetches=(0,), mode=Mode.OPEN, begin=2, crash=1),
    explored("put, patch, begins fail, open", PUT, PATCH, mode=Mode.OPEN, begin=2),
    explored("put in doubt like many, put", but(PUT, "OC"), PUT, fetches=(0,)),
    explored("put in doubt like many, patch", but(PUT, "OC"), PATCH, fetches=(0,)),
    explored("everything in doubt like many, put", but(EVERYTHING, "OC"), PUT),
    explored("puts in doubt like many, operations fail", *puts(2, "OC"), fail=1),
    explored("put in doubt like many, crash, fetch", but(PUT, "OC"), fetches=(0,), fail=1, crash=1),
    explored(
        "put in doubt like many, begins fail, open",
        but(PUT, "OC"),
        fetches=(0,),
        mode=Mode.OPEN,
        begin=2,
    ),
    explored("2 keys in parts, put", on(PUT, 0, 1), on(PUT, 1), buckets=(0, 1), parted=True),
    explored("2 keys in parts, patch", on(PATCH, 0, 1), on(PUT, 1), buckets=(0, 0), parted=True),
    explored(
        "2 keys in parts, doubt",
        on(PUT, 0, 1),
        fetches=(0,),
        buckets=(0, 1),
        parted=True,
        doubt=1,
        fail=1,
    ),
    explored(
        "2 keys in parts, early", on(PUT, 0, 1), on(PUT, 0), buckets=(0, 1), parted=True, early=1
    ),
    explored("2 puts, operations fail, fetch", PUT, PUT, fetches=(0,), fail=1),
    explored("put, doubt, store away", PUT, fetches=(0,), doubt=1, fail=2, hopeless=1),
    explored("2 puts, store away, open", PUT, PUT, mode=Mode.OPEN, fail=1, doubt=1, hopeless=1),
    explored("patch, put, fetch, evicted", PATCH, PUT, fetches=(0,), evict=1),
    explored("patch, put, any outcome", but(PATCH, "ORU"), but(PUT, "ORU"), evict=1),
    explored("patch, patch, fetch, doubt", PATCH, PATCH, fetches=(0,), doubt=1),
    explored("patch, put, operations fail", PATCH, PUT, fail=1),
    explored("patch, put, registry lost", PATCH, PUT, lose_registry=1),
    explored("patch, put, young, fetch", PATCH, PUT, fetches=(0,), young=True, cached=False),
    explored("put, delete, patch", PUT, DELETE, PATCH),
    explored("patch, put, kinds told late", PATCH, PUT, fetches=(0,), late_kinds=True, evict=1),
    explored("patch, patch, kinds told late", PATCH, PATCH, late_kinds=True, fail=1, doubt=1),
    explored("delete, put, fetch, doubt", DELETE, PUT, fetches=(0,), doubt=1),
    explored("2 keys, 1 bucket", on(PUT, 0, 1), on(PUT, 1), buckets=(0, 0), evict=1, doubt=1),
    explored("2 keys, 2 buckets", on(PUT, 0, 1), on(PUT, 1), fetches=(1,), buckets=(0, 1)),
    explored("2 keys, patch and put", on(PATCH, 0, 1), on(PUT, 1), buckets=(0, 0), evict=1),
    explored("everything, put, fetch", but(EVERYTHING, "ORU"), PUT, fetches=(0,)),
    explored("everything, put, put", EVERYTHING, PUT, PUT),
    explored("filter, put, fetch", but(FILTER, "ORU"), PUT, fetches=(0,)),
    explored("filter, patch, 2 keys", FILTER, on(PATCH, 0, 1), buckets=(0, 1), doubt=1),
    explored("lists kept elsewhere", PUT, PATCH, inline_max=0, crash=1),
    explored("lists kept elsewhere, 2 keys", PUT, on(PUT, 1), buckets=(0, 1), inline_max=0),
    explored("2 puts, full", *puts(2, "ON"), full=1),
    explored("put, full, crash, fetch", but(PUT, "OU"), fetches=(0,), full=2, crash=1),
    explored("put, patch, full", but(PUT, "OU"), PATCH, full=1),
    explored("put, full, operations fail", PUT, fetches=(0,), full=1, fail=2, hopeless=1),
    explored("2 puts, full, open", PUT, PUT, mode=Mode.OPEN, full=1, fail=1),
    explored("put, young, matured late, crash", PUT, fetches=(0,), young=True, late=1, crash=1),
)

LARGE = (
    explored("2 puts, 2 fetches, evicted", PUT, PUT, fetches=(0, 0), evict=1),
    explored("2 puts, any outcome, fetch, evicted", *puts(2, "ORU"), fetches=(0,), evict=1),
    explored("2 puts, crash, fetch, evicted", *puts(2, "OU"), fetches=(0,), crash=1, evict=1),
    explored("2 puts, registry lost twice, fetch", PUT, PUT, fetches=(0,), lose_registry=2),
    explored("2 puts, all lost, doubt, fetch", PUT, PUT, fetches=(0,), lose_all=1, doubt=1),
    explored(
        "2 puts, registry lost, crash, fetch", PUT, PUT, fetches=(0,), lose_registry=1, crash=1
    ),
    explored(
        "put, registry lost twice, matured late, crash",
        *(PUT,),
        fetches=(0, 0),
        lose_registry=2,
        late=1,
        crash=1,
    ),
    explored("2 puts, begins fail, fetch, evicted", *puts(2), fetches=(0,), begin=2, evict=1),
    explored(
        "2 puts, begins fail, open",
        *(but(PUT, "OU"), PUT),
        fetches=(0,),
        mode=Mode.OPEN,
        begin=1,
        evict=1,
    ),
    explored("put, patch, begins fail, fetch", PUT, PATCH, fetches=(0,), begin=1),
    explored("put, patch, all lost, fetch", but(PUT, "OU"), PATCH, fetches=(0,), lose_all=1),
    explored("put, patch, all lost, crash, fetch", PUT, PATCH, fetches=(0,), lose_all=1, crash=1),
    explored(
        "patch, put, registry lost, crash", PATCH, PUT, fetches=(0,), lose_registry=1, crash=1
    ),
    explored(
        "2 puts, fetch, evicted, doubt, early, registry lost",
        *puts(2),
        fetches=(0,),
        evict=1,
        doubt=1,
        early=1,
        lose_registry=1,
    ),
    explored("3 puts, fetch, evicted", *puts(3), fetches=(0,), evict=1),
    explored("3 puts, 2 fetches", *puts(3), fetches=(0, 0)),
    explored("put, patch, delete, evicted", PUT, but(PATCH, "OU"), DELETE, evict=1),
    explored("put, patch, patch, fetch", PUT, PATCH, PATCH, fetches=(0,)),
    explored("patch, put, kinds told late, 2 fetches", PATCH, PUT, fetches=(0, 0), late_kinds=True),
    explored("3 patches, kinds told late", PATCH, PATCH, PATCH, fetches=(0,), late_kinds=True),
    explored(
        "2 keys, kinds told late",
        *(on(PATCH, 0, 1), on(PATCH, 1), PUT),
        buckets=(0, 1),
        fetches=(1,),
        late_kinds=True,
    ),
    explored("patch, put, not cached, 2 fetches", PATCH, PUT, fetches=(0, 0), cached=False),
    explored(
        "2 keys, 3 writes, 1 bucket",
        *(PUT, on(PUT, 0, 1), on(PUT, 1)),
        fetches=(1,),
        buckets=(0, 0),
        evict=1,
    ),
    explored(
        "2 keys, 3 writes, 2 buckets",
        *(PUT, on(PATCH, 0, 1), on(PUT, 1)),
        buckets=(0, 1),
        evict=1,
    ),
    explored(
        "2 puts, crash, early, registry lost, evicted",
        *puts(2, "OU"),
        crash=1,
        early=1,
        lose_registry=1,
        evict=1,
        settles=False,
    ),
    explored(
        "patch, put, fetch, crash, evicted, doubt",
        *(but(PATCH, "OU"), but(PUT, "OU")),
        fetches=(0,),
        crash=1,
        evict=1,
        doubt=1,
    ),
    explored("everything, put, put, early, fetch", EVERYTHING, PUT, PUT, fetches=(0,), early=1),
    explored("filter, put, patch, fetch, evicted", FILTER, PUT, PATCH, fetches=(0,), evict=1),
    explored("filter, put, crash, doubt", but(FILTER, "OU"), PUT, fetches=(0,), crash=1, doubt=1),
    explored("everything, filter, put, fetch", EVERYTHING, FILTER, PUT, fetches=(0,)),
    explored("2 puts, store away, doubt", *puts(2), fetches=(0,), fail=2, doubt=1, hopeless=1),
    explored("patch, put, operations fail", PATCH, PUT, fetches=(0,), fail=2, evict=1),
    explored("2 puts, full twice, crash", *puts(2), fetches=(0,), full=2, crash=1),
    explored("put, patch, full twice, crash", PUT, PATCH, fetches=(0,), full=2, crash=1),
    explored("put, patch, full, operations fail", PUT, PATCH, fetches=(0,), full=1, fail=1),
    explored("2 puts, full, registry lost", *puts(2), fetches=(0,), full=1, lose_registry=1),
    explored("patch, put, put, full", PATCH, PUT, PUT, full=1),
    explored("2 puts, full, doubt, crash", *puts(2), fetches=(0,), full=1, doubt=1, crash=1),
    explored("delete, filter, full, crash", DELETE, FILTER, fetches=(0,), full=1, crash=1),
    explored("2 puts, full, swept early", *puts(2), fetches=(0,), full=1, early=1),
)

EMBEDDED_SMALL = (
    explored("3 puts, any outcome, evicted", *puts(2, "ORU"), PUT, evict=1),
    explored("3 puts, fetch, evicted", *puts(3), fetches=(0,), evict=1),
    explored(
        "2 puts, crash, early, all lost", *puts(2), crash=1, early=1, lose_all=1, settles=False
    ),
    explored("2 puts, crash, fetch, evicted", *puts(2, "OU"), fetches=(0,), crash=1, evict=1),
    explored("patch, put, patch, fetch", but(PATCH, "OU"), PUT, PATCH, fetches=(0,), evict=1),
    explored("delete, put, 2 fetches, early", DELETE, PUT, fetches=(0, 0), early=1),
    explored("delete, put, patch, fetch", DELETE, PUT, PATCH, fetches=(0,)),
    explored("2 keys, 3 writes", PUT, on(PATCH, 0, 1), on(PUT, 1), fetches=(1,), buckets=(0, 0)),
    explored("everything, put, patch, fetch", but(EVERYTHING, "ORU"), PUT, PATCH, fetches=(0,)),
    explored("filter, everything, put", but(FILTER, "ORU"), EVERYTHING, PUT, early=1),
    explored("2 puts, begins fail, crash, fetch", *puts(2), fetches=(0,), begin=1, crash=1),
    explored("put, patch, begins fail, crash", PUT, PATCH, begin=1, crash=1),
    explored("patch, put, full, fetch, evicted", PATCH, PUT, fetches=(0,), full=1, evict=1),
    explored("2 keys, ends fail", on(PUT, 0, 1), on(PATCH, 1), buckets=(0, 0), fail=1, begin=1),
    explored("2 puts, ends fail, early", *puts(2), fetches=(0,), fail=2, early=1),
)

EMBEDDED_LARGE = (
    explored("3 puts, 2 fetches, evicted", *puts(3), fetches=(0, 0), evict=1),
    explored("2 puts, crash, 2 fetches, evicted", *puts(2, "OU"), fetches=(0, 0), crash=1, evict=1),
    explored(
        "2 puts, crash, early, all lost, fetch",
        *puts(2, "OU"),
        fetches=(0,),
        crash=1,
        early=1,
        lose_all=1,
        settles=False,
    ),
    explored(
        "2 keys, 3 writes, any outcome",
        *(PUT, but(on(PUT, 0, 1), "ORU"), on(PUT, 1)),
        fetches=(1,),
        buckets=(0, 0),
        evict=1,
    ),
    explored(
        "filter, everything, put, 2 keys",
        *(but(FILTER, "ORU"), EVERYTHING, on(PUT, 0, 1)),
        fetches=(1,),
        buckets=(0, 0),
        early=1,
    ),
    explored("3 puts, begins fail, fetch", *puts(3), fetches=(0,), begin=1),
    explored("put, patch, full, crash, 2 fetches", PUT, PATCH, fetches=(0, 0), full=1, crash=1),
    explored("3 puts, full, fetch", *puts(3), fetches=(0,), full=1),
    explored("everything, put, put, full", EVERYTHING, PUT, PUT, fetches=(0,), full=1),
    explored("put, patch, patch, full, crash", PUT, PATCH, PATCH, full=1, crash=1),
    explored(
        "patch, put, begins fail twice", but(PATCH, "OU"), but(PUT, "OUR"), fetches=(0,), begin=2
    ),
    explored(
        "patch, put, all that fails", PATCH, PUT, fetches=(0,), full=1, fail=1, begin=1, evict=1
    ),
)

# What stays open, each with the assumption it breaks: a trace is expected.
WINDOWS = (
    explored(
        "open: the store is away, and the gateway crashes",
        *(PUT,),
        mode=Mode.OPEN,
        begin=2,
        fail=1,
        crash=1,
    ),
    explored(
        "open: the store is away, and another write patches",
        *(PUT, PATCH),
        mode=Mode.OPEN,
        begin=2,
        fail=1,
    ),
    explored(
        "a writer stalls until it is swept, then crashes", PUT, fetches=(0,), early=1, crash=1
    ),
    explored(
        "a writer stalls until it is swept, and another patches", PUT, PATCH, fetches=(0,), early=1
    ),
)
