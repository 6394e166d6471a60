"""Scans: how many rows pass filters, which, and which values they have.

`POST` and `GET /v2/namespaces/{ns}/scans`, `GET` and `DELETE .../scans/{id}`, `GET .../results`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import msgspec

from hevfast.core.clock import MS_PER_S, monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.edge.reply import reply_bytes, reply_json
from hevfast.namespaces.asking import Asking, Row, filters_member
from hevfast.namespaces.jobs import COMPLETED, Job, Jobs
from hevfast.namespaces.marker import RESERVED_IDS
from hevfast.namespaces.metadata import Metadata, read_metadata
from hevfast.namespaces.scan import (
    NEAREST_MAX,
    AnnScan,
    ScanRequest,
    filters_of,
    read_scan,
    values_of,
)
from hevfast.namespaces.shards import count
from hevfast.routes.call import Visit
from hevfast.routes.warm import check_key, id_text

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.namespaces.shelf import ResultsWriter, Shelf, State
    from hevfast.routes.door import Door
    from hevfast.routes.surface import Handler

_BODY_BYTES_MAX: Final = 1024 * 1024

# Bytes of one scan's results. More are left out, and the job says `truncated`.
_RESULTS_BYTES_MAX: Final = 256 * 1024 * 1024

# Distinct values of a scan, and bytes of them: they are held until it is done (layer-api 6.2).
_VALUES_MAX: Final = 1_000_000
_VALUES_BYTES_MAX: Final = 64 * 1024 * 1024

_PAGE_LIMIT: Final = 1000
_PAGE_LIMIT_MAX: Final = 10_000

_IDS_ALONE: Final = b'"include_attributes":false'

_encode = msgspec.json.Encoder().encode


class Scans:
    """Serves the routes."""

    __slots__ = ("_door", "_gateway", "_jobs")

    def __init__(self, gateway: "Gateway", shelf: "Shelf", door: "Door") -> None:
        self._gateway = gateway
        self._jobs = Jobs(shelf)
        self._door = door

    def handlers(self) -> "dict[str, Handler]":
        return {
            "create_scan": self._create,
            "list_scans": self._list,
            "get_scan": self._get,
            "delete_scan": self._delete,
            "get_scan_results": self._results,
        }

    async def close(self) -> None:
        await self._jobs.close()

    async def forget(self, namespace: bytes) -> None:
        """Forget a namespace that is deleted."""
        await self._jobs.forget(namespace)

    async def _create(self, visit: Visit) -> None:
        begun_s = monotonic_s()
        scan = read_scan(await visit.body(_BODY_BYTES_MAX, self._gateway))
        asking = Asking(self._gateway.exchange, visit.authorization)
        metadata = read_metadata(await asking.metadata(visit.namespace))
        if scan.kind == "count":
            answer = await self._counted(asking, visit.namespace, scan, metadata)
            answer["elapsed_ms"] = round((monotonic_s() - begun_s) * MS_PER_S)
            await reply_json(visit.send, 200, answer)
            return
        job = await self._started(asking, visit.namespace, scan, metadata)
        await reply_json(visit.send, 202, job.state)

    async def _counted(
        self, asking: Asking, namespace: bytes, scan: ScanRequest, metadata: Metadata
    ) -> "State":
        filters = filters_of(scan, metadata)
        answer: State = {"count": 0, "served_by": "origin", "threads": 1}
        stable_as_of = self._gateway.watermark.of(namespace).stable_as_of
        if stable_as_of is not None:
            answer["watermark_ms"] = stable_as_of
        try:
            async with asyncio.timeout(scan.timeout_s):
                if scan.ann is None:
                    answer["count"] = await count(asking, namespace, filters)
                else:
                    rows, bounded = await nearest(asking, namespace, scan.ann, filters)
                    answer |= {"count": len(rows), "bounded": bounded, "approximate": True}
        except TimeoutError as error:
            raise GatewayError(
                "gateway_timeout", f"The rows were not counted within {scan.timeout_s} seconds."
            ) from error
        return answer

    async def _started(
        self, asking: Asking, namespace: bytes, scan: ScanRequest, metadata: Metadata
    ) -> Job:
        more: State = {"mode": scan.kind, "source": scan.source or "auto"}
        more |= {"effective_source": "origin", "threads": 1, "truncated": False}
        if scan.field is not None:
            more["field"] = scan.field
        if scan.ann is not None:
            more["approximate"] = True
        stable_as_of = self._gateway.watermark.of(namespace).stable_as_of
        job = Job(self._jobs.shelf, namespace, stable_as_of, more)
        if not filters_of(scan, metadata):
            job.rows_expected = metadata.approx_row_count or 0

        async def work(job: Job) -> None:
            writer = self._jobs.shelf.writer(namespace.decode(), job.id)
            pages = _pages(asking, namespace, scan, filters_of(scan, metadata), job)
            if scan.field is None:
                await _ids(pages, job, writer)
            else:
                await _values(pages, job, writer, scan.field)
            await asyncio.to_thread(writer.finish)

        await self._jobs.start(job, work, scan.timeout_s)
        return job

    async def _list(self, visit: Visit) -> None:
        await check_key(self._door, visit)
        jobs = await asyncio.to_thread(self._jobs.shelf.all_of, visit.namespace.decode())
        await reply_json(visit.send, 200, {"scans": jobs})

    async def _get(self, visit: Visit) -> None:
        await reply_json(visit.send, 200, await self._job(visit))

    async def _delete(self, visit: Visit) -> None:
        job = await self._job(visit)
        await asyncio.to_thread(self._jobs.shelf.remove, job["namespace"], job["id"])
        gone = {"status": "OK", "message": "The scan and its results are gone."}
        await reply_json(visit.send, 200, gone)

    async def _results(self, visit: Visit) -> None:
        limit = _number(visit, "limit", _PAGE_LIMIT, 1, _PAGE_LIMIT_MAX)
        offset = _number(visit, "offset", 0, 0, 10**12)
        job = await self._job(visit)
        if job["status"] != COMPLETED:
            why = job.get("error") or "It is not done yet."
            raise GatewayError("validation_error", f"The scan has no results. {why}")
        try:
            results = await asyncio.to_thread(
                self._jobs.shelf.results, job["namespace"], job["id"], offset, limit
            )
        except OSError as error:
            raise GatewayError("not_found", "The scan's results are gone.") from error
        page = b",".join(results)
        if job["mode"] == "ids":
            body = b'{"ids":[%b],"total":%d}' % (page, job["total"])
        else:
            truncated = b"true" if job["truncated"] else b"false"
            body = b'{"values":[%b],"total":%d,"truncated":%b}' % (page, job["total"], truncated)
        await reply_bytes(visit.send, 200, body)

    async def _job(self, visit: Visit) -> "State":
        await check_key(self._door, visit)
        name = visit.names[1].decode("ascii", "replace")
        job = await asyncio.to_thread(self._jobs.shelf.get, visit.namespace.decode(), name)
        if job is None:
            raise GatewayError("not_found", "There is no scan with this id.")
        return job


async def nearest(
    asking: Asking, namespace: bytes, ann: AnnScan, filters: list[bytes]
) -> tuple[list[Row], bool]:
    """Give the rows within a radius, and whether there may be more than upstream gives at once."""
    body = b'{"rank_by":[%b,"ANN",%b],"top_k":%d,"include_attributes":false%b}' % (
        _encode(ann.field),
        bytes(ann.vector),
        NEAREST_MAX,
        filters_member(filters),
    )
    rows = await asking.rows(namespace, body)
    within = [row for row in rows if float(bytes(row["$dist"])) <= ann.radius]
    return within, len(within) == NEAREST_MAX


async def _pages(
    asking: Asking, namespace: bytes, scan: ScanRequest, filters: list[bytes], job: Job
) -> AsyncIterator[list[Row]]:
    """Give the scan's rows, the gateway's own left out."""
    wanted = _IDS_ALONE
    if scan.field is not None:
        wanted = b'"include_attributes":[%b]' % _encode(scan.field)
    if scan.ann is not None:
        rows, job.state["bounded"] = await nearest(asking, namespace, scan.ann, filters)
        ids = b",".join(bytes(row["id"]) for row in rows)
        filters = [b'["id","In",[%b]]' % ids]
        if not rows:
            return
    async for rows in asking.pages(namespace, filters, scan.rows_a_page, wanted):
        yield rows


async def _ids(pages: AsyncIterator[list[Row]], job: Job, writer: "ResultsWriter") -> None:
    async for rows in pages:
        texts = [text for row in rows if not (text := id_text(row)).startswith(RESERVED_IDS)]
        await asyncio.to_thread(writer.add, [_encode(text.decode()) for text in texts])
        await job.scanned(len(texts))
        if writer.bytes_count > _RESULTS_BYTES_MAX:
            job.state["truncated"] = True
            break
    job.state["total"] = writer.count


async def _values(
    pages: AsyncIterator[list[Row]], job: Job, writer: "ResultsWriter", field: str
) -> None:
    """Count distinct values; the most frequent come first."""
    counts: dict[str, int] = {}
    bytes_held = 0
    async for rows in pages:
        for row in rows:
            for value in values_of(row, field):
                if value in counts:
                    counts[value] += 1
                elif len(counts) < _VALUES_MAX and bytes_held < _VALUES_BYTES_MAX:
                    counts[value] = 1
                    bytes_held += len(value)
                else:
                    job.state["truncated"] = True
        await job.scanned(len(rows))
    await asyncio.to_thread(_write_values, counts, writer)
    job.state |= {"total": len(counts), "unique_values": len(counts)}


def _write_values(counts: dict[str, int], writer: "ResultsWriter") -> None:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    for start in range(0, len(ordered), _PAGE_LIMIT):
        some = ordered[start : start + _PAGE_LIMIT]
        writer.add([_encode({"v": value, "n": n}) for value, n in some])


def _number(visit: Visit, name: str, usual: int, low: int, high: int) -> int:
    text = visit.query().get(name, str(usual))
    if not text.isdecimal() or not low <= int(text[:20]) <= high:
        raise GatewayError("validation_error", f"`{name}` is not within {low}..{high}.")
    return int(text)
