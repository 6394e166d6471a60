"""The rules of the house, checked: who imports whom, how large things are, banned words."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import hevfast

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "hevfast"
SOURCES = sorted(PROGRAM.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHES = sorted((ROOT / "bench").rglob("*.py"))
EVERYTHING = [*SOURCES, *TESTS, *BENCHES]

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# Imports go down only: a part may import those of a lower rank, and itself.
RANKS = {
    "": 0,
    "setting": -1,
    "settings": 0,
    "core": 0,
    "batch": 1,
    "cache": 1,
    "upstream": 1,
    "observe": 1,
    "edge": 2,
    "namespaces": 2,
    "pipelines": 2,
    "reads": 2,
    "gateway": 3,
    "routes": 4,
    "app": 5,
    "__main__": 6,
}

# Programs of their own: they import nothing of the gateway, and only the command line, when it
# is asked to, imports them.
ISLANDS = ("simulator", "load")

# Where each outside library may be imported. Paths are below hevfast/.
LIBRARIES = {
    "aiohttp": ("upstream/",),
    "httptools": ("upstream/",),
    "yarl": ("upstream/",),
    "granian": ("__main__.py",),
    "click": ("__main__.py",),
    "starlette": ("app.py",),
    "msgspec": (
        "batch/",
        "edge/",
        "routes/",
        "namespaces/",
        "pipelines/",
        "reads/",
        "cache/",
        "observe/",
    ),
    "aerospike": ("cache/", "pipelines/"),
    "prometheus_client": ("observe/",),
    "lmdb": ("cache/", "pipelines/"),
}

BANNED_FILES = {"utils", "util", "helpers", "helper", "common", "models", "managers", "misc"}
BANNED_NAMES = {
    "BaseHTTPMiddleware": "write a plain ASGI class",
    "StreamingResponse": "send the ASGI messages yourself",
    "add_middleware": "write a plain ASGI class",
}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(path: Path) -> str:
    """Give the part of the program a file belongs to: a package, or a module at the top."""
    first = path.relative_to(PROGRAM).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def base_of(path: Path, level: int) -> tuple[str, ...]:
    """Give the package a relative import of this level starts from; none for level 0."""
    return path.relative_to(ROOT).parts[:-level] if level else ()


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Give every module a file imports, by its full name, wherever in the file that is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = ".".join([*base_of(path, node.level), *(node.module or "").split(".")])
            if module.strip(".") == "hevfast":
                for name in node.names:
                    yield f"hevfast.{name.name}", node.lineno
            else:
                yield module.strip("."), node.lineno


def own_imports(path: Path) -> Iterator[tuple[str, int]]:
    for module, line in imports(path):
        words = module.split(".")
        if words[0] == "hevfast":
            part = words[1] if len(words) > 1 else ""
            yield ("" if part.startswith("__v") else part), line


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_imports_go_down_only(path: Path) -> None:
    part = part_of(path)
    for other, line in own_imports(path):
        where = f"{shown(path)}:{line} imports {other!r}"
        if part in ISLANDS:
            assert other in (part, ""), f"{where}: {part} is a program of its own"
        elif other in ISLANDS:
            assert part == "__main__", f"{where}: the gateway does without it"
        elif other != part:
            assert RANKS[other] < RANKS[part] or other in ("", "settings"), where


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_each_outside_library_has_its_place(path: Path) -> None:
    if part_of(path) in ISLANDS:
        return
    place = path.relative_to(PROGRAM).as_posix()
    for module, line in imports(path):
        allowed = LIBRARIES.get(module.split(".")[0])
        if allowed is not None:
            assert place.startswith(allowed), f"{shown(path)}:{line} imports {module}"
        if module.startswith("hevfast.batch._scan"):
            assert place.startswith("batch/"), f"{shown(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_the_environment_is_read_in_one_module(path: Path) -> None:
    if path != PROGRAM / "settings.py":
        text = path.read_text()
        assert not re.search(r"os\.environ|os\.getenv|getenv\(", text), shown(path)


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "oracle").rglob("*.py")), ids=shown)
def test_the_oracle_knows_nothing_of_the_program(path: Path) -> None:
    assert list(own_imports(path)) == []


@pytest.mark.parametrize("path", EVERYTHING, ids=shown)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    lines = len(text.splitlines())
    assert lines <= FILE_LINES_MAX, f"{shown(path)} has {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{shown(path)}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", EVERYTHING, ids=shown)
def test_names_say_something(path: Path) -> None:
    words = {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    assert not words & BANNED_FILES, shown(path)


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{shown(path)} has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_banned_calls(path: Path) -> None:
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if hasattr(node, "id")}
    for name, instead in BANNED_NAMES.items():
        assert name not in names, f"{shown(path)} uses {name}: {instead}"


@pytest.mark.parametrize("path", [p for p in EVERYTHING if p.name != "test_tidy.py"], ids=shown)
def test_nothing_is_left_to_do(path: Path) -> None:
    found = re.search(r"\b(FIXME|TODO|XXX|HACK)\b", path.read_text())
    assert found is None, f"{shown(path)} holds {found and found.group()}"


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == hevfast.__version__
