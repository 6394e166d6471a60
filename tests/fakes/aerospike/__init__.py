"""A stand-in for an Aerospike node that the unmodified client talks to over its wire protocol.

`FakeAerospike` serves one node with its namespaces, and lets a test break it in every way that
the document cache has to survive. What it answers follows a real Community server; what it lacks
(lists by operation, scans, queries, secondary indexes, user functions, several nodes, TLS) answers
with an error instead of with a guess.
"""

from .codes import Code
from .faults import Fault, Hold, Seen, digest_of
from .server import FakeAerospike
from .storage import Namespace

__all__ = ["Code", "FakeAerospike", "Fault", "Hold", "Namespace", "Seen", "digest_of"]
