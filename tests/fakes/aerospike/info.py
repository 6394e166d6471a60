"""The info protocol: what a client asks to find the node, its partitions, and to truncate."""

import base64
from collections.abc import Mapping

from .codes import Refusal
from .storage import EPOCH_S, Namespace

# What the measured server calls itself.
BUILD = "8.1.1.2"
PARTITIONS = 4096

# The node has every partition as master, from the start and for ever.
_ALL_PARTITIONS = base64.b64encode(b"\xff" * (PARTITIONS // 8)).decode()


class Info:
    """Answers for one node."""

    def __init__(self, node_name: str, namespaces: Mapping[str, Namespace]) -> None:
        self._namespaces = namespaces
        self._plain = {
            "node": node_name,
            "build": BUILD,
            "version": f"Aerospike Community Edition build {BUILD}",
            "edition": "Aerospike Community Edition",
            "status": "ok",
            "features": "batch-any;blob-bits;pipelining;pquery;query-show",
            "cluster-name": "null",
            "partition-generation": "1",
            "peers-generation": "1",
            "rebalance-generation": "1",
            "peers-clear-std": "1,3000,[]",
            "peers-clear-alt": "1,3000,[]",
            "partitions": str(PARTITIONS),
        }

    def answer(self, body: bytes, address: str) -> bytes:
        """Answer each line of a question with a line: the question, a tab, the answer."""
        lines = [line for line in body.decode().split("\n") if line]
        return "".join(f"{line}\t{self._line(line, address)}\n" for line in lines).encode()

    def _line(self, line: str, address: str) -> str:
        if line in self._plain:
            return self._plain[line]
        if line in ("service-clear-std", "service-clear-alt", "service"):
            return address
        if line == "namespaces":
            return ";".join(self._namespaces)
        if line == "replicas":
            return "".join(f"{name}:0,1,{_ALL_PARTITIONS};" for name in self._namespaces)
        command, _, rest = line.partition(":")
        if command in ("truncate", "truncate-namespace"):
            return self._truncate(dict(pair.split("=", 1) for pair in rest.split(";")))
        if command == "user-agent-set":
            return "ok"
        if line.startswith("namespace/") and line[10:] in self._namespaces:
            return self._statistics(self._namespaces[line[10:]])
        if line.startswith("sets"):
            return self._sets()
        return "ERROR:4:unrecognized command"

    def _truncate(self, settings: dict[str, str]) -> str:
        namespace = self._namespaces.get(settings.get("namespace", ""))
        if namespace is None:
            return "ERROR:20:namespace not found"
        before_ms = None
        if "lut" in settings:
            before_ms = int(settings["lut"]) // 1_000_000 - EPOCH_S * 1000
        try:
            namespace.truncate(settings.get("set", ""), before_ms)
        except Refusal as refusal:
            return f"ERROR:{refusal.code}:would truncate in the future"
        return "ok"

    def _statistics(self, namespace: Namespace) -> str:
        records = namespace.records()
        return ";".join(
            f"{name}={value}"
            for name, value in {
                "objects": len(records),
                "non_expirable_objects": sum(not record.void_time_s for record in records),
                "stop_writes": str(namespace.stop_writes).lower(),
                "default-ttl": namespace.default_ttl_s,
                "nsup-period": namespace.nsup_period_s,
                "max-record-size": namespace.max_record_bytes,
            }.items()
        )

    def _sets(self) -> str:
        lines = []
        for namespace in self._namespaces.values():
            names = [record.set_name for record in namespace.records()]
            lines += [
                f"ns={namespace.name}:set={name}:objects={names.count(name)}"
                for name in sorted(set(names))
            ]
        return ";".join(lines)
