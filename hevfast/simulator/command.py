"""The `simulate` command: options in, a running simulator out."""

from typing import Any

import click

from .faults import Faults, parse_fault
from .limits import UNINDEXED_BYTES_MAX
from .options import TIME_MS_MAX, Fault, Options, Span

HELP = """Run a local Turbopuffer simulator in the foreground until Ctrl-C.

All state is in memory, in this one process, and is gone when it stops. Any bearer key is accepted,
but there must be one. Point a client at it with a base URL and no region:

\b
    turbopuffer.Turbopuffer(base_url="http://127.0.0.1:8081", api_key="any")
    curl -H 'Authorization: Bearer any' http://127.0.0.1:8081/v1/namespaces

\b
SIMULATED
  writes      rows and columns, patches, deletes, by-filter operations and their caps,
              conditions with $ref_new, schema and its inference, copy (also asynchronous)
              and branch; all or nothing, in the order of the service
  queries     attribute order, exact nearest neighbours for ANN and kNN, also of multi-vectors,
              BM25 with stems and stop words, sparse vectors, scores (Sum, Max, Product,
              Attribute, Saturate, Decay, Dist, filters), all filters, aggregations and groups,
              computed attributes, multi-queries and their fusion (RRF), float and base64 vectors
  the rest    metadata (v1, v2), schema, list, delete, recall, explain, cache hints, pinning,
              read-only, gzip both ways, billing and performance blocks, error statuses and texts
  behaviour   commit times and group commits, an index that lags, backpressure, limits per
              namespace, faults; all repeatable with --seed, all changeable with --control

\b
NOT SIMULATED (answered 400, saying so)
  reranking by a model, native embedding, highlights.
  Also absent: key permissions; stop words of Arabic, Greek, Romanian, Tamil and Turkish.

\b
UNCONFIRMED (the real service may differ)
  unknown top-level write fields are ignored; a missing limit means 10; malformed JSON is 400;
  a read-only namespace answers 403; a delete by id in a missing namespace answers 404;
  written bytes in billing; nanosecond digits in datetimes; the order of the namespace list;
  how words are split and the exact BM25 formula; fuzzy filters match a part of the text;
  one distance out of many for multi-vectors; ties of fused rows; the text of 429;
  409 (and not 202) from an index that was switched on later and is still being built;
  the wording of errors that no official test compares.

\b
CONTROL (with --control; the same bearer key)
  GET   /_simulator    the conditions of the moment
  PATCH /_simulator    changes those that are named, at once and for writes that already wait:
    {"commit_ms": [100, 400], "index_lag_ms": 5000, "index_held": ["books"], "seed": 7,
     "faults": [{"on": "write", "effect": "lost", "rate": 1, "after": 2, "times": 1}]}
  "index_held" true or a list of names stops indexing. Effects are status (with "status", and
  "retry_after_s"), reset, lost, cut, slow (with "delay_ms"); "namespace" narrows a fault.
"""


class _SpanType(click.ParamType[Span]):
    """Milliseconds, or a range of them that times are drawn from: `200` or `100-400`."""

    name = "MS[-MS]"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> Span:
        if isinstance(value, tuple):
            return value
        least, _, most = str(value).partition("-")
        try:
            span = (float(least), float(most or least))
        except ValueError:
            span = (-1.0, -1.0)
        if not 0 <= span[0] <= span[1] <= TIME_MS_MAX:
            self.fail(f"found {value!r}, expected milliseconds such as 200 or 100-400")
        return span


def _parse_faults(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Fault, ...]:
    try:
        faults = tuple(parse_fault(text) for text in texts)
        Faults(faults, None)
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from fault
    return faults


@click.command(help=HELP)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8081,
    show_default=True,
    help="Port to listen on.",
)
@click.option(
    "--commit-ms",
    type=_SpanType(),
    default="0",
    show_default=True,
    help="A write becomes visible and answers this many milliseconds after it arrived. "
    "The real service takes 100-400.",
)
@click.option(
    "--group-commits",
    is_flag=True,
    help="A namespace commits once at a time; writes that arrive meanwhile go with the next.",
)
@click.option("--query-ms", type=_SpanType(), default="0", help="Time that a query takes.")
@click.option(
    "--copy-ms",
    type=click.FloatRange(0, TIME_MS_MAX),
    default=0,
    help="Time that a copy takes; answered 202 to clients that send `Prefer: respond-async`.",
)
@click.option(
    "--index-lag-ms",
    type=click.FloatRange(0, TIME_MS_MAX),
    default=0,
    help="The index sees a write so much later. Until then metadata says `updating`, and eventual "
    "queries show what was there before.",
)
@click.option(
    "--eventual-tail-bytes",
    type=click.IntRange(0),
    default=0,
    help="Bytes of what is not indexed, from the oldest on, that eventual queries look into all "
    "the same. The real service's are 134217728.",
)
@click.option(
    "--unindexed-bytes-max",
    type=click.IntRange(0),
    default=UNINDEXED_BYTES_MAX,
    show_default=True,
    help="With more that is not indexed, writes and strong queries are answered 429.",
)
@click.option(
    "--limits",
    is_flag=True,
    help="Hold namespaces to 10,000 rows and 32 MB a second "
    "and to 16 query slots; beyond them 429.",
)
@click.option(
    "--fail",
    "faults",
    metavar="[ON=]WHAT:RATE[:S]",
    multiple=True,
    callback=_parse_faults,
    help="Do this to this share of requests; may be repeated. ON is write (the default), query, "
    "metadata, other or any; WHAT a status, reset (closed unapplied), lost (applied, then closed), "
    "cut (half an answer); S is for Retry-After. "
    "Example: --fail 503:0.01 --fail query=429:0.05:2",
)
@click.option("--seed", type=int, help="Make all draws of times and faults repeatable.")
@click.option("--control", is_flag=True, help="Open the route that changes all this at run time.")
@click.option(
    "--null",
    is_flag=True,
    help="Answer every write at once and read, check and store nothing. No other option counts.",
)
@click.option(
    "--null-rows",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="The number of rows in the answers of --null, for clients that look at it.",
)
def simulate(
    host: str, port: int, limits: bool, null: bool, null_rows: int, **options: Any
) -> None:
    url = f"http://{host}:{port}"

    def say() -> None:
        click.echo(f"simulator listening on {url}")

    # Imported late, so that --help does not wait for numpy and the server.
    try:
        if null:
            from .null import serve_null

            serve_null(host, port, null_rows, say)
        else:
            from .app import build
            from .serve import serve

            serve(build(Options(limited=limits, **options)), host, port, say)
    except (OSError, RuntimeError) as fault:
        raise click.ClickException(f"cannot listen on {url}: {fault}") from fault
