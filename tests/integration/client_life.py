"""The main job with whichever official client is importable: `python client_life.py BASE_URL`.

Run in a process of its own, so that two major versions of the client can be tried.
"""

import random
import sys
import time

import turbopuffer

ROWS = 10_000
DIMENSIONS = 768
PAGE = 5000
STAMPS = ["_hevlayer_upserted_at", "_hevlayer_shard"]


def everything(namespace: object, attributes: list[str]) -> dict[int, object]:
    """Export the namespace the documented way: by id, a page at a time."""
    rows: dict[int, object] = {}
    last = 0
    while True:
        found = namespace.query(  # type: ignore[attr-defined]
            rank_by=("id", "asc"),
            top_k=PAGE,
            filters=("id", "Gt", last),
            include_attributes=attributes,
        ).rows
        rows |= {row.id: row for row in found}
        if len(found) < PAGE:
            return rows
        last = found[-1].id


def main() -> None:
    print(f"turbopuffer {turbopuffer.__version__}")
    rng = random.Random(7)
    vectors = [[rng.uniform(-1, 1) for _ in range(DIMENSIONS)] for _ in range(ROWS)]
    titles = [f"title {n}" for n in range(ROWS)]
    client = turbopuffer.Turbopuffer(api_key="tpuf_any", base_url=sys.argv[1], max_retries=0)
    before_ms = int(time.time() * 1000)

    by_rows = client.namespace("life-rows")
    written = by_rows.write(
        upsert_rows=[{"id": n + 1, "vector": vectors[n], "title": titles[n]} for n in range(ROWS)],
        distance_metric="cosine_distance",
    )
    assert written.rows_affected == ROWS, written
    by_columns = client.namespace("life-columns")
    written = by_columns.write(
        upsert_columns={"id": list(range(1, ROWS + 1)), "vector": vectors, "title": titles},
        distance_metric="cosine_distance",
    )
    assert written.rows_affected == ROWS, written
    after_ms = int(time.time() * 1000)

    for namespace in (by_rows, by_columns):
        rows = everything(namespace, ["title", *STAMPS])
        assert len(rows) == ROWS
        stamps = {row[STAMPS[0]] for row in rows.values()}  # type: ignore[index]
        assert len(stamps) == 1, "one write, one stamp"
        assert before_ms <= stamps.pop() <= after_ms
        # xxh64 of "1" and "42" modulo 16.
        assert rows[1]["_hevlayer_shard"] == 4  # type: ignore[index]
        assert rows[42]["_hevlayer_shard"] == 9  # type: ignore[index]

        assert namespace.write(patch_rows=[{"id": 5, "title": "patched"}]).rows_affected == 1
        assert namespace.write(patch_columns={"id": [6, 7], "title": ["a", "b"]}).rows_affected == 2
        assert namespace.write(deletes=[8, 9]).rows_affected == 2
        rows = everything(namespace, ["title", *STAMPS])
        assert len(rows) == ROWS - 2
        assert 8 not in rows
        assert rows[5]["title"] == "patched"  # type: ignore[index]
        first = min(row[STAMPS[0]] for row in rows.values())  # type: ignore[index]
        assert all(rows[n][STAMPS[0]] >= after_ms > first - 1 for n in (5, 6, 7))  # type: ignore[index]

        nearest = namespace.query(
            rank_by=("vector", "ANN", vectors[99]), top_k=3, include_attributes=STAMPS
        ).rows
        assert nearest[0].id == 100
        assert all(row[STAMPS[0]] for row in nearest)
        namespace.delete_all()
    print("life of two namespaces: good")


if __name__ == "__main__":
    main()
