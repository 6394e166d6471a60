"""How the service behaves at the moment: its times, limits and faults, which may be changed."""

from dataclasses import dataclass, field

from . import shapes
from .answers import bad_request
from .faults import Faults, check_fault
from .indexing import Indexing
from .options import TIME_MS_MAX, Effect, Fault, Options, Span
from .timing import CommitTimes, QuerySlots, WriteRate


@dataclass(slots=True)
class Conditions:
    commit_ms: Span
    group_commits: bool
    query_ms: Span
    copy_ms: float
    limited: bool
    faults: Faults
    indexing: Indexing
    commits: CommitTimes
    seed: int | None
    write_rate: WriteRate = field(default_factory=WriteRate)
    slots: dict[str, QuerySlots] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Options) -> "Conditions":
        return cls(
            options.commit_ms,
            options.group_commits,
            options.query_ms,
            options.copy_ms,
            options.limited,
            Faults(options.faults, options.seed),
            Indexing(
                options.index_lag_ms,
                unindexed_bytes_max=options.unindexed_bytes_max,
                eventual_tail_bytes=options.eventual_tail_bytes,
            ),
            CommitTimes(options.seed),
            options.seed,
        )

    def view(self) -> dict[str, object]:
        return {
            "commit_ms": self.commit_ms,
            "group_commits": self.group_commits,
            "query_ms": self.query_ms,
            "copy_ms": self.copy_ms,
            "limited": self.limited,
            "index_lag_ms": self.indexing.lag_ms,
            "index_held": sorted(self.indexing.held),
            "eventual_tail_bytes": self.indexing.eventual_tail_bytes,
            "unindexed_bytes_max": self.indexing.unindexed_bytes_max,
            "seed": self.seed,
            "faults": [_fault_view(fault) for fault in self.faults.faults],
        }

    def update(self, fields: dict[str, object]) -> None:
        """Change what is named and leave the rest; nothing changes if anything is wrong.

        A new list of faults or a new seed begins all draws anew.
        """
        known = self.view()
        for name in fields:
            if name not in known:
                raise bad_request(f"unknown condition `{name}`, expected {', '.join(known)}")
        read = {name: _READERS[name](name, value) for name, value in fields.items()}
        seed = read.get("seed", self.seed)
        faults = read.get("faults", self.faults.faults)
        if "seed" in read or "faults" in read:
            try:
                read["faults"] = Faults(faults, seed)  # type: ignore[arg-type]  # as its reader made it
            except ValueError as fault:
                raise bad_request(f"faults: {fault}") from fault
        if "seed" in read:
            self.commits = CommitTimes(seed)  # type: ignore[arg-type]  # as its reader made it
        for name, value in read.items():
            if name == "index_lag_ms":
                self.indexing.lag_ms = value  # type: ignore[assignment]  # as its reader made it
            elif name in ("eventual_tail_bytes", "unindexed_bytes_max"):
                setattr(self.indexing, name, value)
            elif name == "index_held":
                self.indexing.held = value  # type: ignore[assignment]  # as its reader made it
            else:
                setattr(self, name, value)

    def slots_of(self, name: str) -> QuerySlots:
        return self.slots.setdefault(name, QuerySlots())


def _time_ms(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise bad_request(f"{name}: expected milliseconds, found {value!r}")
    if value > TIME_MS_MAX:
        raise bad_request(f"{name}: at most {TIME_MS_MAX} ms")
    return float(value)


def _span(name: str, value: object) -> Span:
    match value:
        case [least, most]:
            span = (_time_ms(name, least), _time_ms(name, most))
        case _:
            span = (_time_ms(name, value), _time_ms(name, value))
    if span[0] > span[1]:
        raise bad_request(f"{name}: the least time is above the most")
    return span


def _held(name: str, value: object) -> set[str]:
    if isinstance(value, bool):
        return {"*"} if value else set()
    return set(shapes.texts(name, value))


def _seed(name: str, value: object) -> int | None:
    return None if value is None else shapes.count(name, value)


def _faults(name: str, value: object) -> tuple[Fault, ...]:
    return tuple(_fault(shapes.mapping(name, raw)) for raw in shapes.sequence(name, value))


def _fault(given: dict[str, object]) -> Fault:
    """Read one fault; `effect` is a word, or may be left out beside `status`."""
    fields = {"effect": Effect.STATUS.value, **given}
    try:
        fault = Fault(**{**fields, "effect": Effect(fields["effect"])})  # type: ignore[arg-type]  # the checks below find wrong types
        check_fault(fault)
    except (TypeError, ValueError) as wrong:
        raise bad_request(f"faults: {given}: {wrong}") from wrong
    return fault


def _fault_view(fault: Fault) -> dict[str, object]:
    view = {name: getattr(fault, name) for name in Fault.__slots__}
    return view | {"effect": fault.effect.value}


_READERS = {
    "commit_ms": _span,
    "group_commits": shapes.boolean,
    "query_ms": _span,
    "copy_ms": _time_ms,
    "limited": shapes.boolean,
    "index_lag_ms": _time_ms,
    "index_held": _held,
    "eventual_tail_bytes": shapes.count,
    "unindexed_bytes_max": shapes.count,
    "seed": _seed,
    "faults": _faults,
}
