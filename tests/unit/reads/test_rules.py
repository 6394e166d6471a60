"""The rules of the watermark that need no interleaving: what upstream said, when it is asked."""

import pytest

from hevfast.reads.mark import Standing
from hevfast.reads.rules import Intervals, standing_of, wait_s


@pytest.mark.parametrize(
    ("metadata", "standing"),
    [
        (b'{"index":{"status":"up-to-date"}}', Standing.STABLE),
        (b'{"index":{"status":"updating","unindexed_bytes":9}}', Standing.UPDATING),
        (b'{"index":{"status":"updating"}}', Standing.UPDATING),
        # Not said by the word: what is not indexed says it, wherever it stands.
        (b'{"index":{"state":"?"},"stats":[{"unindexed_bytes":1}]}', Standing.UPDATING),
        (b'{"unindexed_bytes":12}', Standing.UPDATING),
        (b'{"index":"odd","unindexed_bytes":12}', Standing.UPDATING),
        (b'{"unindexed_bytes":0}', Standing.UNKNOWN),
        (b'{"index":{"status":"rebuilding"}}', Standing.UNKNOWN),
        (b'{"index":null}', Standing.UNKNOWN),
        (b"{}", Standing.UNKNOWN),
        (b"[]", Standing.UNKNOWN),
        (b"not json", Standing.UNKNOWN),
        (b"\xff", Standing.UNKNOWN),
    ],
)
def test_what_is_not_understood_is_never_caught_up(metadata: bytes, standing: Standing) -> None:
    assert standing_of(metadata) is standing


def test_questions_come_seldom_while_all_is_indexed_and_back_off_on_faults() -> None:
    intervals = Intervals(1.0, 60.0)
    assert wait_s(Standing.STABLE, 0, intervals) == 60.0
    assert wait_s(Standing.UPDATING, 0, intervals) == 1.0
    assert wait_s(Standing.UNKNOWN, 0, intervals) == 1.0
    waits = [wait_s(Standing.UNKNOWN, failures, intervals) for failures in range(1, 200)]
    assert waits == sorted(waits)
    assert waits[0] == 2.0
    assert waits[-1] == 60.0
