"""The options of `hevfast load run`, and what they make together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .options import (
    CONNECTIONS_MAX,
    DIM_MAX,
    DURATION_S_MAX,
    KEYS_MAX,
    PROCESSES_MAX,
    RATE_MAX,
    ROWS_MAX,
    STEPS_MAX,
    TEXT_BYTES_MAX,
    Options,
    Step,
    Workload,
)
from .requirements import Requirement, parse
from .scenarios import NAMES, SCENARIOS


def _rates(context: object, parameter: click.Parameter, words: str | None) -> list[float]:
    if words is None:
        return []
    try:
        rates = [float(word) for word in words.split(",")]
    except ValueError as error:
        raise click.BadParameter("rates are numbers, such as 1000,2000,4000") from error
    if len(rates) > STEPS_MAX or not all(0 < rate <= RATE_MAX for rate in rates):
        raise click.BadParameter(f"at most {STEPS_MAX} rates, each above 0 and up to {RATE_MAX:g}")
    return rates


def _mix(context: object, parameter: click.Parameter, words: str | None) -> dict[str, float]:
    mix = {}
    for word in words.split(",") if words else ():
        name, _, weight = word.partition("=")
        if name not in SCENARIOS or not weight.isdecimal() or int(weight) == 0:
            known = ", ".join(SCENARIOS)
            raise click.BadParameter(f"{word!r}: say SCENARIO=WEIGHT, with one of {known}")
        mix[name] = float(weight)
    return mix


def _requirements(
    context: object, parameter: click.Parameter, words: tuple[str, ...]
) -> list[Requirement]:
    try:
        return [parse(word) for word in words]
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _whole(most: int) -> click.IntRange:
    return click.IntRange(1, most)


_SHARE = click.FloatRange(0, 1)
FILE = click.Path(dir_okay=False, writable=True, path_type=Path)

_FLAGS = (
    click.option("--scenario", type=click.Choice(NAMES), default="write", show_default=True),
    click.option(
        "--rate",
        "--rates",
        "rates",
        metavar="N[,N...]",
        callback=_rates,
        help="Arrivals a second; of several each is a step of its own.  [default: 100]",
    ),
    click.option(
        "--closed", is_flag=True, help="No rate: each connection as fast as it is answered."
    ),
    click.option(
        "--arrivals",
        type=click.Choice(["constant", "poisson"]),
        default="constant",
        show_default=True,
        help="Evenly spaced, or as independent callers come.",
    ),
    click.option(
        "--duration",
        type=click.FloatRange(0.1, DURATION_S_MAX),
        default=10.0,
        show_default=True,
        help="Seconds measured, of each step.",
    ),
    click.option(
        "--warmup",
        type=click.FloatRange(0, DURATION_S_MAX),
        default=2.0,
        show_default=True,
        help="Seconds of load before, left out of the result.",
    ),
    click.option(
        "--connections",
        type=_whole(CONNECTIONS_MAX),
        default=64,
        show_default=True,
        help="Of all processes; arrivals beyond them wait, and the wait counts.",
    ),
    click.option("--processes", type=_whole(PROCESSES_MAX), default=1, show_default=True),
    click.option(
        "--timeout",
        type=click.FloatRange(0.01, 600),
        default=10.0,
        show_default=True,
        help="Seconds after which an arrival is given up, as an error.",
    ),
    click.option(
        "--rows", type=_whole(ROWS_MAX), default=1, show_default=True, help="Rows of a write."
    ),
    click.option(
        "--dim", type=_whole(DIM_MAX), default=96, show_default=True, help="Floats of a vector."
    ),
    click.option(
        "--vectors",
        type=click.Choice(["float", "base64"]),
        default="float",
        show_default=True,
        help="How they are spelled.",
    ),
    click.option(
        "--text-bytes",
        type=_whole(TEXT_BYTES_MAX),
        default=400,
        show_default=True,
        help="Text of a row or a chunk.",
    ),
    click.option(
        "--keys",
        type=_whole(KEYS_MAX),
        default=10_000,
        show_default=True,
        help="Documents there are: the key space.",
    ),
    click.option(
        "--zipf",
        type=click.FloatRange(0, 5),
        default=0.0,
        show_default=True,
        help="Exponent by which some keys are fetched more; 0: all alike.",
    ),
    click.option(
        "--hit-ratio",
        type=_SHARE,
        default=1.0,
        show_default=True,
        help="Share of fetched ids that were written; the others must be answered as absent.",
    ),
    click.option(
        "--batch",
        type=_whole(ROWS_MAX),
        default=10,
        show_default=True,
        help="Ids of a batch fetch.",
    ),
    click.option(
        "--chunks",
        type=_whole(ROWS_MAX),
        default=4,
        show_default=True,
        help="Chunks of a staged document.",
    ),
    click.option(
        "--top-k",
        type=_whole(ROWS_MAX),
        default=10,
        show_default=True,
        help="Rows asked for by a query.",
    ),
    click.option("--mix", callback=_mix, help="SCENARIO=WEIGHT,... of the scenario mixed."),
    click.option("--namespace", help="[default: hevfast-load-DIM]"),
    click.option(
        "--pipeline",
        default="hevfast-load",
        show_default=True,
        help="Pipelines are called this and -stage or -claim.",
    ),
    click.option("--seed", type=click.IntRange(0), default=1, show_default=True),
    click.option(
        "--key",
        envvar="TURBOPUFFER_API_KEY",
        default="load",
        help="API key; by default $TURBOPUFFER_API_KEY. It goes into no result.",
    ),
    click.option(
        "--require",
        "requirements",
        multiple=True,
        callback=_requirements,
        help="What the result must show; may be repeated.",
    ),
    click.option("--json", "json_path", type=FILE, help="Write the result; see `load schema`."),
    click.option("--html", "html_path", type=FILE, help="Write a report with plots, one file."),
    click.option("--label", default="", help="The name of this run in reports."),
    click.option(
        "--late-ms",
        type=click.FloatRange(0.01, 10_000),
        default=5.0,
        show_default=True,
        help="Refuse to report if over 1 % of arrivals are sent later than this.",
    ),
    click.option(
        "--yes-remote",
        is_flag=True,
        help="Load a host other than this machine; make sure that it is yours to load.",
    ),
)


def run_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, in the order of the table above."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def options(words: dict[str, Any]) -> Options:
    rates: list[float | None] = [*words["rates"]]
    if words["closed"]:
        if rates:
            raise click.UsageError("--closed has no rate: the answers set the pace")
        rates = [None]
    if words["scenario"] == "mixed" and not words["mix"]:
        raise click.UsageError("--scenario mixed needs --mix, such as write=20,fetch=80")
    if words["rows"] > words["keys"]:
        raise click.UsageError("--rows must not exceed --keys: a write holds an id once")
    if words["processes"] > words["connections"]:
        raise click.UsageError("--processes must not exceed --connections: each needs one")
    shared = {name: words[name] for name in Workload.__struct_fields__ if name in words}
    shared["namespace"] = words["namespace"] or f"hevfast-load-{words['dim']}"
    steps = [
        Step(rate, words["warmup"], words["duration"], words["arrivals"])
        for rate in rates or [100.0]
    ]
    return Options(
        url=words["url"].rstrip("/"),
        workload=Workload(**shared),
        steps=steps,
        connections=words["connections"],
        processes=words["processes"],
        timeout_s=words["timeout"],
        late_ms=words["late_ms"],
        label=words["label"],
    )
