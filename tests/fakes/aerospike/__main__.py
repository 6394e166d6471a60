"""A node in a process of its own: `python -m tests.fakes.aerospike`.

It prints its port, then does what each line of its input says: the name of one of its controls and
that control's words. It ends with its input.
"""

import sys
from typing import TYPE_CHECKING

from .server import FakeAerospike

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    with FakeAerospike() as node:
        print(node.port, flush=True)
        controls: dict[str, Callable[..., object]] = {
            "freeze": node.freeze,
            "thaw": node.thaw,
            "empty": node.restart,
            "kill": node.kill,
            "revive": lambda: node.restart(keep_data=True),
            "fill": node.fill,
            "make_room": node.make_room,
            # Every connection is cut with the next message on it, done or not.
            "cut": lambda: node.close(times=None),
            "cut_late": lambda: node.close(times=None, applied=True),
            "mute": lambda: node.drop_reply(times=None),
            "heal": node.faults.clear,
        }
        for line in sys.stdin:
            name, *words = line.split()
            controls[name](*words)
            print("done", flush=True)


if __name__ == "__main__":
    main()
