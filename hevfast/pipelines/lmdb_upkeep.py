"""What is done of itself, in bounded steps: lapsed leases, deleted pipelines, old push-backs.

One worker of the host does it at a time; if it dies, the next one that looks takes over.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hevfast.pipelines.lmdb_keys import number_key, place_of
from hevfast.pipelines.lmdb_pages import OF_DOCUMENTS, Pages, earliest
from hevfast.pipelines.lmdb_step import Step
from hevfast.pipelines.store import Move

# In one transaction: lapsed leases undone, pipelines looked at, entries of a deleted one removed,
# names written.
_LAPSED_AT_ONCE: Final = 250
_PIPELINES_AT_ONCE: Final = 64
_CLEARED_AT_ONCE: Final = 1000
_NAMED_AT_ONCE: Final = 500
_PUSHED_AT_ONCE: Final = 256


class Turn(NamedTuple):
    """How far the upkeep has come: the next pipeline to look at, and whether more is due now."""

    number: int = 0
    more: bool = False
    # Lapses undone, by pipeline.
    lapses: Sequence[tuple[str, Sequence[Move]]] = ()


def upkeep(pages: Pages, turn: Turn) -> Turn:
    """Do a bounded piece of what is due; a turn that says `more` is followed by another at once."""
    clearing = purge(pages)
    _forget_pushes(pages)
    naming = name(pages)
    swept = sweep(pages, turn.number)
    return swept._replace(more=clearing or naming or swept.more)


def sweep(pages: Pages, number: int) -> Turn:
    """Undo lapsed leases of some pipelines, from the one of this number on."""
    undone = 0
    lapses: list[tuple[str, Sequence[Move]]] = []
    for _ in range(_PIPELINES_AT_ONCE):
        found = earliest(pages, pages.leases, number)
        if found is None:
            return Turn(lapses=lapses)
        step = _step(pages, found)
        if step is not None:
            undone += step.undo_lapsed(_LAPSED_AT_ONCE - undone)
            lapses.append((step.pipeline, step.moves))
        if undone >= _LAPSED_AT_ONCE:
            return Turn(found, True, lapses)
        number = found + 1
    return Turn(number, True, lapses)


def name(pages: Pages) -> bool:
    """Write names of a pipeline that has come to need them; tell whether any may be missing."""
    number = 0
    while True:
        found = earliest(pages, pages.unnamed, number)
        if found is None:
            return False
        step = _step(pages, found)
        if step is not None:
            step.name_more(_NAMED_AT_ONCE)
            return True
        number = found + 1


def _step(pages: Pages, number: int) -> Step | None:
    """Give a pipeline by its number; none if it is deleted, and all it has is going."""
    text = pages.get(pages.numbers, number_key(number))
    return Step(pages, pages.book(text.decode())) if text else None


def purge(pages: Pages) -> bool:
    """Remove some of what belongs to a deleted pipeline; tell whether anything may be left."""
    number = earliest(pages, pages.doomed, 0)
    if number is None:
        return False
    prefix, left = number_key(number), _CLEARED_AT_ONCE
    for name in OF_DOCUMENTS:
        left -= pages.clear(getattr(pages, name), prefix, left)
    if left:
        pages.delete(pages.doomed, prefix)
    return True


def _forget_pushes(pages: Pages) -> None:
    for key, until in pages.between(pages.pushed, b"", None, _PUSHED_AT_ONCE):
        if place_of(until) <= pages.now_ms:
            pages.delete(pages.pushed, key)


class Keeper:
    """The right to do the upkeep: a lock that the kernel takes back when its holder dies."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pipelines.keeper"
        self._lock: int | None = None

    def is_ours(self) -> bool:
        if self._lock is not None:
            return True
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
