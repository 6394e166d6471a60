"""What happens beside writers and fetches: sweeping, maturing, evictions, losses, late landings."""

from typing import TYPE_CHECKING

from hevfast.cache import registry
from hevfast.cache.coherence import Phase
from hevfast.cache.events import Done
from tests.model import store as shop
from tests.model.configuration import can, spent
from tests.model.world import NOT_SENT, PENDING, replaced

if TYPE_CHECKING:
    from tests.model.world import State, Steps, World, Writer


def background_steps(world: "World", state: "State") -> "Steps":
    store, budget = state.store, state.budget
    for number, record in enumerate(store.records):
        if record is not None and can(budget, "evict"):
            kept = store._replace(records=replaced(store.records, number, None))
            yield ("evicts", number), state._replace(store=kept, budget=spent(budget, "evict"))
    if store.shelf is not None and can(budget, "lose_registry"):
        lost = store._replace(shelf=None)
        yield (
            ("loses the registry",),
            state._replace(store=lost, budget=spent(budget, "lose_registry")),
        )
    if can(budget, "lose_all"):
        lost = store._replace(shelf=None, records=(None,) * len(store.records))
        yield ("loses everything",), state._replace(store=lost, budget=spent(budget, "lose_all"))
    if store.full or can(budget, "full"):
        turned = store._replace(full=not store.full)
        left = budget if store.full else spent(budget, "full")
        label = "has room again" if store.full else "is full"
        yield (label,), state._replace(store=turned, budget=left)
    yield from _landing_steps(world, state)
    yield from _paying_steps(world, state)
    yield from _sweeping_steps(world, state)
    yield from _maturing_steps(world, state)


def _landing_steps(world: "World", state: "State") -> "Steps":
    for at, (number, row, i) in enumerate(state.afloat):
        op = world.actions.values[number]
        if row is None:
            store, _ = shop.apply(state.store, op)
        else:
            store, _ = world.put_row(state.store, op, row, i)
        afloat = state.afloat[:at] + state.afloat[at + 1 :]
        yield ("lands", i, number, row), state._replace(store=store, afloat=afloat)


def _paying_steps(world: "World", state: "State") -> "Steps":
    for at, (number, commits) in enumerate(state.debts):
        store, reply = shop.apply(state.store, world.actions.values[number])
        if isinstance(reply, Done):
            debts = state.debts[:at] + state.debts[at + 1 :]
            paid = state._replace(store=store, debts=debts)
            yield ("pays what it owes", number), world.acknowledge(paid, commits)


def _sweeping_steps(world: "World", state: "State") -> "Steps":
    if state.store.shelf is None:
        return
    for token in state.store.shelf.tokens:
        writer = state.writers[world.tokens[token.id]]
        phase = world.course(writer).phase
        ended = writer.dead or phase in (Phase.OVER, Phase.DOUBTING, Phase.DROPPING)
        timely = ended and writer.upstream != PENDING
        if timely or (can(state.budget, "early") and phase is not Phase.OVER):
            store, _ = shop.apply(state.store, registry.sweep_op(token))
            if store != state.store:
                budget = state.budget if timely else spent(state.budget, "early")
                label = "sweeps" if timely else "sweeps too early"
                yield (label, token.id), state._replace(store=store, budget=budget)


def _maturing_steps(world: "World", state: "State") -> "Steps":
    """Mature a registry once all who began before it was created have ended."""
    shelf = state.store.shelf
    if shelf is None or not shelf.young:
        return
    epoch = shop.fence_of(shelf).epoch
    if not all(
        _younger(world, writer, epoch) or _settled(world, writer) for writer in state.writers
    ):
        return
    op = registry.mature_op(shop.registry_of(shelf))
    store, _ = shop.apply(state.store, op)
    if store != state.store:
        yield ("matures",), state._replace(store=store)
    if can(state.budget, "late"):
        afloat = tuple(sorted((*state.afloat, (world.actions.of(op), None, 0)), key=repr))
        yield (
            ("will mature",),
            state._replace(afloat=afloat, budget=spent(state.budget, "late")),
        )


def _younger(world: "World", writer: "Writer", epoch: bytes) -> bool:
    course = world.course(writer)
    if course.phase in (Phase.BEGINNING, Phase.VOIDING):
        return writer.upstream == NOT_SENT and not writer.dead
    return course.token is not None and course.fence is not None and course.fence.epoch == epoch


def _settled(world: "World", writer: "Writer") -> bool:
    if writer.upstream == PENDING:
        return False
    return writer.dead or world.course(writer).phase is Phase.OVER
