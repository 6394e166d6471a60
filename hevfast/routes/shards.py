"""Over how many shards the rows of a write are spread, and whether they are told theirs."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from hevfast.core.errors import GatewayError
from hevfast.namespaces.asking import Asking, RefusedError
from hevfast.namespaces.marker import Marker, read_marker, write_marker
from hevfast.namespaces.metadata import read_metadata

if TYPE_CHECKING:
    from hevfast.gateway import Gateway


class ShardStamp(NamedTuple):
    """`stamped`: whether rows get `_hevlayer_shard`."""

    shard_count: int
    stamped: bool


class Shards:
    """A namespace's marker counts more than the setting; where there is none, the setting does."""

    __slots__ = ("_always", "_asking", "_gateway", "_usual")

    def __init__(self, gateway: "Gateway") -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._always = settings.shard_stamp != "initialised"
        self._usual = ShardStamp(settings.shard_count, settings.shard_stamp == "always")
        self._asking: dict[bytes, asyncio.Task[Marker | None]] = {}

    def at_hand(self, namespace: bytes) -> ShardStamp | None:
        """Give what holds without asking anybody; None: `learnt` has to be awaited.

        Upstream is asked only if a row's shard hangs on it. With the setting `always` a marker
        counts that this worker has met, at `init` for one.
        """
        markers = self._gateway.markers
        marker = markers.of(namespace)
        if marker is not None:
            return ShardStamp(marker.shard_count, self._usual.stamped or not self._always)
        if self._always or markers.is_known(namespace):
            return self._usual
        return None

    async def learnt(self, authorization: bytes, namespace: bytes) -> ShardStamp:
        """Ask upstream for the marker; who asks at the same time waits for the same answer.

        If it gives none the rows go without a shard, and the next write asks again.
        """
        task = self._asking.get(namespace)
        if task is None:
            asking = Asking(self._gateway.exchange, authorization)
            task = asyncio.get_running_loop().create_task(read_marker(asking, namespace))
            self._asking[namespace] = task
            task.add_done_callback(lambda _: self._asking.pop(namespace, None))
        try:
            # A caller who leaves must not take the answer from the others.
            marker = await asyncio.shield(task)
        except (GatewayError, RefusedError):
            return self._usual
        self._gateway.markers.learn(namespace, marker)
        return self.at_hand(namespace) or self._usual

    async def look_after(self, authorization: bytes, namespace: bytes) -> None:
        """Write the marker again if a delete by filter has taken it; nothing hangs on that."""
        marker = self._gateway.markers.of(namespace)
        if marker is None:
            return
        asking = Asking(self._gateway.exchange, authorization)
        try:
            if await read_marker(asking, namespace) is None:
                metadata = read_metadata(await asking.metadata(namespace))
                await write_marker(asking, namespace, marker, metadata)
        except (GatewayError, RefusedError):
            return
