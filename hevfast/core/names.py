"""Words that several parts use and that metrics show as the values of their labels."""

import enum


class Status(enum.StrEnum):
    """How a request, or a call of the cache, ended. The words are Layer's (layer-api 7)."""

    OK = "ok"
    # Upstream refused it, or could not be reached.
    TPUF_ERROR = "tpuf_error"
    # Refused or broken off here; nothing is known of an answer.
    LAYER_ERROR = "layer_error"
    # The document cache failed, whichever store holds it.
    AEROSPIKE_ERROR = "aerospike_error"
    # The document cache has no room.
    AEROSPIKE_STOP_WRITES = "aerospike_stop_writes"
    TIMEOUT = "timeout"


class Fetched(enum.StrEnum):
    """The two fetches."""

    ONE = "get_doc"
    BATCH = "get_batch"


class Served(enum.StrEnum):
    """Where the documents of a fetch came from."""

    HIT = "hit"
    MISS = "miss"
    PARTIAL = "partial"


class Looked(enum.StrEnum):
    """What asking the cache for documents came to."""

    HIT = "hit"
    MISS = "miss"
    # Of several documents, some were there.
    PARTIAL = "partial"
    # The cache could not be asked.
    ERROR = "error"
    # Not asked: there is no cache, or upstream has not let this key in yet.
    BYPASS = "bypass"


class StoreKind(enum.StrEnum):
    """What holds the document cache."""

    AEROSPIKE = "aerospike"
    LMDB = "lmdb"
    MEMORY = "memory"
    OFF = "off"


class Failure(enum.StrEnum):
    """Why a call of the cache's store did not do what it should."""

    # No room: of the file, of the disk, of the cluster (stop-writes).
    FULL = "full"
    # What it holds cannot be trusted or understood.
    DAMAGED = "damaged"
    # No answer within its deadline: hung, or another holds the lock.
    LATE = "late"
    # Too many calls wait.
    BUSY = "busy"
    # It answered with an error, or the connection broke.
    FAILED = "failed"
    # Left alone after failures in a row, or not connected.
    NOT_TRIED = "not_tried"


class Replaced(enum.StrEnum):
    """Why the cache's file gave way to a new one."""

    DAMAGED = "damaged"
    FULL = "full"
    # Made before the machine started anew.
    OUTLIVED = "outlived"


class Incident(enum.StrEnum):
    """What the cache had to do for safety's sake, or could not do."""

    # A write went upstream that the store could not be told of.
    UNANNOUNCED = "unannounced"
    # Upstream applied a write, and not all its rows could be kept.
    MIRROR_FAILED = "mirror_failed"
    # Upstream may have applied a write, or do so yet.
    IN_DOUBT = "in_doubt"
    # Everything cached, or a namespace of it, was given up.
    VOIDED = "voided"
    # The store could not be told what is stale; it is owed that.
    OWED = "owed"
    BREAKER_OPENED = "breaker_opened"
