"""The routes that Layer adds around Turbopuffer's, put together."""

from pathlib import Path
from typing import TYPE_CHECKING

from hevfast.namespaces.shelf import Shelf
from hevfast.routes.door import Door
from hevfast.routes.federated import Federated
from hevfast.routes.init import Init
from hevfast.routes.inventory import Inventory
from hevfast.routes.namespaces import Namespaces
from hevfast.routes.openapi import OpenApi
from hevfast.routes.refusals import refusals
from hevfast.routes.scans import Scans
from hevfast.routes.surface import Handler, Surface
from hevfast.routes.warm import Warming

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.routes.passthrough import Passthrough
    from hevfast.routes.write import Write


class Layer:
    """Owns what they need. `jobs`: the folder in which jobs are noted."""

    __slots__ = ("_door", "_init", "_scans", "_warming", "surface")

    def __init__(
        self, gateway: "Gateway", passthrough: "Passthrough", write: "Write", jobs: Path
    ) -> None:
        self._door = Door(gateway)
        self._warming = Warming(gateway, Shelf(jobs, "warm"), self._door)
        self._scans = Scans(gateway, Shelf(jobs, "scan"), self._door)
        namespaces = Namespaces(gateway, self._warming)
        self._init = Init(gateway, Shelf(jobs, "init"), namespaces, write)
        namespaces.when_deleted += [self._warming.forget, self._scans.forget, self._init.forget]
        handlers: dict[str, Handler] = {
            **refusals(),
            **Inventory(gateway).handlers(),
            **namespaces.handlers(),
            **self._warming.handlers(),
            **self._scans.handlers(),
            "init_namespace": self._init,
            "openapi": OpenApi(),
            "query": Federated(gateway),
        }
        self.surface = Surface(gateway, passthrough, handlers)

    async def close(self) -> None:
        await self._warming.close()
        await self._scans.close()
        await self._init.close()
        await self._door.close()
