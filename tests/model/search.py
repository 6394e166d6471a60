"""Breadth-first search over hashable states, with the shortest trace to whatever is wrong."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

State = Any
Label = tuple[Any, ...]
Steps = Callable[[State], Iterable[tuple[Label, State]]]
Judge = Callable[[State], str]


class Found(NamedTuple):
    """The outcome: `trace` leads to the first state that is wrong, and `wrong` says why."""

    states: int
    seconds: float
    complete: bool
    trace: tuple[Label, ...] = ()
    wrong: str = ""


def explore(
    initial: State, steps: Steps, judge: Judge, states_max: int = 20_000_000, seconds: float = 1e9
) -> Found:
    """Visit every state that can be reached.

    Visited states are kept as 64-bit hashes with the hash of their parent: in ten million states
    the chance that one is missed is some 3e-6.
    """
    began = time.monotonic()
    parents: dict[int, tuple[int, Label]] = {hash(initial): (0, ())}
    frontier = [initial]
    complete = True
    while frontier and complete:
        following = []
        for state in frontier:
            parent = hash(state)
            for label, child in steps(state):
                key = hash(child)
                if key in parents:
                    continue
                parents[key] = (parent, label)
                wrong = judge(child)
                if wrong:
                    elapsed = time.monotonic() - began
                    return Found(len(parents), elapsed, True, _trace(parents, key), wrong)
                following.append(child)
            if len(parents) > states_max or time.monotonic() - began > seconds:
                complete = False
                break
        frontier = following
    return Found(len(parents), time.monotonic() - began, complete)


def _trace(parents: dict[int, tuple[int, Label]], key: int) -> tuple[Label, ...]:
    trace: list[Label] = []
    while parents[key][1]:
        key, label = parents[key]
        trace.append(label)
    return tuple(reversed(trace))
