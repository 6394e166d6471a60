"""The `simulate` command: options in, a running simulator out."""

import click

from .faults import Faults, parse_fault
from .options import Fault, Options

HELP = """Run a local Turbopuffer simulator in the foreground until Ctrl-C.

All state is in memory, in this one process, and is gone when it stops. Any bearer key is accepted,
but there must be one. Point a client at it with a base URL and no region:

\b
    turbopuffer.Turbopuffer(base_url="http://127.0.0.1:8081", api_key="any")
    curl -H 'Authorization: Bearer any' http://127.0.0.1:8081/v1/namespaces

\b
SIMULATED
  writes      rows and columns, patches, deletes, by-filter operations and their caps,
              conditions with $ref_new, schema and its inference, copy and branch;
              all or nothing, in the order of the service
  queries     attribute order, exact nearest neighbours for ANN and kNN, filters,
              aggregations and groups, multi-queries, float and base64 vectors
  the rest    metadata (v1, v2), schema, list, delete, recall, cache hints, gzip both ways,
              billing and performance blocks, error statuses and texts

\b
NOT SIMULATED (answered 400, saying so)
  BM25 and other full-text search, fuzzy search, sparse vector and score ranking,
  reranking, computed attributes, native embedding.
  Also absent: rate limits, unindexed backlog, asynchronous 202 answers, key permissions.

\b
UNCONFIRMED (the real service may differ)
  unknown top-level write fields are ignored; a missing limit means 10; malformed JSON is 400;
  a read-only namespace answers 403; a delete by id in a missing namespace answers 404;
  written bytes in billing; nanosecond digits in datetimes; the order of the namespace list;
  the wording of errors that no official test compares.
"""


def _parse_faults(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Fault, ...]:
    try:
        faults = tuple(parse_fault(text) for text in texts)
        Faults(Options(faults=faults))
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
    type=click.IntRange(0, 60_000),
    default=0,
    show_default=True,
    help="A write becomes visible and answers this many milliseconds after it arrived. "
    "The real service takes 100 to 400.",
)
@click.option(
    "--fail",
    "faults",
    metavar="STATUS:RATE",
    multiple=True,
    callback=_parse_faults,
    help="Answer this status to this share of writes, without applying them; may be repeated. "
    "Example: --fail 503:0.01 --fail 429:0.05",
)
@click.option("--seed", type=int, help="Make the choice of failing writes repeatable.")
def simulate(
    host: str, port: int, commit_ms: int, faults: tuple[Fault, ...], seed: int | None
) -> None:
    # Imported late, so that --help does not wait for numpy and the server.
    from .app import build
    from .serve import serve

    url = f"http://{host}:{port}"
    app = build(Options(commit_ms=commit_ms, faults=faults, seed=seed))
    try:
        serve(app, host, port, lambda: click.echo(f"simulator listening on {url}"))
    except (OSError, RuntimeError) as fault:
        raise click.ClickException(f"cannot listen on {url}: {fault}") from fault
