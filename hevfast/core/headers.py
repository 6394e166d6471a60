"""Which headers end at the gateway and which travel on."""

Headers = list[tuple[bytes, bytes]]

# RFC 9110 section 7.6.1 and RFC 9112: meaningful for one connection only.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

# Of an answer: the gateway puts its own name there.
DROPPED = frozenset({b"server"})

# Some servers let these replace the method or the path of a request. The gateway judges a
# request by its real method and path, so nothing may change them behind it.
OVERRIDES = frozenset(
    {
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-url",
        b"x-rewrite-url",
    }
)


def connection_names(value: bytes) -> set[bytes]:
    """Give the header names that a `Connection` value declares to be for this hop only."""
    return {name.strip().lower() for name in value.split(b",")}


def answer_headers(raw: tuple[tuple[bytes, bytes], ...]) -> Headers:
    """Give the end-to-end headers of an upstream answer, in order, repeats included."""
    kept: Headers = []
    named: set[bytes] = set()
    for name, value in raw:
        lower = name.lower()
        if lower == b"connection":
            named |= connection_names(value)
        elif lower not in HOP_BY_HOP and lower not in DROPPED:
            kept.append((lower, value))
    if named:
        # A length or a type is never for one hop only, whatever the header claims.
        named -= {b"content-length", b"content-type", b"content-encoding"}
        kept = [pair for pair in kept if pair[0] not in named]
    return kept
