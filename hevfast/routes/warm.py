"""Filling the document cache of a namespace: as a job, and as a part of the warm hint.

`POST /v2/namespaces/{ns}/warm`, `GET .../warm-jobs[/{id}]`, and
`GET /v1/namespaces/{ns}/hint_cache_warm`.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hevfast.core.errors import GatewayError
from hevfast.edge.reply import relay, reply_json
from hevfast.edge.target import target_of
from hevfast.namespaces.asking import Asking, RefusedError, Row
from hevfast.namespaces.jobs import Job, Jobs
from hevfast.namespaces.marker import RESERVED_IDS
from hevfast.namespaces.metadata import read_metadata
from hevfast.routes.call import Visit
from hevfast.routes.lookup import Lookup

if TYPE_CHECKING:
    from hevfast.cache.store import Store
    from hevfast.gateway import Gateway
    from hevfast.namespaces.shelf import Shelf
    from hevfast.routes.door import Door
    from hevfast.routes.surface import Handler

_PAGE_SIZE: Final = 1000
_PAGE_SIZE_MAX: Final = 10_000

# Namespaces whose warming is remembered; the ones warmed first are forgotten first.
_REMEMBERED_MAX: Final = 10_000

# Parameters of the hint that make it Layer's.
_STEPS: Final = {"turbopuffer": True, "documents": True, "snapshots": True, "blobs": False}
_OURS: Final = frozenset({*_STEPS, "blob_budget_bytes", "page_size"})
_FLAGS: Final = {"true": True, "1": True, "": True, "false": False, "0": False}

_NO_BLOBS: Final = {
    "enabled": False,
    "status": "skipped",
    "documents_scanned": 0,
    "refs_seen": 0,
    "objects": 0,
    "bytes": 0,
    "missing": 0,
    "invalid_refs": 0,
    "budget_exhausted": False,
}


class Warming:
    """Serves the routes, and knows which namespaces are warm."""

    __slots__ = ("_door", "_gateway", "_jobs", "_lookup", "_warm")

    def __init__(self, gateway: "Gateway", shelf: "Shelf", door: "Door") -> None:
        self._gateway = gateway
        self._jobs = Jobs(shelf)
        self._door = door
        self._lookup = Lookup(gateway.exchange)
        # When the last warming of a namespace began.
        self._warm: dict[bytes, int] = {}

    def handlers(self) -> "dict[str, Handler]":
        return {
            "warm_cache": self._start,
            "list_warm_jobs": self._list,
            "get_warm_job": self._get,
            "hint_cache_warm": self._hint,
        }

    async def close(self) -> None:
        await self._jobs.close()

    def state(self, namespace: bytes) -> dict[str, Any]:
        """Say whether this worker has warmed a namespace."""
        inflight = self._jobs.running(namespace) is not None
        through_ms = self._warm.get(namespace)
        state = "warming" if inflight else "cold" if through_ms is None else "warm"
        return {"state": state, "warmed_through_ms": through_ms, "warm_inflight": inflight}

    async def forget(self, namespace: bytes) -> None:
        """Forget a namespace that is deleted."""
        self._warm.pop(namespace, None)
        await self._jobs.forget(namespace)

    async def _start(self, visit: Visit) -> None:
        job = await self._started(visit, _page_size(visit.query()))
        await reply_json(visit.send, 202, job.state)

    async def _list(self, visit: Visit) -> None:
        await check_key(self._door, visit)
        jobs = await asyncio.to_thread(self._jobs.shelf.all_of, visit.namespace.decode())
        await reply_json(visit.send, 200, {"warm_jobs": jobs})

    async def _get(self, visit: Visit) -> None:
        await check_key(self._door, visit)
        name = visit.names[1].decode("ascii", "replace")
        job = await asyncio.to_thread(self._jobs.shelf.get, visit.namespace.decode(), name)
        if job is None:
            raise GatewayError("not_found", "There is no warm job with this id.")
        await reply_json(visit.send, 200, job)

    async def _hint(self, visit: Visit) -> None:
        query = visit.query()
        if not _OURS & query.keys():
            await self._relayed(visit)
            return
        page_size = _page_size(query)
        wanted = {name: _flag(query, name, usual) for name, usual in _STEPS.items()}
        if "blob_budget_bytes" in query and not query["blob_budget_bytes"].isdecimal():
            raise GatewayError("validation_error", "`blob_budget_bytes` is no whole number.")
        documents: dict[str, Any] = {"enabled": wanted["documents"], "status": "skipped"}
        if wanted["documents"]:
            job = await self._started(visit, page_size)
            documents |= {"status": "started", "job": job.state}
        hinted = "skipped"
        if wanted["turbopuffer"]:
            await self._hinted(visit)
            hinted = "completed"
        answer = {
            "namespace": visit.namespace.decode(),
            "turbopuffer": {"enabled": wanted["turbopuffer"], "status": hinted},
            "documents": documents,
            "snapshots": {
                "enabled": wanted["snapshots"],
                "status": "no_snapshot" if wanted["snapshots"] else "skipped",
            },
            "blobs": {**_NO_BLOBS, "enabled": wanted["blobs"]},
        }
        await reply_json(visit.send, 200, answer)

    async def _relayed(self, visit: Visit) -> None:
        headers = [*visit.head.forward, (b"authorization", visit.authorization)]
        target = target_of(visit.scope)
        answer = await self._gateway.exchange.send(
            "GET", target, headers, None, None, deed="passthrough"
        )
        await relay(visit.send, answer)

    async def _hinted(self, visit: Visit) -> None:
        asking = Asking(self._gateway.exchange, visit.authorization)
        target = f"/v1/namespaces/{visit.namespace.decode()}/hint_cache_warm"
        try:
            await asking.get(target, "warm hint")
        except RefusedError as refused:
            # 202 is the usual answer, 409 that it is warm already.
            if not 200 <= refused.answer.status < 300 and refused.answer.status != 409:
                raise

    async def _started(self, visit: Visit, page_size: int) -> Job:
        """Begin a job; if one is under way on this namespace, it is that one.

        Raises: GatewayError `cache_cold`, `service_unavailable`; RefusedError.
        """
        gateway, namespace = self._gateway, visit.namespace
        cache = gateway.cache
        if cache is None or cache.condition().degraded:
            raise GatewayError(
                "cache_cold",
                "The document cache cannot be used now.",
                fields={"cache_state": "cold"},
            )
        running = self._jobs.running(namespace)
        if running is not None:
            return running
        asking = Asking(gateway.exchange, visit.authorization)
        rows_expected = read_metadata(await asking.metadata(namespace)).approx_row_count
        begun_ms = gateway.clock.now_ms()
        stable_as_of = gateway.watermark.of(namespace).stable_as_of
        job = Job(self._jobs.shelf, namespace, stable_as_of, {})
        job.rows_expected = rows_expected or 0

        async def work(job: Job) -> None:
            async for rows in asking.pages(namespace, [], page_size):
                await job.scanned(await self._fill(cache, visit.authorization, namespace, rows))
            self._warm.pop(namespace, None)
            self._warm[namespace] = begun_ms
            if len(self._warm) > _REMEMBERED_MAX:
                del self._warm[next(iter(self._warm))]

        await self._jobs.start(job, work, None)
        return job

    async def _fill(
        self, cache: "Store", authorization: bytes, namespace: bytes, rows: list[Row]
    ) -> int:
        """Keep rows that are missing; give how many there are.

        What they hold is read only once they are leased.
        """
        ids = [text for row in rows if not (text := id_text(row)).startswith(RESERVED_IDS)]
        found = await cache.read(namespace, ids)
        if found.broken:
            raise GatewayError("cache_cold", "The document cache has become unusable.")
        missing = [n for n, row in enumerate(found.rows) if row is None]
        if not missing:
            return len(ids)
        read = await self._lookup.rows(authorization, namespace, [ids[n] for n in missing])
        if read.refused is not None:
            raise RefusedError(read.refused)
        for n, row in zip(missing, read.rows, strict=True):
            lease = found.leases[n]
            if row is not None and lease is not None:
                await cache.fill(lease, row)
        return len(ids)


async def check_key(door: "Door", visit: Visit) -> None:
    """Let pass a key that upstream takes for the namespace.

    Raises: RefusedError; GatewayError `upstream_error`.
    """
    refusal = await door.refusal(visit.authorization, visit.namespace)
    if refusal is not None:
        raise RefusedError(refusal)


def id_text(row: Row) -> bytes:
    """Give a row's id as text, whatever its type."""
    return str(msgspec.json.decode(row["id"])).encode()


def _page_size(query: dict[str, str]) -> int:
    text = query.get("page_size", str(_PAGE_SIZE))
    if not text.isdecimal() or not 1 <= int(text[:6]) <= _PAGE_SIZE_MAX:
        raise GatewayError("validation_error", f"`page_size` is not within 1..{_PAGE_SIZE_MAX}.")
    return int(text)


def _flag(query: dict[str, str], name: str, usual: bool) -> bool:
    flag = _FLAGS.get(query[name].lower()) if name in query else usual
    if flag is None:
        raise GatewayError("validation_error", f"`{name}` is neither true nor false.")
    return flag
