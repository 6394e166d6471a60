"""The simulator stands alone."""

import ast
import subprocess
import sys
from pathlib import Path

import hevfast.simulator

PACKAGE = Path(next(iter(hevfast.simulator.__path__)))


def imports(path: Path) -> list[str]:
    """List what one file imports, as absolute names."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
    return found


def test_simulator_imports_nothing_of_the_rest_of_hevfast() -> None:
    files = list(PACKAGE.rglob("*.py"))
    assert len(files) > 10
    for path in files:
        for name in imports(path):
            assert not name.startswith(("hevfast", "..")), f"{path.name} imports {name}"


def test_simulator_loads_no_other_part_of_hevfast_and_help_needs_no_numpy() -> None:
    program = (
        "import sys, hevfast.simulator.command\n"
        "assert 'numpy' not in sys.modules\n"
        "import hevfast.simulator.app\n"
        "print(*(name for name in sys.modules if name.startswith('hevfast.')))"
    )
    root = PACKAGE.parents[1]
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    assert all(name.startswith("hevfast.simulator") for name in output.split())
