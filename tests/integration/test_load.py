"""`hevfast load` against servers that stall, lie, hang up, and against a gateway."""

import contextlib
import json
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.fakes.gateway import clean_environment, running_gateway, wait_until_listening
from tests.fakes.upstream import unused_port

pytest.importorskip("hevfast.load.command", reason="hevfast[load] is not installed")

from hevfast.load.command import load

GOOD = b'{"rows_affected":1}'
KEY = "a-key-that-nobody-may-see"
STALL_S = 1.0
STOP_S = 20.0

# Gives status and body of the answer to the n-th write; None leaves it unanswered.
Script = Callable[[int], tuple[int, bytes] | None]


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        while self.rfile.readline():
            size = 0
            while (line := self.rfile.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    size = int(line[15:])
            self.rfile.read(size)
            # One request at a time: a stall of one is a stall of all.
            with server.turn:
                answer = server.answer(is_write=size > 0)
            if answer is None:
                continue
            head = f"HTTP/1.1 {answer[0]} -\r\ncontent-length: {len(answer[1])}\r\n\r\n"
            self.wfile.write(head.encode() + answer[1])


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.turn = threading.Lock()
        self.script = script
        self.writes = 0

    def answer(self, is_write: bool) -> tuple[int, bytes] | None:
        if not is_write:
            return 200, b'{"status":"ok","version":"7"}'
        self.writes += 1
        return self.script(self.writes)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients of a test may hang up."""


@contextlib.contextmanager
def running(script: Script) -> Iterator[str]:
    with _Server(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(STOP_S)


def good(number: int) -> tuple[int, bytes]:
    return 200, GOOD


def run(url: str, *words: str) -> Result:
    """Run a short load; a machine busy with other tests may make it late."""
    rest = ["--warmup", "0", "--dim", "4", "--text-bytes", "20", "--late-ms", "10000"]
    return CliRunner().invoke(load, [url, "--key", KEY, *rest, *words])


def measured(url: str, path: Path, *words: str) -> Any:
    done = run(url, "--json", str(path), *words)
    assert done.exit_code in (0, 1), done.output
    return json.loads(path.read_bytes())["steps"][0]


def stalling_once() -> Script:
    def script(number: int) -> tuple[int, bytes]:
        if number == 60:
            # The fault itself, not a wait for something.
            time.sleep(STALL_S)
        return 200, GOOD

    return script


def test_a_stall_shows_in_the_percentiles_of_all_who_were_due_in_it(tmp_path: Path) -> None:
    words = ("--connections", "4", "--rate", "100", "--duration", "2")
    with running(stalling_once()) as url:
        step = measured(url, tmp_path / "open.json", *words, "--processes", "2")
    latency = step["total"]["latency"]
    assert latency["count"] == step["arrivals"] == 200
    # Half of the arrivals were due in the stall, evenly spread over it; only a few had been sent.
    assert 1000 * STALL_S * 0.95 < latency["max_ms"] < 1000 * STALL_S * 2
    assert latency["p75_ms"] > 1000 * STALL_S * 0.4
    assert latency["p90_ms"] > 1000 * STALL_S * 0.7
    assert step["generator"]["waited_share"] > 0.3
    assert max(point["max_ms"] for point in step["timeline"] if point["max_ms"]) > 900


def test_a_closed_loop_hides_the_same_stall_and_says_that_it_is_one(tmp_path: Path) -> None:
    words = ("--connections", "1", "--closed", "--duration", "1.5")
    with running(stalling_once()) as url:
        step = measured(url, tmp_path / "closed.json", *words)
    assert (step["loop"], step["rate_asked"]) == ("closed", None)
    assert step["total"]["latency"]["max_ms"] > 1000 * STALL_S * 0.95
    assert step["total"]["latency"]["p90_ms"] < 1000 * STALL_S * 0.4


def lying(number: int) -> tuple[int, bytes]:
    return [(200, GOOD), (200, b'{"rows_affected":0}'), (503, b"{}"), (200, b"<html>")][number % 4]


def test_fast_wrong_answers_are_errors(tmp_path: Path) -> None:
    with running(lying) as url:
        path = tmp_path / "result.json"
        words = (
            "--rate",
            "200",
            "--duration",
            "0.5",
            "--require",
            "errors<0.1%",
            "--json",
            str(path),
        )
        done = run(url, *words)
    assert done.exit_code == 1
    assert "NOT MET: errors<0.1% (measured: 75%)" in done.output
    step = json.loads(path.read_bytes())["steps"][0]
    assert step["total"]["errors"] == {"wrong content": 25, "status 503": 25, "wrong shape": 25}
    assert step["total"]["answered"] == step["total"]["latency"]["count"] == 25


def silent_at_times(number: int) -> tuple[int, bytes] | None:
    return None if number % 10 == 5 else (200, GOOD)


def test_requests_never_answered_are_given_up_and_counted_as_long_as_they_were(
    tmp_path: Path,
) -> None:
    words = ("--rate", "200", "--duration", "0.5", "--timeout", "0.3", "--connections", "32")
    with running(silent_at_times) as url:
        step = measured(url, tmp_path / "result.json", *words)
    assert step["total"]["errors"] == {"timeout": 10}
    assert step["total"]["answered"] == 90
    assert step["total"]["latency"]["p95_ms"] >= 300


def test_a_late_generator_refuses_to_report(tmp_path: Path) -> None:
    path, page = tmp_path / "result.json", tmp_path / "report.html"
    words = ("--rate", "50", "--duration", "0.5", "--late-ms", "0.01")
    with running(good) as url:
        done = run(url, *words, "--json", str(path), "--html", str(page))
    assert done.exit_code == 3
    assert "refused to report" in done.output
    assert "50/s: the generator was late: 1 % of arrivals" in done.output
    assert "answered well" not in done.output
    assert "--late-ms 0.01" in done.output
    assert not path.exists()
    assert not page.exists()


def test_requirements_met_end_with_0_and_the_key_is_in_no_result(tmp_path: Path) -> None:
    path, page = tmp_path / "result.json", tmp_path / "report.html"
    words = ("--rates", "50,100", "--duration", "0.5", "--arrivals", "poisson")
    words = (*words, "--require", "errors<=0%", "--require", "p99<9s")
    with running(good) as url:
        done = run(url, *words, "--json", str(path), "--html", str(page))
        assert done.exit_code == 0, done.output
        again = CliRunner().invoke(load, ["compare", str(path), str(path)])
    result = json.loads(path.read_bytes())
    assert [step["rate_asked"] for step in result["steps"]] == [50, 100]
    assert [verdict["met"] for verdict in result["requirements"]] == [True, True]
    assert result["environment"]["target"] == {"status": "ok", "version": "7"}
    for text in (path.read_text(), page.read_text(), done.output):
        assert KEY not in text
    assert again.exit_code == 0
    assert {line.split()[-1] for line in again.output.splitlines()[3:]} == {"same"}


def test_an_interrupt_ends_early_with_a_partial_result(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with running(good) as url:
        words = ["load", url, "--duration", "60", "--warmup", "0", "--late-ms", "10000"]
        process = subprocess.Popen(
            [sys.executable, "-m", "hevfast", *words, "--dim", "4", "--json", str(path)],
            env=clean_environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        while "answered" not in (line := process.stderr.readline()):
            assert line, "the run ended by itself"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=STOP_S)
    assert process.returncode == 130
    assert "INTERRUPTED" in output
    result = json.loads(path.read_bytes())
    assert result["interrupted"]
    assert 0.5 < result["steps"][0]["duration_s"] < 30
    assert result["steps"][0]["total"]["answered"] > 20
    assert result["steps"][0]["total"]["errors"] == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["http://192.0.2.1:9"], "--yes-remote"),
        (["ftp://127.0.0.1"], "must be http://"),
        (["http://127.0.0.1:99999"], "99999"),
        (["http://user:word@127.0.0.1:9"], "no user"),
        (["http://127.0.0.1:9", "--rate", "0"], "above 0"),
        (["http://127.0.0.1:9", "--rate", "fast"], "rates are numbers"),
        (["http://127.0.0.1:9", "--rate", "nan"], "above 0"),
        (["http://127.0.0.1:9", "--duration", "3601"], "3600"),
        (["http://127.0.0.1:9", "--connections", "10001"], "10000"),
        (["http://127.0.0.1:9", "--closed", "--rate", "5"], "--closed has no rate"),
        (["http://127.0.0.1:9", "--scenario", "mixed"], "needs --mix"),
        (["http://127.0.0.1:9", "--mix", "swim=1"], "swim"),
        (["http://127.0.0.1:9", "--require", "p99<5"], "needs a unit"),
        (["http://127.0.0.1:9", "--rows", "11", "--keys", "10"], "must not exceed --keys"),
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_2(words: list[str], says: str) -> None:
    done = CliRunner().invoke(load, words)
    assert done.exit_code == 2, done.output
    assert says in done.output


def test_a_target_that_is_not_there_ends_with_4() -> None:
    done = run(f"http://127.0.0.1:{unused_port()}")
    assert done.exit_code == 4
    assert "cannot ask 127.0.0.1" in done.output


def test_without_its_libraries_the_command_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['hdrh'] = None\n"
        "from hevfast.__main__ import main\n"
        "main(['load', '--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=STOP_S, check=False
    )
    assert done.returncode == 1
    assert "pip install 'hevfast[load]'" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["compare", "--help"]])
def test_help_teaches(words: list[str]) -> None:
    done = CliRunner().invoke(load, words)
    assert done.exit_code == 0
    if "compare" not in words:
        assert "EXIT STATUS" in done.output


@pytest.fixture(scope="module")
def gateway_url() -> Iterator[str]:
    pytest.importorskip("hevfast.simulator.command", reason="the simulator is not installed")
    port = unused_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            words = ["-m", "hevfast", "simulate", "--port", str(port)]
            process = subprocess.Popen(
                [sys.executable, *words], stdout=output, stderr=output, env=clean_environment()
            )
        try:
            wait_until_listening(process, port, log)
            with running_gateway(f"http://127.0.0.1:{port}") as gateway:
                yield f"http://127.0.0.1:{gateway.port}"
        finally:
            process.terminate()
            process.wait(STOP_S)


def test_every_scenario_is_answered_well_by_a_gateway(gateway_url: str, tmp_path: Path) -> None:
    mix = "write=1,fetch=2,batch-fetch=1,query=1,stage=1,claim=1"
    words = ("--scenario", "mixed", "--mix", mix, "--keys", "200", "--hit-ratio", "0.8")
    words = (*words, "--rate", "60", "--duration", "1.5", "--processes", "2")
    step = measured(gateway_url, tmp_path / "result.json", *words)
    assert step["total"]["errors"] == {}
    assert step["total"]["answered"] == step["arrivals"] == 90
    assert set(step["operations"]) == {
        "write", "fetch", "fetch-absent", "batch-fetch", "query", "stage", "claim", "claim/stage",
        "claim/claim", "claim/chunks", "claim/heartbeat", "claim/complete",
    }  # fmt: skip
    assert step["operations"]["fetch"]["cache"].keys() >= {"hit", "none"}
