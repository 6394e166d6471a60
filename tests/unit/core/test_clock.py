"""The clock of the stamps."""

import time

import pytest

from hevfast.core.clock import Clock


def test_now_is_milliseconds_since_the_epoch() -> None:
    before = time.time()
    now_ms = Clock().now_ms()
    assert before - 0.001 <= now_ms / 1000 <= time.time()


def test_never_goes_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    readings = iter([5_000_000, 3_000_000, 4_999_999, 5_999_999, 6_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(readings))
    assert [clock.now_ms() for _ in range(5)] == [5, 5, 5, 5, 6]
