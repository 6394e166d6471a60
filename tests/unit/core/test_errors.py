"""The table of errors."""

import logging

import pytest

from hevfast.core.errors import MEANINGS, GatewayError, Retry, Source


def test_an_error_takes_its_meaning_from_the_table() -> None:
    error = GatewayError("upstream_error", "Turbopuffer write failed: connection refused.")
    assert (error.status, error.source, error.retry) == (
        502,
        Source.UPSTREAM,
        Retry.ONLY_IF_UNSENT,
    )
    assert error.body() == {
        "error": "upstream_error",
        "message": "Turbopuffer write failed: connection refused.",
    }


def test_further_fields_follow_error_and_message() -> None:
    error = GatewayError("UnsupportedByStore", "no", fields={"store": "turbopuffer"})
    assert list(error.body()) == ["error", "message", "store"]


def test_an_unknown_code_is_a_fault_of_the_program() -> None:
    with pytest.raises(KeyError):
        GatewayError("no_such_code", "x")


def test_only_failures_are_logged_loudly() -> None:
    for code, meaning in MEANINGS.items():
        loud = meaning.log_level >= logging.WARNING
        assert loud == (meaning.status >= 500 and code != "gateway_draining")
