"""A node in a process of its own, and its controls from this one."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_STOP_S: Final = 10.0
_ROOT: Final = Path(__file__).parents[3]


class NodeProcess:
    """One node, by its controls: see `__main__`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = int(self._line())

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        answer = self._line()
        if answer != "done":
            raise RuntimeError(f"the node did not {line}: {answer!r}")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def node_process() -> Iterator[NodeProcess]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.aerospike"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    with process:
        try:
            yield NodeProcess(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
