"""The README's tables are those of the program."""

import re
from pathlib import Path

from hevfast import settings
from hevfast.core import routes
from hevfast.core.errors import MEANINGS
from hevfast.observe import catalogue

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_settings_table_is_the_programs() -> None:
    begun = README.index("--markdown` -->\n") + len("--markdown` -->\n")
    assert README[begun : README.index("<!-- settings: end -->")] == settings.markdown() + "\n"


def test_metrics_table_is_the_programs() -> None:
    begun = README.index("<!-- metrics: generated from hevfast/observe/catalogue.py -->\n")
    table = README[README.index("\n", begun) + 1 : README.index("<!-- metrics: end -->")]
    assert table == catalogue.markdown() + "\n"


def test_route_table_is_the_programs() -> None:
    begun = README.index("<!-- routes: generated from hevfast/core/routes.py -->\n")
    table = README[README.index("\n", begun) + 1 : README.index("<!-- routes: end -->")]
    assert table == routes.markdown() + "\n"


def test_every_route_names_a_test_that_exists() -> None:
    for row in routes.ROUTES:
        file, _, function = row.test.partition("::")
        source = (ROOT / "tests" / file).read_text()
        assert f"def {function or 'test_'}" in source, row


def test_every_threat_names_a_test_that_exists() -> None:
    threats = (ROOT / "THREATS.md").read_text()
    rows = [
        line for line in threats.splitlines() if re.match(r"\| (client|upstream|cache|op)", line)
    ]
    assert len(rows) > 30
    for row in rows:
        found = re.search(r"\| (tests/\S+)::(\w+) \|$", row)
        assert found, row
        assert f"def {found[2]}(" in (ROOT / found[1]).read_text(), row


def test_failure_table_has_every_code_with_its_status() -> None:
    rows = re.findall(r"^\| .* \| (\d{3}) \| `(\w+)` \|", README, re.M)
    listed = {code: int(status) for status, code in rows}
    # A fault of the gateway and the drain answer are described in other words.
    meant = {code: meaning.status for code, meaning in MEANINGS.items()}
    assert listed == meant


def test_every_make_target_is_explained() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    assert {target for target in targets if f"`make {target}" not in guide} == {"help"}
