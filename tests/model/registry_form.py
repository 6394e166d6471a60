"""The registry form, explored: what writers, fetches and the background may do, in every order."""

from itertools import chain
from typing import TYPE_CHECKING

from hevfast.cache.operations import Deed
from tests.model.background import background_steps
from tests.model.configuration import Configuration
from tests.model.fetcher import fetch_steps
from tests.model.search import Found, Label, explore
from tests.model.world import World
from tests.model.writer import writer_steps

if TYPE_CHECKING:
    from tests.model.world import State, Steps


def run(configuration: Configuration, seconds: float = 1e9) -> tuple[World, Found]:
    world = World(configuration)

    def steps(state: "State") -> "Steps":
        fetches = (fetch_steps(world, state, j, f) for j, f in enumerate(state.fetchers))
        return chain(
            writer_steps(world, state),
            chain.from_iterable(fetches),
            background_steps(world, state),
        )

    return world, explore(world.initial(), steps, world.judge, seconds=seconds)


def spelled(world: World, label: Label) -> str:
    """Spell one step of a trace."""
    deed, *rest = label
    if not rest:
        return str(deed)
    who, *what = rest
    if deed == "lands":
        who, number, row = rest
        what = [number] if row is None else [number, row]
    if isinstance(deed, str) and deed.startswith("F "):
        return f"F{who + 1} {deed[2:]}"
    if not isinstance(who, int) or deed in ("evicts", "pays what it owes"):
        return f"{deed} {who!r}"
    words = [f"W{who + 1} {deed}"]
    if what and deed not in ("reads base",):
        op = world.actions.values[what[0]]
        words.append(type(op).__name__)
        if len(what) > 1:
            words.append(f"row {what[1]}: {Deed(op.deeds[what[1]]).name}")
        elif getattr(op, "bumps", None):
            words.append(f"bumps {'all' if op.bumps.whole else sorted(op.bumps.buckets)}")
    return " ".join(words)
