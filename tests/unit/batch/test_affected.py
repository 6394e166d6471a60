"""Affected ids of a write's answer."""

import pytest

from hevfast.batch.affected import read_affected, texts_of, without_ids


def test_ids_are_read_as_the_texts_they_are_cached_under() -> None:
    affected = read_affected(b'{"status":"OK","upserted_ids":[18446744073709551615,"a",1],"x":[]}')
    assert affected is not None
    assert texts_of(affected.upserted_ids) == {b"18446744073709551615", b"a", b"1"}
    assert affected.deleted_ids is None
    assert texts_of(affected.deleted_ids) == frozenset()


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{", b'{"upserted_ids":1}', b'{"patched_ids":[1.5]}', b"\xff"]
)
def test_unreadable_answers_give_no_ids(answer: bytes) -> None:
    assert read_affected(answer) is None


def test_lists_are_taken_out_and_the_rest_keeps_its_bytes() -> None:
    answer = b'{"status":"OK","deleted_ids":[1],"rows_affected":1,"billing":{"a": 1e0}}'
    assert without_ids(answer) == b'{"status":"OK","rows_affected":1,"billing":{"a": 1e0}}'


@pytest.mark.parametrize("answer", [b"not json", b'{"a" : 1}', b"[1]"])
def test_answers_without_lists_are_given_as_they_are(answer: bytes) -> None:
    assert without_ids(answer) == answer
