"""How this gateway reaches pipelines: their numbers and desks, and deeds on them."""

from collections.abc import Callable
from typing import Final, TypeVar

from hevfast.pipelines.aerospike_catalogue import Catalogue, Entry
from hevfast.pipelines.aerospike_keys import Place
from hevfast.pipelines.aerospike_operations import Deed
from hevfast.pipelines.aerospike_plan import Desk
from hevfast.pipelines.aerospike_runner import Runner
from hevfast.pipelines.store import UnknownPipelineError

T = TypeVar("T")

# Pipelines remembered: as many as there may be.
_KNOWN_MAX: Final = 10_000


class Known:
    """What this gateway remembers of a pipeline."""

    __slots__ = ("desk", "entry")

    def __init__(self, entry: Entry, desk: Desk) -> None:
        self.entry = entry
        self.desk = desk


class Access:
    """Runs deeds on pipelines by their ids.

    A number is remembered until the pipeline's book is gone: every deed looks at that.
    """

    def __init__(self, runner: Runner, catalogue: Catalogue) -> None:
        self._runner = runner
        self._catalogue = catalogue
        self._known: dict[str, Known] = {}

    def __repr__(self) -> str:
        return f"<Access {self._runner!r} {len(self._known)} known>"

    async def find(self, pipeline: str) -> Known:
        """Read which pipeline has an id now.

        Raises: UnknownPipelineError, UnableError.
        """
        entry = await self._catalogue.find(pipeline)
        if entry is None:
            self._known.pop(pipeline, None)
            raise UnknownPipelineError(pipeline)
        return self.know(entry)

    def know(self, entry: Entry) -> Known:
        known = self._known.get(entry.pipeline.id)
        if known is None or known.entry.number != entry.number:
            if len(self._known) >= _KNOWN_MAX:
                del self._known[next(iter(self._known))]
            known = self._known[entry.pipeline.id] = Known(entry, self._runner.desk())
        known.entry = entry
        return known

    def known(self, pipeline: str) -> Known | None:
        return self._known.get(pipeline)

    def all(self) -> list[Known]:
        return list(self._known.values())

    async def run(self, pipeline: str, deed: Callable[[Desk], Deed[T]]) -> T:
        """Run a deed on a pipeline.

        Raises: UnknownPipelineError, UnableError, and what the deed raises.
        """
        known = self._known.get(pipeline)
        if known is not None:
            try:
                return await self.run_on(known, deed)
            except UnknownPipelineError:
                # Deleted; there may be another of the same id.
                self._known.pop(pipeline, None)
        return await self.run_on(await self.find(pipeline), deed)

    async def run_on(self, known: Known, deed: Callable[[Desk], Deed[T]]) -> T:
        return await self._runner.run(self.place(known), deed(known.desk))

    def place(self, known: Known) -> Place:
        return self._catalogue.place(known.entry.number)
