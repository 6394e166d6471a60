"""Faults planted one decision at a time: the search must find every one of them.

A plant replaces one function of the shipped code (or of the model store, for what is an adapter's
to get right), and names a configuration in which that leads to a wrong hit.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from hevfast.cache.coherence import Mode
from tests.model.configuration import Configuration, Write

Patches = Callable[[], Any]


class Plant(NamedTuple):
    where: Configuration
    patches: Callable[[], list[AbstractContextManager[Any]]]


def nursery(plants: list[Plant]) -> Callable[..., Callable[[Patches], None]]:
    """Give the decorator that adds to a list of plants; what it decorates gives the patches."""

    def plant(
        name: str,
        *writes: Write,
        fetches: tuple[int, ...] = (),
        cached: bool = True,
        young: bool = False,
        one_order: bool = False,
        mode: Mode = Mode.REFUSE,
        buckets: tuple[int, ...] = (0,),
        parted: bool = False,
        **faults: int,
    ) -> Callable[[Patches], None]:
        where = Configuration(
            name,
            writes,
            fetches,
            cached=cached,
            young=young,
            one_order=one_order,
            mode=mode,
            buckets=buckets,
            late_kinds=parted,
            parted=parted,
            faults=faults,
        )

        def register(patches: Patches) -> None:
            def listed() -> list[AbstractContextManager[Any]]:
                made = patches()
                return made if isinstance(made, list) else [made]

            plants.append(Plant(where, listed))

        return register

    return plant
