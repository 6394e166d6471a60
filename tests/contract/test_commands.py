"""What the commands print and how they end."""

import subprocess
import sys

import pytest

from hevfast.settings import TABLE
from tests.fakes.gateway import hevfast
from tests.fakes.upstream import Upstream, answer, raw, unused_port

COMMANDS = ["serve", "dev", "check", "settings"]


@pytest.mark.parametrize("words", [["--help"], *[[name, "--help"] for name in COMMANDS]])
def test_help_teaches(words: list[str]) -> None:
    done = hevfast(*words)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: hevfast")
    assert len(done.stdout.splitlines()) > 5


def test_help_lists_the_simulator_without_loading_it() -> None:
    program = (
        "import sys\n"
        "sys.modules['numpy'] = None\n"
        "sys.modules['hevfast.simulator'] = None\n"
        "import hevfast.app\n"
        "from hevfast.__main__ import main\n"
        "main(['--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    )
    assert "simulate" in done.stdout


def test_simulate_shows_its_own_help() -> None:
    pytest.importorskip("hevfast.simulator.command", reason="the simulator is not installed")
    done = hevfast("simulate", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: hevfast simulate")
    assert "--port" in done.stdout


def test_dev_on_a_taken_port_says_so(upstream: Upstream) -> None:
    done = hevfast("dev", "--port", str(upstream.port))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{upstream.port}" in done.stderr


@pytest.mark.parametrize("command", ["serve", "check", "settings"])
def test_all_faults_are_printed_at_once_and_the_exit_is_2(command: str) -> None:
    done = hevfast(command, PORT="x", HEVFAST_WORKER="2", HEVFAST_API_KEYS="/x", TPUF_URL="ftp://a")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "PORT='x' is not a whole number" in done.stderr
    assert "HEVFAST_WORKER is not a setting; did you mean HEVFAST_WORKERS?" in done.stderr
    assert "HEVFAST_API_KEYS is not supported by this version" in done.stderr
    assert "TPUF_URL='ftp://a' must begin with http:// or https://" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_prints_every_row_and_no_secret() -> None:
    done = hevfast("settings", TURBOPUFFER_API_KEY="tpuf_very_secret")
    assert done.returncode == 0
    for row in TABLE.values():
        assert f"{row.variable} = " in done.stdout
        assert row.help in done.stdout
    assert "TURBOPUFFER_API_KEY = ********" in done.stdout
    assert "tpuf_very_secret" not in done.stdout + done.stderr


def test_check_without_a_key(upstream: Upstream) -> None:
    upstream.script(answer(401, b"{}"))
    done = hevfast("check", TPUF_URL=upstream.url)
    assert done.returncode == 0
    assert "callers bring their own" in done.stdout


@pytest.mark.parametrize(("status", "code"), [(200, 0), (401, 1), (403, 1), (500, 1), (302, 1)])
def test_check_with_a_key(upstream: Upstream, status: int, code: int) -> None:
    upstream.script(answer(status, b"{}"))
    done = hevfast("check", TPUF_URL=f"{upstream.url}/prefix", TURBOPUFFER_API_KEY="k")
    assert done.returncode == code
    assert str(status) in done.stdout
    assert upstream.only.target == b"/prefix/v1/namespaces?page_size=1"
    assert upstream.only.values(b"authorization") == [b"Bearer k"]


def test_check_of_a_broken_upstream(upstream: Upstream) -> None:
    upstream.script(raw(b"", close=True))
    done = hevfast("check", TPUF_URL=upstream.url)
    assert done.returncode == 1
    assert "Turbopuffer check failed" in done.stdout


def test_check_of_an_absent_upstream() -> None:
    done = hevfast("check", TPUF_URL=f"http://127.0.0.1:{unused_port()}")
    assert done.returncode == 1
    assert "connection refused" in done.stdout


def test_serve_on_a_taken_port_says_so(upstream: Upstream) -> None:
    done = hevfast("serve", TPUF_URL=upstream.url, PORT=str(upstream.port))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{upstream.port}" in done.stderr
    assert "Traceback" not in done.stderr
