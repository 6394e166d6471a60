"""Sending a large body in steps, none of which holds the event loop."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from hevfast.core.limits import SLICE_BYTES, TLS_SLICE_BYTES
from hevfast.upstream.line import Line

Buffer = bytes | bytearray | memoryview

# A body in memory, as lists of buffers: each list is of a size to be sent in one go.
Steps = Iterable[Sequence[Buffer]]

# Bytes. Buffers that are smaller than this on the average are joined: a system call takes them
# one by one, which costs several times as much as a copy. A row that goes by reference is of 4 KiB
# at least, and has a small stamp beside it.
_REFERENCE_BYTES_MIN = 2048


def steps_of(body: Buffer) -> Iterator[list[memoryview]]:
    """Cut a body that is one buffer."""
    view = memoryview(body)
    for start in range(0, len(view), SLICE_BYTES):
        yield [view[start : start + SLICE_BYTES]]


async def send_steps(line: Line, steps: Steps, size: int) -> bool:
    """Write a body step by step, with a turn for other requests after each.

    Never waits for the body to be taken once the answer is here: a server may answer early and
    read no further. Gives whether everything was handed over.
    """
    sent = 0
    for step in steps:
        for buffers in _writes(step, line.secure):
            transport = line.transport
            # One that is closing has not told so yet; why will be in the line's fault.
            if line.ready or transport is None or transport.is_closing():
                return False
            transport.writelines(buffers)
            sent += sum(map(len, buffers))
            line.heard = True
            if not line.writing_paused:
                await asyncio.sleep(0)
            while line.writing_paused and not line.ready:
                await line.changed()
    if sent != size:
        # The length has gone out; anything else would make the next request part of this one.
        raise RuntimeError(f"a body of {size} bytes had {sent}")
    return True


def _writes(step: Sequence[Buffer], secure: bool) -> Iterator[Sequence[Buffer]]:
    """Give what to write of one step at a time.

    Large buffers go by reference. TLS copies whatever it is given and takes many buffers badly,
    so there a step is joined, and written in smaller parts because it is enciphered at once.
    """
    if not secure and sum(map(len, step)) >= len(step) * _REFERENCE_BYTES_MIN:
        yield step
        return
    joined = memoryview(step[0] if len(step) == 1 else b"".join(step))
    part_bytes = TLS_SLICE_BYTES if secure else len(joined)
    for start in range(0, len(joined), part_bytes):
        yield [joined[start : start + part_bytes]]
