"""The numbers of the wire protocol: result codes, message flags, fields, operations, types."""

import enum


class Code(enum.IntEnum):
    """What became of an operation."""

    OK = 0
    UNKNOWN = 1
    NOT_FOUND = 2
    GENERATION = 3
    PARAMETER = 4
    RECORD_EXISTS = 5
    BIN_EXISTS = 6
    SERVER_FULL = 8
    TIMEOUT = 9
    CLUSTER_FORMING = 11
    BIN_TYPE = 12
    RECORD_TOO_BIG = 13
    KEY_BUSY = 14
    UNSUPPORTED = 16
    BIN_NOT_FOUND = 17
    DEVICE_OVERLOAD = 18
    KEY_MISMATCH = 19
    NAMESPACE = 20
    BIN_NAME = 21
    FORBIDDEN = 22
    ELEMENT_NOT_FOUND = 23
    ELEMENT_EXISTS = 24
    ENTERPRISE_ONLY = 25
    OP_NOT_APPLICABLE = 26
    FILTERED_OUT = 27


class Refusal(Exception):  # noqa: N818 - an answer of the server, not an error of the program
    """An operation that ends with another code than OK and changes nothing."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Info1(enum.IntFlag):
    """Flags of the first flag byte."""

    READ = 1
    GET_ALL = 2
    BATCH = 8
    NO_BIN_DATA = 32
    COMPRESS_RESPONSE = 128


class Info2(enum.IntFlag):
    """Flags of the second flag byte."""

    WRITE = 1
    DELETE = 2
    GENERATION = 4
    GENERATION_GT = 8
    DURABLE_DELETE = 16
    CREATE_ONLY = 32
    RESPOND_ALL_OPS = 128


class Info3(enum.IntFlag):
    """Flags of the third flag byte."""

    LAST = 1
    UPDATE_ONLY = 8
    CREATE_OR_REPLACE = 16
    REPLACE_ONLY = 32


class Field(enum.IntEnum):
    """Kinds of fields in front of a message's operations."""

    NAMESPACE = 0
    SET = 1
    KEY = 2
    DIGEST = 4
    BATCH_INDEX = 41
    FILTER = 43


class Op(enum.IntEnum):
    """Operations on bins."""

    READ = 1
    WRITE = 2
    CDT_READ = 3
    CDT_MODIFY = 4
    INCREMENT = 5
    EXP_READ = 7
    EXP_MODIFY = 8
    APPEND = 9
    PREPEND = 10
    TOUCH = 11
    BITS_READ = 12
    BITS_MODIFY = 13
    DELETE_ALL = 14


class Kind(enum.IntEnum):
    """Types of values."""

    NULL = 0
    INTEGER = 1
    FLOAT = 2
    STRING = 3
    BLOB = 4
    BOOL = 17
    MAP = 19
    LIST = 20
    GEOJSON = 23


# Times to live that mean something else than seconds.
TTL_DEFAULT = 0
TTL_NEVER = 0xFFFFFFFF
TTL_DONT_UPDATE = 0xFFFFFFFE
# Seconds. A server refuses a longer one.
TTL_MAX_S = 10 * 365 * 24 * 3600
