"""The plots of a report, as SVG: Vega-Lite describes them, vl-convert draws them.

They are drawn here and not in the browser: a page of some 100 KB instead of a megabyte of script,
which shows wherever HTML shows. Colours are CSS variables of the page, so that one drawing serves
light and dark. Points say what they are in `aria-label`, which the page shows as a tool tip.
"""

from typing import Any

import vl_convert

from .histogram import decoded
from .result import Operation, StepResult
from .summary import milliseconds

VEGA_LITE = "5.21"
WIDTH_PX = 980
HEIGHT_PX = 240
# Percentiles drawn: evenly spread over the decades of what is left above them.
DECADES = 5
POINTS_PER_DECADE = 8

COLOURS = [f"var(--series-{number})" for number in range(1, 9)]

Values = list[dict[str, Any]]
Chart = dict[str, Any]

_AXIS = {
    "labelColor": "var(--soft)",
    "titleColor": "var(--soft)",
    "gridColor": "var(--line)",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "titlePadding": 10,
}
_CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 13,
        "title": None,
        "orient": "top",
        "symbolType": "circle",
        "symbolSize": 80,
        "labelLimit": 320,
        "columnPadding": 24,
    },
}


def percentiles(operations: dict[str, Operation]) -> str:
    """Draw latency by percentile, each further nine as wide as the one before."""
    values = [value for name, one in operations.items() for value in _curve(name, one)]
    labels = "['0 %','90 %','99 %','99.9 %','99.99 %','99.999 %'][datum.value]"
    x = {
        "field": "nines",
        "type": "quantitative",
        "title": "share of answers that came within this time",
        "axis": {"values": list(range(DECADES + 1)), "labelExpr": labels},
    }
    y = {
        "field": "ms",
        "type": "quantitative",
        "title": "latency, ms",
        "scale": {"type": "log", "nice": False},
        "axis": {"tickCount": 6, "format": "~g"},
    }
    return _drawn(values, x, y, list(operations), HEIGHT_PX * 1.4)


def latency_by_rate(steps: list[StepResult]) -> str:
    """Draw percentiles of all arrivals over the rates asked for."""
    values: Values = []
    names = ("p50", "p99", "p99.9")
    for step in steps:
        latency = step.total.latency
        if latency is None or step.rate_asked is None:
            continue
        figures = (latency.p50_ms, latency.p99_ms, latency.p99_9_ms)
        for name, ms in zip(names, figures, strict=True):
            says = f"{name} at {step.rate_asked:.6g}/s: {milliseconds(ms)} ms"
            values.append({"x": step.rate_asked, "ms": ms, "series": name, "says": says})
    x = {
        "field": "x",
        "type": "quantitative",
        "title": "rate asked for, arrivals a second",
        "axis": {"tickCount": 8},
    }
    y = {
        "field": "ms",
        "type": "quantitative",
        "title": "latency, ms",
        "scale": {"type": "log"},
        "axis": {"tickCount": 6, "format": "~g"},
    }
    return _drawn(values, x, y, list(names), HEIGHT_PX)


def throughput(step: StepResult) -> str:
    """Draw good answers and errors a second over time."""
    values: Values = []
    names = ["answered well", "errors"]
    for point in step.timeline:
        if point.start_s >= step.duration_s:
            continue
        for name, count in zip(names, (point.answered, point.errors), strict=True):
            rate = count / min(point.width_s, step.duration_s - point.start_s)
            says = f"second {point.start_s:g}: {rate:,.0f}/s {name}"
            values.append({"x": point.start_s, "rate": rate, "series": name, "says": says})
    y = {"field": "rate", "type": "quantitative", "title": "a second"}
    return _drawn(values, _seconds(), y, names, HEIGHT_PX, ["var(--good)", "var(--bad)"])


def latency_over_time(step: StepResult) -> str:
    """Draw percentiles by the second in which the arrivals were due."""
    values: Values = []
    names = ["p50", "p99", "max"]
    for point in step.timeline:
        for name, ms in zip(names, (point.p50_ms, point.p99_ms, point.max_ms), strict=True):
            if ms is not None:
                says = f"second {point.start_s:g}: {name} {milliseconds(ms)} ms"
                values.append({"x": point.start_s, "ms": ms, "series": name, "says": says})
    y = {
        "field": "ms",
        "type": "quantitative",
        "title": "latency, ms",
        "scale": {"type": "log"},
        "axis": {"tickCount": 5, "format": "~g"},
    }
    return _drawn(values, _seconds(), y, names, HEIGHT_PX)


def _seconds() -> Chart:
    return {
        "field": "x",
        "type": "quantitative",
        "title": "seconds since the warm-up ended",
        "axis": {"tickCount": 10, "tickMinStep": 1, "format": "d"},
    }


def _curve(name: str, operation: Operation) -> Values:
    """Give the points of one curve, as far out as there were that many answers."""
    if operation.latency is None:
        return []
    histogram = decoded(operation.latency)
    values: Values = []
    for place in range(DECADES * POINTS_PER_DECADE + 1):
        nines = place / POINTS_PER_DECADE
        left = 10**-nines
        if left * histogram.count < 1:
            break
        percentile = 100 * (1 - left)
        ms = histogram.percentile_ms(percentile) if place else operation.latency.min_ms
        says = f"{name}: {percentile:.5g} % within {milliseconds(ms)} ms"
        values.append({"nines": nines, "ms": ms, "series": name, "says": says})
    return values


def _drawn(
    values: Values,
    x: Chart,
    y: Chart,
    names: list[str],
    height: float,
    colours: list[str] = COLOURS,
) -> str:
    """Draw lines with a point for each value."""
    colour = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": names, "range": colours[: len(names)]},
    }
    shared = {"x": x, "y": y, "color": colour}
    # Nobody sees the points until one is pointed at, unless there are few.
    points = {"type": "point", "filled": True, "size": 36, "opacity": 1 if len(values) < 90 else 0}
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": WIDTH_PX,
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": _CONFIG,
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2.5}, "encoding": shared},
            {"mark": points, "encoding": {**shared, "description": {"field": "says"}}},
        ],
    }
    svg: str = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    return svg
