"""The specification of the scanner (ext/README.md) once more: plain, slow, stdlib only."""

from tests.oracle.scan import plan
from tests.oracle.stamp import shard_of, stamp, unstamp
from tests.oracle.vocabulary import Cut, Fault, Key, Kind, Plan, Row, Section
from tests.oracle.xxh64 import xxh64

__all__ = [
    "Cut",
    "Fault",
    "Key",
    "Kind",
    "Plan",
    "Row",
    "Section",
    "plan",
    "shard_of",
    "stamp",
    "unstamp",
    "xxh64",
]
