"""When a failing store is left alone and tried again."""

from hevfast.cache.breaker import Breaker


def opened(at_s: float = 100.0) -> Breaker:
    breaker = Breaker()
    for _ in range(5):
        assert breaker.allows(at_s)
        breaker.failed(at_s)
    assert breaker.is_open
    return breaker


def test_single_failures_do_not_open_it() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.failed(1.0)
        breaker.succeeded()
    assert not breaker.is_open
    assert breaker.allows(1.0)


def test_open_breaker_allows_nothing_for_two_seconds_and_then_one_probe() -> None:
    breaker = opened()
    assert not breaker.allows(101.9)
    assert not breaker.ready(101.9)
    assert breaker.ready(102.0)
    assert breaker.allows(102.0)
    assert not breaker.allows(102.0)
    assert not breaker.ready(102.0)


def test_probe_that_succeeds_closes_and_one_that_fails_opens_again() -> None:
    breaker = opened()
    assert breaker.allows(102.0)
    breaker.failed(102.1)
    assert not breaker.allows(104.0)
    assert breaker.allows(104.1)
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.allows(104.1)
    assert breaker.allows(104.1)


def test_probe_that_is_never_heard_of_again_does_not_keep_it_shut() -> None:
    """The caller was cancelled, or found nothing to do."""
    breaker = opened()
    assert breaker.allows(102.0)
    assert not breaker.allows(103.9)
    assert breaker.allows(104.0)
    breaker.succeeded()
    assert not breaker.is_open


def test_asking_whether_it_is_ready_takes_no_probe() -> None:
    breaker = opened()
    for _ in range(3):
        assert breaker.ready(102.0)
    assert breaker.allows(102.0)
