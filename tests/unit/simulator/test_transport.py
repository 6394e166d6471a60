"""Compression in both directions, and who may have it."""

import gzip

import pytest

from hevfast.simulator import transport
from hevfast.simulator.answers import Refusal
from hevfast.simulator.transport import accepts_gzip, gunzip


@pytest.mark.parametrize(
    ("accepted", "allowed"),
    [
        ("gzip", True),
        ("identity", False),
        ("", False),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*, gzip;q=0", False),
        ("GZIP", True),
        ("gzip;q=much", False),
    ],
)
def test_gzip_is_used_only_where_it_is_accepted(accepted: str, allowed: bool) -> None:
    assert accepts_gzip(accepted) is allowed


def test_gunzip_reads_one_or_more_members() -> None:
    assert gunzip(gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"


@pytest.mark.parametrize("packed", [b"plain", gzip.compress(b"cut short")[:-9]])
def test_broken_gzip_is_400(packed: bytes) -> None:
    with pytest.raises(Refusal, match="invalid gzip body") as refused:
        gunzip(packed)
    assert refused.value.status == 400


def test_gzip_bomb_is_stopped_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BODY_BYTES_MAX", 1000)
    assert len(gunzip(gzip.compress(bytes(1000)))) == 1000
    for packed in (gzip.compress(bytes(1001)), gzip.compress(bytes(600)) * 2):
        with pytest.raises(Refusal) as refused:
            gunzip(packed)
        assert refused.value.status == 413
