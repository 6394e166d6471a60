"""The one body of several writes, whatever their rows and the whitespace around them."""

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from hevfast.batch._scan import ScanError, scan
from hevfast.batch.group import body_of, is_joinable, member_of
from hevfast.batch.stamp import stamp
from tests.property.bodies import WHITE, array, json_object, values

KEYS = (b"schema", b"distance_metric", b"disable_backpressure", b"encryption", b"sharding")


@st.composite
def upserts(draw: st.DrawFn) -> bytes:
    ids = draw(st.lists(st.integers(0, 1 << 64), min_size=1, max_size=4, unique=True))
    made = []
    for each in ids:
        members = [(b'"id"', [draw(st.sampled_from((b"%d", b'"%d"'))) % each])]
        if draw(st.booleans()):
            members.append((b'"a"', draw(values(1))))
        made.append(draw(json_object(draw(st.permutations(members)))))
    keys = [(b'"upsert_rows"', draw(array(made)))]
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=2, unique=True)):
        keys.append((b'"%b"' % key, [draw(st.sampled_from((b"{}", b"true", b'{"a":"int"}')))]))
    body = draw(json_object(draw(st.permutations(keys))))
    return b"".join([draw(WHITE), *body, draw(WHITE)])


@given(upserts(), st.integers(1, 4))
def test_a_body_of_several_holds_the_rows_of_each(body: bytes, count: int) -> None:
    try:
        plan = scan(body, False, 1 << 22)
    except ScanError:
        # Too deep, now and then.
        assume(False)
    stamped = stamp(plan, now_ms=17, shard_count=16, stamp_shard=True)
    assert is_joinable(plan, stamped)
    member = member_of(plan, stamped)
    assert member is not None
    together = body_of([member] * count)
    if count == 1:
        assert together == member.body
    try:
        alone = json.loads(member.body, parse_constant=str)
    except ValueError:
        # Numbers in arrays are upstream's to judge.
        assume(False)
    every = json.loads(together, parse_constant=str)
    assert every.pop("upsert_rows") == alone["upsert_rows"] * count
    assert every == {name: value for name, value in alone.items() if name != "upsert_rows"}
    assert len(alone["upsert_rows"]) == member.rows_count
    assert together.startswith(member.frame[0])
    assert together.endswith(member.frame[1])
