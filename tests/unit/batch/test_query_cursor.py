"""Pages of rows against the plain way: sort them all, and cut."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hevfast.batch.query_cursor import Place, paged, read_cursor, spelled_cursor

IDS = st.one_of(
    st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=12),
    st.lists(st.text(max_size=4), unique=True, max_size=12),
)


def answer(rows: list[tuple[float, int | str]]) -> bytes:
    each = [{"$dist": distance, "id": name, "t": f"{name}"} for distance, name in rows]
    return json.dumps({"rows": each, "billing": {"a": 1}}).encode()


@given(
    ids=IDS,
    distances=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), min_size=12, max_size=12),
    top_k=st.integers(1, 5),
    ascending=st.booleans(),
)
def test_pages_are_the_rows_in_order_each_once(
    ids: list[int] | list[str], distances: list[float], top_k: int, ascending: bool
) -> None:
    """Upstream gives as many rows as it is asked for, those of one distance in any order."""
    rows = sorted(zip(distances, ids, strict=False), key=lambda row: row[0], reverse=not ascending)
    sign = 1 if ascending else -1
    wanted = [name for _, name in sorted(rows, key=lambda row: (sign * row[0], row[1]))]
    got: list[int | str] = []
    after: Place | None = None
    for _ in range(len(rows) + 1):
        # All that share a distance with the last are there, so that ties are not cut.
        page = paged(answer(rows), top_k, after, ascending=ascending)
        got += [row["id"] for row in json.loads(page.body)["rows"]]
        if page.end is None:
            break
        after = read_cursor(spelled_cursor(page.end).decode())
        assert after == page.end
    assert got == wanted


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows":[{"$dist":2.0,"id":1},{"$dist":1.0,"id":2}]}',
        b'{"rows":[{"id":1},{"id":2}]}',
        b'{"rows":[{"$dist":null,"id":2}]}',
        b'{"rows":[]}',
        b'{"aggregations":{"n":1}}',
        b"not json",
    ],
)
def test_an_answer_in_another_order_is_left_as_it_is(body: bytes) -> None:
    assert paged(body, 1, None, ascending=True) == (body, None)


@pytest.mark.parametrize("text", ["", "e30", "bnVsbA", "!", "eyJkIjoxfQ", "x" * 2000])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        read_cursor(text)
