"""What a raw path below `/v2/pipelines` names: a pipeline, a document of it, what is asked of it.

Document ids hold anything, `/` included, and clients differ in what they escape. So paths are read
as sent and decoded once: the words around an id are found first, all that is left is the id.
"""

import enum
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from hevfast.core.errors import GatewayError
from hevfast.core.paths import PIPELINES_PREFIX
from hevfast.pipelines.store import DOCUMENT_ID_BYTES_MAX, PIPELINE_ID_BYTES_MAX


class Place(enum.Enum):
    """The resources, as their paths continue."""

    PIPELINES = ""
    PIPELINE = "/{pipeline}"
    STATUS = "/{pipeline}/status"
    CLAIM = "/{pipeline}/claim"
    PAUSE = "/{pipeline}/pause"
    RESUME = "/{pipeline}/resume"
    DOCUMENTS = "/{pipeline}/documents"
    HEARTBEAT = "/{pipeline}/documents/heartbeat"
    STAGE = "/{pipeline}/documents/stage"
    SEVERAL_CHUNKS = "/{pipeline}/documents/chunks"
    DOCUMENT = "/{pipeline}/documents/{document}"
    CHUNKS = "/{pipeline}/documents/{document}/chunks"
    VECTORS = "/{pipeline}/documents/{document}/vectors"


class Named(NamedTuple):
    """What a path names; ids are "" where there is none."""

    place: Place
    pipeline: str = ""
    document: str = ""


_OF_PIPELINE: Final = {
    b"status": Place.STATUS,
    b"claim": Place.CLAIM,
    b"pause": Place.PAUSE,
    b"resume": Place.RESUME,
    b"documents": Place.DOCUMENTS,
}

# Deeds upon several documents. They are reserved for POST: with another method they are ids.
_OF_DOCUMENTS: Final = {
    b"heartbeat": Place.HEARTBEAT,
    b"stage": Place.STAGE,
    b"chunks": Place.SEVERAL_CHUNKS,
}

_DOCUMENTS: Final = b"documents/"
_CHUNKS: Final = b"/chunks"
_VECTORS: Final = b"/vectors"


def named(method: str, path: bytes) -> Named:
    """Read a raw path that begins with PIPELINES_PREFIX.

    Raises: GatewayError `not_found`; `validation_error` for an id that is too long or not UTF-8.
    """
    rest = path[len(PIPELINES_PREFIX) :]
    if not rest:
        return Named(Place.PIPELINES)
    if not rest.startswith(b"/"):
        raise _no_such_path()
    name, *below = rest[1:].split(b"/", 1)
    if not name:
        raise _no_such_path()
    pipeline = _id(name, PIPELINE_ID_BYTES_MAX, "pipeline")
    if not below:
        return Named(Place.PIPELINE, pipeline)
    if below[0].startswith(_DOCUMENTS):
        return _below_documents(method, pipeline, below[0][len(_DOCUMENTS) :])
    place = _OF_PIPELINE.get(below[0])
    if place is None:
        raise _no_such_path()
    return Named(place, pipeline)


def _below_documents(method: str, pipeline: str, rest: bytes) -> Named:
    place = Place.DOCUMENT
    if method == "POST":
        place = _OF_DOCUMENTS.get(rest, place)
        if place is not Place.DOCUMENT:
            return Named(place, pipeline)
    # An id that itself ends like this has to be sent with its slash escaped.
    if rest.endswith(_CHUNKS):
        place, rest = Place.CHUNKS, rest[: -len(_CHUNKS)]
    elif rest.endswith(_VECTORS):
        place, rest = Place.VECTORS, rest[: -len(_VECTORS)]
    if not rest:
        raise _no_such_path()
    return Named(place, pipeline, _id(rest, DOCUMENT_ID_BYTES_MAX, "document"))


def _id(spelled: bytes, bytes_max: int, whose: str) -> str:
    plain = unquote_to_bytes(spelled) if b"%" in spelled else spelled
    if len(plain) > bytes_max:
        raise GatewayError("validation_error", f"The {whose} id is longer than {bytes_max} bytes.")
    try:
        return plain.decode()
    except UnicodeDecodeError as error:
        raise GatewayError("validation_error", f"The {whose} id is not UTF-8.") from error


def _no_such_path() -> GatewayError:
    return GatewayError("not_found", "No such path below /v2/pipelines.")
