"""The common form of HTTP/1.1 in one go: a request's header lines, and an answer that is all there.

Whatever is not of that form is None here, and read or refused by the general way, byte by byte.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcmp, memcpy

from hevfast.core import headers as _headers
from hevfast.core import limits as _limits

cdef Py_ssize_t FIELDS_MAX = _limits.ANSWER_FIELDS_MAX
cdef Py_ssize_t HEAD_BYTES_MAX = _limits.ANSWER_HEAD_BYTES_MAX

# Names of headers as upstream spells them, and as they are passed on: in lower case, not at all if
# empty, and by the general way if None. Upstream has a few; more are looked at anew.
cdef dict known_names = {}
cdef Py_ssize_t KNOWN_NAMES_MAX = 256

cdef uint8_t[256] is_token
for _byte in range(256):
    is_token[_byte] = (
        48 <= _byte <= 57 or 65 <= _byte <= 90 or 97 <= _byte <= 122 or _byte in b"!#$%&'*+-.^_`|~"
    )


cdef bytes passed_name(bytes name):
    lower = name.lower()
    passed = None if lower in _headers.HOP_BY_HOP else b"" if lower in _headers.DROPPED else lower
    if len(known_names) < KNOWN_NAMES_MAX:
        known_names[name] = passed
    return passed


def read_answer(bytes data not None, Py_ssize_t whole_bytes_max):
    """Give status, headers to pass on, and body of a final answer that `data` is, all of it.

    None if it is not complete, not followed by nothing, without a `content-length`, with a header
    for this hop only, an interim answer, one without a body, larger than `whole_bytes_max`, or
    anything that RFC 9112 would not write.
    """
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef const uint8_t *end = at + PyBytes_GET_SIZE(data)
    cdef const uint8_t *name
    cdef const uint8_t *value
    cdef const uint8_t *stop
    cdef Py_ssize_t length = -1, fields_count = 0
    cdef int status
    cdef list fields = []
    cdef bytes spelled
    if end - at < 17 or memcmp(at, b"HTTP/1.1 ", 9) != 0 or at[12] != 32:
        return None
    status = digit(at[9]) * 100 + digit(at[10]) * 10 + digit(at[11])
    if status < 200 or status > 599 or status == 204 or status == 304:
        return None
    at = line_end(at + 13, end)
    while at is not NULL:
        at += 2
        if end - at >= 2 and at[0] == 13 and at[1] == 10:
            break
        name = at
        while at < end and is_token[at[0]]:
            at += 1
        if at == name or at >= end or at[0] != 58:
            return None
        value = at + 1
        while value < end and (value[0] == 32 or value[0] == 9):
            value += 1
        spelled = PyBytes_FromStringAndSize(<const char *>name, at - name)
        at = line_end(value, end)
        if at is NULL:
            return None
        stop = at
        while stop > value and (stop[-1] == 32 or stop[-1] == 9):
            stop -= 1
        passed = known_names[spelled] if spelled in known_names else passed_name(spelled)
        fields_count += 1
        if passed is None or fields_count > FIELDS_MAX:
            return None
        if passed == b"content-length":
            if length >= 0:
                return None
            length = number(value, stop)
            if length < 0:
                return None
        if passed:
            fields.append((passed, PyBytes_FromStringAndSize(<const char *>value, stop - value)))
    if at is NULL or length < 0 or length > whole_bytes_max or end - at - 2 != length:
        return None
    if at - <const uint8_t *>PyBytes_AS_STRING(data) > HEAD_BYTES_MAX:
        return None
    return status, fields, PyBytes_FromStringAndSize(<const char *>at + 2, length)


cdef int digit(uint8_t byte) noexcept:
    """A digit's value, or one that makes any status wrong."""
    return byte - 48 if 48 <= byte <= 57 else 1000


cdef Py_ssize_t number(const uint8_t *at, const uint8_t *end) noexcept:
    cdef Py_ssize_t value = 0
    if at == end or end - at > 10:
        return -1
    while at < end:
        if not 48 <= at[0] <= 57:
            return -1
        value = value * 10 + at[0] - 48
        at += 1
    return value


cdef const uint8_t *line_end(const uint8_t *at, const uint8_t *end) noexcept:
    """The line break that ends a line, or NULL: a control character comes first, or nothing."""
    while at < end and (at[0] >= 32 and at[0] != 127 or at[0] == 9):
        at += 1
    return at if end - at >= 2 and at[0] == 13 and at[1] == 10 else NULL


def field_lines(list headers not None):
    """Give header lines for `headers`, pairs of bytes, each line behind a line break.

    None if one holds a line break or NUL, or is not ASCII.
    """
    cdef Py_ssize_t size = 0, part_size
    cdef char *out
    cdef bytes name, value, lines
    for name, value in headers:
        size += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 4
    lines = PyBytes_FromStringAndSize(NULL, size)
    out = PyBytes_AS_STRING(lines)
    for name, value in headers:
        memcpy(out, b"\r\n", 2)
        part_size = PyBytes_GET_SIZE(name)
        memcpy(out + 2, PyBytes_AS_STRING(name), part_size)
        if not plain(<const uint8_t *>out + 2, part_size):
            return None
        out += 2 + part_size
        memcpy(out, b": ", 2)
        part_size = PyBytes_GET_SIZE(value)
        memcpy(out + 2, PyBytes_AS_STRING(value), part_size)
        if not plain(<const uint8_t *>out + 2, part_size):
            return None
        out += 2 + part_size
    return lines


cdef bint plain(const uint8_t *at, Py_ssize_t size) noexcept:
    cdef uint8_t above = 0
    cdef Py_ssize_t place
    for place in range(size):
        above |= at[place]
    return above < 128 and memchr(at, 10, size) is NULL and memchr(at, 13, size) is NULL \
        and memchr(at, 0, size) is NULL
