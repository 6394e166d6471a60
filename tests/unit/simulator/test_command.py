"""The command line of the simulator."""

import pytest
from click.testing import CliRunner

from hevfast.simulator.command import simulate


def test_help_says_what_is_simulated_what_is_not_and_what_is_unconfirmed() -> None:
    output = CliRunner().invoke(simulate, ["--help"]).output
    for word in ("SIMULATED", "NOT SIMULATED", "UNCONFIRMED", "--commit-ms", "--fail", "--seed"):
        assert word in output
    assert max(len(line) for line in output.splitlines()) <= 100


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fail", "503"],
        ["--fail", "503:0.9", "--fail", "429:0.2"],
        ["--port", "0"],
        ["--commit-ms", "-1"],
        ["--nope"],
    ],
)
def test_wrong_option_stops_before_anything_starts(arguments: list[str]) -> None:
    assert CliRunner().invoke(simulate, arguments).exit_code == 2
