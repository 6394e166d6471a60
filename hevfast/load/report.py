"""The HTML report of a result, and of a comparison: one file that needs nothing else."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from . import charts
from .comparison import Comparison, changed
from .result import Operation, Result, StepResult
from .summary import COLUMNS, figures, milliseconds, operations, rate, sentence

# Operations in one plot of percentiles: as many as there are colours.
CURVES_MAX = len(charts.COLOURS)

_pages = Environment(
    loader=PackageLoader("hevfast.load", "page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def report(result: Result) -> str:
    """Give the page of a run."""
    return _pages.get_template("run.html").render(
        result=result,
        environment=_environment(result),
        settings=_settings(result),
        columns=COLUMNS,
        steps=[_step(step) for step in result.steps],
        by_rate=Markup(charts.latency_by_rate(result.steps)) if _has_rates(result) else None,  # noqa: S704
    )


def difference(first: Result, second: Result, comparison: Comparison) -> str:
    """Give the page of a comparison."""
    others = {step.rate_asked: step for step in second.steps}
    plots = []
    for step in first.steps:
        other = others.get(step.rate_asked)
        if other is not None:
            curves = {comparison.first: step.total, comparison.second: other.total}
            plots.append((_title(step), Markup(charts.percentiles(curves))))  # noqa: S704
    rows = [
        (one, *(f"{milliseconds(value)} {one.unit}" for value in (one.first, one.second)))
        for one in comparison.differences
    ]
    return _pages.get_template("comparison.html").render(
        comparison=comparison,
        rows=rows,
        changed=changed,
        plots=plots,
        sides=[
            ("A", comparison.first, first, _environment(first)),
            ("B", comparison.second, second, _environment(second)),
        ],
    )


def _step(step: StepResult) -> dict[str, object]:
    # SVG is drawn by us out of values that Vega escapes: nothing of it is to be escaped again.
    shown = dict(operations(step)[:CURVES_MAX])
    return {
        "title": _title(step),
        "sentence": sentence(step),
        "rate": rate(step.rate_answered),
        "step": step,
        "rows": [_row(name, operation) for name, operation in operations(step)],
        "percentiles": Markup(charts.percentiles(shown)),  # noqa: S704
        "throughput": Markup(charts.throughput(step)),  # noqa: S704
        "latency": Markup(charts.latency_over_time(step)),  # noqa: S704
    }


def _row(name: str, operation: Operation) -> tuple[str, ...]:
    hits = f"{operation.hit_share:.1%}" if operation.cache else "-"
    counts = f"{operation.answered:,}", f"{operation.error_count:,}"
    return (name, *counts, hits, *figures(operation))


def _title(step: StepResult) -> str:
    if step.rate_asked is None:
        return "Closed loop"
    return f"{rate(step.rate_asked)} arrivals a second"


def _has_rates(result: Result) -> bool:
    return sum(step.rate_asked is not None for step in result.steps) > 1


def _environment(result: Result) -> list[tuple[str, str]]:
    here = result.environment
    target = here.target or {}
    return [
        ("started", result.started_at),
        ("target", result.options.url),
        ("target says", ", ".join(f"{name} {word}" for name, word in target.items()) or "nothing"),
        ("processor", f"{here.cpu}, {here.cores} cores"),
        ("kernel", here.kernel),
        ("Python", here.python),
        ("hevfast", here.hevfast + (f", commit {here.commit}" if here.commit else "")),
    ]


def _settings(result: Result) -> list[tuple[str, str]]:
    options, load = result.options, result.options.workload
    step = options.steps[0]
    pairs = {name: getattr(load, name) for name in load.__struct_fields__}
    shown = [(name.replace("_", " "), str(value)) for name, value in pairs.items() if value != {}]
    return [
        *shown,
        ("connections", str(options.connections)),
        ("processes", str(options.processes)),
        ("arrivals", step.arrivals),
        ("warm-up and duration", f"{step.warmup_s:g} s, {step.duration_s:g} s"),
        ("given up after", f"{options.timeout_s:g} s"),
    ]
