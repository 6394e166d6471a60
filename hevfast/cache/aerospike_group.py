"""Gathers operations that wait into one call of the client.

A call costs a thread's waking and the client's own preparations, several times as much as one more
record in it. So while calls are under way, what is asked for meanwhile gathers for the next. Of a
bulk write and a small one, each has its turn: a call takes whole submissions in their order.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Final

import aerospike
from aerospike import exception

# The client's own stubs leave its helpers out.
from aerospike_helpers.batch.records import (  # type: ignore[import-untyped]
    BatchRecord,
)

from hevfast.cache.aerospike_client import (
    DONE,
    NOT_FOUND,
    Job,
    StoreAwayError,
    StoreLateError,
    StoreLostError,
    do_batch,
)

LOGGER = logging.getLogger("hevfast.cache")

# Records and bytes of one call: it must not keep the loop from its turn for a millisecond.
CALL_RECORDS_MAX: Final = 100
CALL_BYTES_MAX: Final = 2 * 1024 * 1024

# Bytes below which a call takes as long as one of a single record.
_SMALL_BYTES: Final = 64 * 1024

# Calls under way. A second one is made while the first is on the wire.
_CALLS_MAX: Final = 2

# Submissions that wait; beyond it the store counts as failed.
_WAITING_MAX: Final = 4096

# Seconds between looks at who has waited for too long.
_LOOK_S: Final = 0.02

Ask = Callable[[Job[None]], "asyncio.Future[None]"]


class Followed(Enum):
    """What became of the record that was to follow others."""

    # It was not to be done: one of the others was not confirmed.
    NOT_ASKED = "not asked"
    # It holds its result.
    ASKED = "asked"
    # It may have been done, or be done later, or never; the others are confirmed.
    LOST = "lost"


class _Submission:
    """Some records of one caller: done in one call, in their order."""

    __slots__ = ("bytes", "deadline_s", "followed", "following", "future", "records")

    def __init__(
        self,
        records: Sequence[BatchRecord],
        size: int,
        deadline_s: float,
        following: BatchRecord | None,
        future: "asyncio.Future[Followed]",
    ) -> None:
        self.records = records
        self.following = following
        self.followed = Followed.NOT_ASKED
        self.bytes = size
        self.deadline_s = deadline_s
        self.future = future


class Group:
    """The calls of one event loop. `ask` gives a job to a thread.

    `least_ms`: what each call may take in any case.
    """

    def __init__(self, ask: Ask, least_ms: int = 0) -> None:
        self._ask = ask
        self._least_ms = least_ms
        self._waiting: deque[_Submission] = deque()
        self._under_way: list[list[_Submission]] = []
        self._flushing = False
        self._looking = False

    def __repr__(self) -> str:
        return f"<Group {len(self._waiting)} waiting, {len(self._under_way)} calls under way>"

    def submit(
        self,
        records: Sequence[BatchRecord],
        size: int,
        deadline_s: float,
        *,
        following: BatchRecord | None = None,
    ) -> "asyncio.Future[Followed]":
        """Do records, `size` bytes of them at most; afterwards their results tell what became.

        Up to `CALL_RECORDS_MAX` at a time. `following`: done in a second call, if the first has
        confirmed all of the others. `deadline_s`, by the loop's clock: records that are not
        under way by then are not done; of others nobody knows.

        Raises: StoreAwayError. The future: StoreLostError.
        """
        if len(self._waiting) >= _WAITING_MAX:
            raise StoreAwayError("too many operations wait")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Followed] = loop.create_future()
        self._waiting.append(_Submission(records, size, deadline_s, following, future))
        if not self._flushing and len(self._under_way) < _CALLS_MAX:
            # Not at once: others of this turn of the loop may want to come along.
            self._flushing = True
            loop.call_soon(self._flush)
        if not self._looking:
            self._looking = True
            loop.call_later(_LOOK_S, self._look)
        return future

    def _flush(self) -> None:
        self._flushing = False
        while self._waiting and len(self._under_way) < _CALLS_MAX:
            call = self._next_call()
            if not call:
                return
            try:
                asked = self._ask(partial(_do, call, self._least_ms))
            except StoreLostError as error:
                _fail(call, error)
                continue
            self._under_way.append(call)
            asked.add_done_callback(partial(self._done, call))

    def _next_call(self) -> list[_Submission]:
        call: list[_Submission] = []
        count = size = 0
        while self._waiting:
            submission = self._waiting[0]
            count += len(submission.records)
            size += submission.bytes
            if call and (count > CALL_RECORDS_MAX or size > CALL_BYTES_MAX):
                break
            self._waiting.popleft()
            if submission.future.done():
                # Its caller has left: it is not done.
                count -= len(submission.records)
                size -= submission.bytes
            else:
                call.append(submission)
        return call

    def _done(self, call: list[_Submission], asked: "asyncio.Future[None]") -> None:
        self._under_way.remove(call)
        error = StoreLostError("the gateway ends") if asked.cancelled() else asked.exception()
        if error is not None:
            _fail(call, error)
        for submission in call:
            if not submission.future.done():
                submission.future.set_result(submission.followed)
        self._flush()

    def _look(self) -> None:
        """Give up what is late: one look for all costs less than a timer for each."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        late = [each for each in self._waiting if each.deadline_s <= now_s]
        late += [each for call in self._under_way for each in call if each.deadline_s <= now_s]
        _fail(late, StoreLateError("no answer in time"))
        self._looking = bool(self._waiting or self._under_way)
        if self._looking:
            loop.call_later(_LOOK_S, self._look)


def _do(call: Sequence[_Submission], least_ms: int, client: aerospike.Client) -> None:
    """Make a call, and a second one of what is to follow it. On a thread."""
    small = sum(submission.bytes for submission in call) < _SMALL_BYTES
    records = [record for submission in call for record in submission.records]
    do_batch(client, records, small=small, least_ms=least_ms)
    followed = [submission for submission in call if _is_due(submission)]
    if not followed:
        return
    for submission in followed:
        submission.followed = Followed.LOST
    try:
        do_batch(client, [submission.following for submission in followed], small=True)
    except (StoreLostError, exception.AerospikeError) as error:
        LOGGER.warning("Aerospike failed: %s", error)
        return
    for submission in followed:
        submission.followed = Followed.ASKED


def _is_due(submission: _Submission) -> bool:
    # The record of a removal may have been missing before.
    return submission.following is not None and all(
        record.result in (DONE, NOT_FOUND) for record in submission.records
    )


def _fail(submissions: Sequence[_Submission], error: BaseException) -> None:
    for submission in submissions:
        if not submission.future.done():
            submission.future.set_exception(error)
