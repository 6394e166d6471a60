"""What a raw request path means: the write route, the door to upstream, or neither.

Paths are judged as sent, never after decoding, and only one spelling is let through. Any other
spelling that a server further on might fold into a write is refused here, because such a write
would reach Turbopuffer without its stamp.
"""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from hevfast.core.errors import GatewayError

WRITE_PREFIX = b"/v2/namespaces/"
ASYNC_SUFFIX = b"/async"

# What the gateway answers by itself begins like this.
PIPELINES_PREFIX = b"/v2/pipelines"

# Turbopuffer's own rule for names.
_NAMESPACE_BYTES_MAX = 128
_NAMESPACE = re.compile(rb"[A-Za-z0-9\-_.]+")
# A word of the API, such as `namespaces`. No percent escapes, no path parameters.
_WORD = re.compile(rb"[A-Za-z0-9\-_.~]+")
# Everything RFC 3986 allows in a path, with well-formed percent escapes only.
_LEGAL = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")

# Calls that read, though they are made with POST.
_READS = frozenset({b"query", b"multi_query", b"explain_query", b"recall"})

SAFE_METHODS = frozenset({"GET", "HEAD"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# Rounds of percent-decoding that are undone when looking for dot segments. More than any real
# chain of servers does; a path still encoded after that is refused.
_DECODE_ROUNDS_MAX = 3


def is_namespace(name: bytes) -> bool:
    # Only what is short enough to be a name may take room among the remembered ones.
    return len(name) <= _NAMESPACE_BYTES_MAX and _is_name(name)


@lru_cache(maxsize=4096)
def _is_name(name: bytes) -> bool:
    return _NAMESPACE.fullmatch(name) is not None and name not in (b".", b"..")


def is_write(method: str, path: bytes) -> bool:
    """Tell whether this is the write route: `POST /v2/namespaces/{ns}` or `.../{ns}/async`."""
    if method != "POST" or not path.startswith(WRITE_PREFIX):
        return False
    name = path[len(WRITE_PREFIX) :].removesuffix(ASYNC_SUFFIX)
    return is_namespace(name)


def namespace_of(path: bytes) -> bytes:
    """Give the namespace that a path below `/v1/namespaces` or `/v2/namespaces` names, or b""."""
    segments = path.split(b"/", 4)
    return segments[3] if len(segments) > 3 and segments[2] == b"namespaces" else b""


# A namespace, and the id of a document in it; no id: all of them.
Document = tuple[bytes, bytes | None]


def fetched_document(method: str, path: bytes) -> Document | None:
    """Give what a fetch asks for: one document with GET or HEAD, several with POST; else None.

    The id is decoded once. A literal `/` belongs to it.
    """
    segments = path.split(b"/", 5)
    if len(segments) < 5 or segments[4] != b"documents" or not path.startswith(WRITE_PREFIX):
        return None
    namespace = segments[3]
    if not is_namespace(namespace):
        return None
    if len(segments) == 5:
        return (namespace, None) if method == "POST" else None
    identifier = segments[5]
    if not identifier or method not in SAFE_METHODS:
        return None
    return namespace, unquote_to_bytes(identifier) if b"%" in identifier else identifier


def queried_namespace(method: str, path: bytes) -> bytes:
    """Give the namespace of `POST /v2/namespaces/{ns}/query`, or of that of v1, else b""."""
    if method != "POST" or not path.endswith(b"/query"):
        return b""
    segments = path.split(b"/")
    if len(segments) != 5 or segments[1] not in (b"v2", b"v1") or segments[2] != b"namespaces":
        return b""
    return segments[3] if is_namespace(segments[3]) else b""


def changes_namespace(method: str, path: bytes) -> bytes:
    """Give the namespace that a passed-on request may change, b"" if it changes none.

    What is not known to read is taken to write: new calls of Turbopuffer pass, too.
    """
    if method in SAFE_METHODS or method == "OPTIONS":
        return b""
    if method == "POST" and path.rsplit(b"/", 1)[-1] in _READS:
        return b""
    return namespace_of(path)


def check_passthrough(method: str, path: bytes) -> None:
    """Let a request through to upstream, or refuse it.

    Raises: GatewayError `not_found`, `bad_request`, `method_not_allowed` or `UnsupportedByStore`.
    """
    if method not in METHODS:
        raise _method_not_allowed(method, SAFE_METHODS)
    segments = path.split(b"/")[1:]
    _check_head(segments[:3])
    _check_spelling(path, segments)
    if segments[0] == b"v2":
        _check_v2(method, segments[2:])
    else:
        _check_v1(method, segments[1:])


def _check_head(head: list[bytes]) -> None:
    """Check the segments that choose the route: version, `namespaces`, the name."""
    if any(b"%" in segment for segment in head):
        raise GatewayError(
            "bad_request",
            "The first three segments of the path hold a percent escape. Namespace names consist "
            "of letters, digits, '-', '_' and '.', which never need one.",
        )
    if len(head) > 1 and head[1].lower() == b"namespaces" and head[1] != b"namespaces":
        raise _no_such_path()
    if any(not segment for segment in head):
        raise _no_such_path()
    if len(head) > 2 and head[1] == b"namespaces" and not is_namespace(head[2]):
        raise GatewayError(
            "bad_request",
            "The namespace name is not legal: 1 to 128 letters, digits, '-', '_' and '.' are "
            "allowed, and it must not be '.' or '..'.",
        )
    if any(_WORD.fullmatch(segment) is None for segment in head):
        raise _no_such_path()


def _check_spelling(path: bytes, segments: list[bytes]) -> None:
    """Refuse paths that another server could fold into a different one."""
    if _LEGAL.fullmatch(path) is None:
        raise GatewayError(
            "bad_request", "The path holds a byte that is not allowed there; percent-encode it."
        )
    for segment in segments:
        plain = _decoded(segment)
        parts = plain.replace(b"\\", b"/").split(b"/")
        if any(part in (b"", b".", b"..") for part in parts):
            raise _no_such_path()


def _decoded(segment: bytes) -> bytes:
    for _ in range(_DECODE_ROUNDS_MAX):
        if b"%" not in segment:
            return segment
        plain = unquote_to_bytes(segment)
        if plain == segment:
            return segment
        segment = plain
    raise _no_such_path()


def _word(segment: bytes) -> bytes:
    """Give a segment as the most lenient server would read it."""
    return _decoded(segment).split(b";")[0].strip().lower()


def _check_v2(method: str, rest: list[bytes]) -> None:
    """Check what follows `/v2/namespaces`: `[name, resource, ...]`, all well spelled."""
    if len(rest) == 1:
        _require(method, frozenset({"GET", "HEAD", "DELETE"}))
    elif len(rest) == 2 and _word(rest[1]) == b"async":
        _require(method, SAFE_METHODS)
    elif len(rest) == 2 and _word(rest[1]) == b"import" and method not in SAFE_METHODS:
        raise GatewayError(
            "UnsupportedByStore",
            "Turbopuffer has no bulk import. Write rows with POST /v2/namespaces/{namespace}.",
            fields={"store": "turbopuffer", "route": "importNamespace"},
        )


def _check_v1(method: str, rest: list[bytes]) -> None:
    """Check what follows `/v1`: the old write routes stay shut, all else may pass."""
    word = _word(rest[0]) if rest else b""
    if word == b"vectors":
        _require(method, SAFE_METHODS, _OLD_WRITE)
    elif word == b"namespaces" and len(rest) == 2:
        _require(method, frozenset({"GET", "HEAD", "DELETE"}), _OLD_WRITE)
    elif word == b"namespaces" and len(rest) == 3 and _word(rest[2]) in (b"async", b"import"):
        _require(method, SAFE_METHODS, _OLD_WRITE)


_OLD_WRITE = " The old v1 writes cannot be stamped; use POST /v2/namespaces/{namespace}."


def _require(method: str, allowed: frozenset[str], advice: str = "") -> None:
    if method not in allowed:
        raise _method_not_allowed(method, allowed, advice)


def _method_not_allowed(method: str, allowed: frozenset[str], advice: str = "") -> GatewayError:
    names = ", ".join(sorted(allowed))
    return GatewayError(
        "method_not_allowed",
        f"{method[:32]} is not allowed on this path; {names} are.{advice}",
        headers=((b"allow", names.encode()),),
    )


def _no_such_path() -> GatewayError:
    return GatewayError(
        "not_found",
        "No such path. Paths are matched as spelled: no empty or dot segments, no trailing "
        "slash, lower-case 'v1', 'v2' and 'namespaces'.",
    )
