"""Which lines of given modules are run by something: for the decisions, nothing less will do."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

# Set for functions, not for the bodies of classes.
CO_NEWLOCALS = 0x2

# An event that a phase does not expect. Unit tests send those.
UNEXPECTED = "return course, ()"


def lines_missed(
    modules: list[ModuleType], action: Callable[[], object], besides: tuple[str, ...] = ()
) -> list[str]:
    """Run an action, and give the lines of all functions of the modules that it did not run.

    `besides`: names of functions that need not be run.
    """
    paths = {str(module.__file__) for module in modules}
    run: set[tuple[str, int]] = set()

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in paths:
            return None
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        action()
    finally:
        sys.settrace(before)

    missed = []
    for path in sorted(paths):
        text = Path(path).read_text()
        source = text.splitlines()
        for line in sorted(set(_lines(compile(text, path, "exec"), besides))):
            if (path, line) not in run and source[line - 1].strip() != UNEXPECTED:
                missed.append(f"{Path(path).name}:{line}: {source[line - 1].strip()}")
    return missed


def _lines(code: CodeType, besides: tuple[str, ...]) -> Iterator[int]:
    for inner in code.co_consts:
        if not isinstance(inner, CodeType) or inner.co_name in besides:
            continue
        in_module = code.co_name == "<module>"
        if inner.co_flags & CO_NEWLOCALS and not (in_module and inner.co_name.startswith("<")):
            start = inner.co_firstlineno
            yield from (line for *_, line in inner.co_lines() if line and line != start)
            yield from _lines(inner, besides)
