"""What a scan asks for, and the filters that its rows pass. Pure."""

from typing import Any, Final, Literal

import msgspec

from hevfast.core.errors import GatewayError
from hevfast.namespaces.asking import Row
from hevfast.namespaces.marker import NOT_MARKER, STAMP
from hevfast.namespaces.metadata import Metadata

PAGE_SIZE_MAX: Final = 10_000
TIMEOUT_S_MAX: Final = 300
THREADS_MAX: Final = 32

# Rows that upstream gives at most by their distance (turbopuffer-wire 2).
NEAREST_MAX: Final = 10_000

_STAMP: Final = STAMP.encode()

_encode = msgspec.json.Encoder().encode


def null() -> msgspec.Raw:
    """Give what stands for a member that is not there."""
    return msgspec.Raw(b"null")


class TextScan(msgspec.Struct):
    """Rows whose field holds any token of the query."""

    field: str
    query: str
    fuzziness: Literal["auto"] | int | None = None


class AnnScan(msgspec.Struct):
    """Rows at most so far from the vector."""

    vector: msgspec.Raw
    radius: float
    field: str = "vector"


class ScanRequest(msgspec.Struct):
    """The body of a scan."""

    mode: Literal["ids", "count", "values"] | None = None
    source: Literal["auto", "snapshot", "cache", "origin"] | None = None
    filters: msgspec.Raw = msgspec.field(default_factory=null)
    as_of: int | None = None
    between: tuple[int, int] | None = None
    field: str | None = None
    fts: TextScan | None = None
    hybrid_text: TextScan | None = None
    ann: AnnScan | None = None
    exhaustive: bool | None = None
    threads: int | None = None
    page_size: int | None = None
    timeout_seconds: float | None = None

    @property
    def kind(self) -> str:
        return self.mode or "ids"

    @property
    def rows_a_page(self) -> int:
        return 1000 if self.page_size is None else self.page_size

    @property
    def timeout_s(self) -> float:
        return 30.0 if self.timeout_seconds is None else self.timeout_seconds


_decode = msgspec.json.Decoder(ScanRequest).decode


def read_scan(body: bytes | bytearray) -> ScanRequest:
    """Read and check a body.

    Raises: GatewayError `bad_request`, `validation_error`, `precondition_failed`, `cache_cold`.
    """
    try:
        scan = _decode(body)
    except msgspec.ValidationError as error:
        raise GatewayError("validation_error", str(error)) from error
    except msgspec.DecodeError as error:
        raise GatewayError("bad_request", f"The body is not valid JSON: {error}") from error
    fault = _fault(scan)
    if fault:
        raise GatewayError("validation_error", fault)
    if scan.source == "snapshot":
        raise GatewayError("precondition_failed", "There is no snapshot that covers the scan.")
    if scan.source == "cache":
        # It is evicted at will, so it never answers for all rows.
        raise GatewayError(
            "cache_cold",
            "The document cache does not hold whole namespaces; scan the origin.",
            fields={"cache_state": "cold"},
        )
    return scan


def _fault(scan: ScanRequest) -> str:
    """Say what is wrong with a request, "" for nothing."""
    if not 1 <= scan.rows_a_page <= PAGE_SIZE_MAX:
        return f"`page_size` is not within 1..{PAGE_SIZE_MAX}."
    if not 0 < scan.timeout_s <= TIMEOUT_S_MAX:
        return f"`timeout_seconds` is not within 0..{TIMEOUT_S_MAX}."
    if scan.threads is not None and not 1 <= scan.threads <= THREADS_MAX:
        return f"`threads` is not within 1..{THREADS_MAX}."
    if (scan.kind == "values") != (scan.field is not None):
        return "`field` names the attribute of a scan for values, and of no other."
    if sum(each is not None for each in (scan.fts, scan.hybrid_text, scan.ann)) > 1:
        return "only one of `fts`, `hybrid_text` and `ann` can be given."
    if scan.hybrid_text is not None and scan.hybrid_text.fuzziness not in (None, 0):
        return "`fuzziness` is not supported; leave it out."
    return window_fault(scan.as_of, scan.between)


def window_fault(as_of: int | None, between: tuple[int, int] | None) -> str:
    """Say what is wrong with a window of time (layer-api 4.2), "" for nothing."""
    if as_of is not None and between is not None:
        return "`as_of` and `between` exclude each other."
    if between is not None and between[0] >= between[1]:
        return "`between` needs a lower bound that is below the upper one."
    return ""


def window_filters(as_of: int | None, between: tuple[int, int] | None) -> list[bytes]:
    """Give the filters of a window: stamps up to `as_of`; above the lower bound up to the upper."""
    if as_of is not None:
        return [b'["%b","Lte",%d]' % (_STAMP, as_of)]
    if between is not None:
        low, high = between
        return [b'["%b","Gt",%d]' % (_STAMP, low), b'["%b","Lte",%d]' % (_STAMP, high)]
    return []


def filters_of(scan: ScanRequest, metadata: Metadata) -> list[bytes]:
    """Give the filters that all rows of a scan pass; the client's as it spelled them."""
    filters = []
    if scan.filters != null():
        filters.append(bytes(scan.filters))
    filters += window_filters(scan.as_of, scan.between)
    text = scan.fts or scan.hybrid_text
    if text is not None:
        filters.append(_encode([text.field, "ContainsAnyToken", text.query]))
    if metadata.may_have_marker:
        filters.append(NOT_MARKER)
    return filters


def values_of(row: Row, field: str) -> list[str]:
    """Give the values of a row's attribute as text: each of an array's, none of null's."""
    if field not in row:
        return []
    value: Any = msgspec.json.decode(row[field])
    values = value if isinstance(value, list) else [value]
    return [_shown(each) for each in values if each is not None]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else _encode(value).decode()
