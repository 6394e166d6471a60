"""Every call of Turbopuffer's client for Python: `python turbopuffer_calls.py BASE_URL`.

Run in a process of its own, so that two major versions of the client can be tried. Prints the names
of the calls that did what they should.
"""

import sys
import time
from typing import Any

import turbopuffer

Q: dict[str, Any] = {"rank_by": ("id", "asc"), "top_k": 10}

# Not calls to the server.
NOT_CALLS = {"id", "with_raw_response", "with_streaming_response"}


def main() -> None:
    client = turbopuffer.Turbopuffer(api_key="tpuf_any", base_url=sys.argv[1], max_retries=0)
    prefix = f"tp-{turbopuffer.__version__}-"
    ns = client.namespace(prefix + "a")
    done = set()

    def saw(name: str, holds: bool) -> None:
        assert holds, name
        done.add(name)

    saw("exists", not ns.exists())
    rows = [{"id": n, "vector": [float(n), 1.5], "t": f"t {n}"} for n in range(1, 6)]
    written = ns.write(upsert_rows=rows, distance_metric="euclidean_squared")
    saw("write", written.rows_affected == 5)
    saw("exists", ns.exists())
    found = ns.query(rank_by=("vector", "ANN", [3.0, 1.5]), top_k=1, include_attributes=True)
    saw("query", found.rows[0].id == 3 and found.rows[0]["t"] == "t 3")
    both = ns.multi_query(queries=[Q, {**Q, "top_k": 2}])
    saw("multi_query", [len(result.rows) for result in both.results] == [5, 2])
    saw("explain_query", bool(ns.explain_query(**Q).plan_text))
    saw("metadata", "t" in ns.metadata().schema_)
    saw("schema", "_hevlayer_upserted_at" in ns.schema())
    saw("update_schema", "t" in ns.update_schema(schema={"t": {"type": "string"}}))
    saw("update_metadata", "t" in ns.update_metadata(pinning=None).schema_)
    saw("hint_cache_warm", ns.hint_cache_warm().status in ("ACCEPTED", "OK"))
    saw("recall", ns.recall().avg_recall > 0)
    copy = client.namespace(prefix + "copy")
    saw("copy_from", copy.copy_from(source_namespace=ns.id).rows_affected == 5)
    branch = client.namespace(prefix + "branch")
    branch.branch_from(source_namespace=ns.id)
    saw("branch_from", len(branch.query(**Q).rows) == 5)
    if hasattr(ns, "start_copy_from"):
        late = client.namespace(prefix + "late")
        token = late.start_copy_from(source_namespace=ns.id).token
        done.add("start_copy_from")
        deadline = time.monotonic() + 10
        while late.poll_copy_from(token=token).status != "finished":
            assert time.monotonic() < deadline
        saw("poll_copy_from", len(late.query(**Q).rows) == 5)
    listed = [entry.id for entry in client.namespaces(prefix=prefix, page_size=2)]
    saw("namespaces", listed == sorted(listed) and ns.id in listed and copy.id in listed)
    ns.delete_all()
    saw("delete_all", not ns.exists())

    public = {name for name in dir(type(ns)) if not name.startswith("_")} - NOT_CALLS
    assert done == public | {"namespaces"}, done ^ (public | {"namespaces"})
    print(f"turbopuffer {turbopuffer.__version__}:", *sorted(done))


if __name__ == "__main__":
    main()
