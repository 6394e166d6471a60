"""A stand-in for an Aerospike node that the unmodified client talks to over its wire protocol.

`FakeAerospike` serves one node with its namespaces, and lets a test break it in every way that
the document cache has to survive. What it answers follows a real Community server, compared by
random operations on both; what it lacks (lists by operation, containers inside containers, shifts
of bits, queries, secondary indexes, user functions, several nodes, TLS) answers with an error
instead of with a guess.

Known to differ: `bit_rscan` answers -1 where it finds nothing (a real server sometimes less);
putting several items with the flags "update only", "no fail" and "partial" answers the map's size
(a real server sometimes the number of items); of an operation with two faults the other one may
be told. A real server with several threads does what waits on several connections in any order.

`client.truncate` keeps the interpreter's lock while it waits: call it from another process than
the one that runs the stand-in.
"""

from .codes import Code
from .faults import Fault, Hold, Seen, digest_of
from .server import FakeAerospike
from .storage import Namespace

__all__ = ["Code", "FakeAerospike", "Fault", "Hold", "Namespace", "Seen", "digest_of"]
