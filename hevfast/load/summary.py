"""A result in words and in a table, as a terminal shows it."""

from .result import Operation, Result, StepResult

COLUMNS = ("p50", "p90", "p99", "p99.9", "max")


def milliseconds(value: float) -> str:
    """Give three digits, as many as a measurement of this kind has."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def rate(value: float) -> str:
    """Give a rate without an exponent, whatever its size."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"


def sentence(step: StepResult) -> str:
    """Say what a step showed."""
    total = step.total
    if step.rate_asked is None:
        first = f"Closed loop: {rate(step.rate_answered)} a second at most"
    else:
        first = f"{rate(step.rate_answered)} of {rate(step.rate_asked)} a second answered well"
    if total.latency is None:
        return f"{first}, {total.error_count} errors."
    latency = total.latency
    return (
        f"{first}, half within {milliseconds(latency.p50_ms)} ms, 99 % within "
        f"{milliseconds(latency.p99_ms)} ms; {total.error_count or 'no'} errors."
    )


def figures(operation: Operation) -> tuple[str, ...]:
    """Give latencies in milliseconds by COLUMNS."""
    latency = operation.latency
    if latency is None:
        return ("-",) * len(COLUMNS)
    shown = (latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p99_9_ms, latency.max_ms)
    return tuple(map(milliseconds, shown))


def table(result: Result) -> str:
    """Give all steps and operations, right-aligned."""
    rows = [
        ("rate", "operation", "answered", "errors", "hits", *(f"{name} ms" for name in COLUMNS))
    ]
    for step in result.steps:
        asked = "closed" if step.rate_asked is None else f"{step.rate_asked:.6g}"
        for name, operation in operations(step):
            hits = f"{operation.hit_share:.1%}" if operation.cache else "-"
            counts = (str(operation.answered), str(operation.error_count))
            rows.append((asked, name, *counts, hits, *figures(operation)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.rjust, row, widths)) for row in rows)
    return "\n".join(lines)


def operations(step: StepResult) -> list[tuple[str, Operation]]:
    """Give the operations; all together first, if there is more than one."""
    several = len(step.operations) > 1
    return [*([("all", step.total)] if several else []), *step.operations.items()]


def text(result: Result) -> str:
    """Give the whole summary."""
    parts = [table(result)]
    parts += [sentence(step) for step in result.steps]
    wrong: dict[str, int] = {}
    for step in result.steps:
        for word, count in step.total.errors.items():
            wrong[word] = wrong.get(word, 0) + count
    if wrong:
        parts.append("errors: " + ", ".join(f"{word}: {count}" for word, count in wrong.items()))
    parts += [
        f"{'met' if verdict.met else 'NOT MET'}: {verdict.requirement} (measured: {verdict.value})"
        for verdict in result.requirements
    ]
    if result.interrupted:
        parts.append("INTERRUPTED: a partial result.")
    return "\n".join(parts)
