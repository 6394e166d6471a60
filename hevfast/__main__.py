"""The commands: serve, dev, simulate, check, settings, load."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from hevfast import __version__
from hevfast import settings as settings_table
from hevfast.core.errors import GatewayError
from hevfast.core.limits import (
    BACKLOG_CONNECTIONS,
    CLIENT_KEEP_ALIVE_MS,
    OPEN_FILES,
    RESPAWN_S,
    SHUTDOWN_S,
    WORKER_CONNECTIONS_MAX,
)
from hevfast.settings import Settings, SettingsError

LOGGER = logging.getLogger("hevfast")

# Seconds. How long `dev` waits for its two children to listen, and to stop.
DEV_START_S = 30.0
DEV_STOP_S = 30.0
# Seconds between looks at something that cannot wake us.
DEV_LOOK_S = 0.1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hevfast")
def main() -> None:
    """hevfast: a gateway in front of Turbopuffer.

    It takes Turbopuffer's own requests, stamps every written row with the time, and relays the
    rest. Point a Turbopuffer client at it by changing its base URL.

    First steps: `hevfast dev` runs everything on this machine. `hevfast settings` shows what can
    be set. `hevfast check` tries it out. `hevfast serve` runs the gateway.
    """


@main.command()
def serve() -> None:
    """Run the gateway in the foreground.

    Everything is configured by environment variables; `hevfast settings` lists them. Ctrl-C or
    SIGTERM stops it: requests under way are answered first.

    Example: PORT=8080 TURBOPUFFER_REGION=aws-us-east-1 hevfast serve
    """
    settings = _load()
    _check_port_is_free(settings.host, settings.port)
    _raise_open_files()
    # Imported here, because no other command needs the server.
    from granian import Granian
    from granian.constants import Interfaces, Loops, RuntimeModes
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    server = Granian(
        "hevfast.app:build",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=settings.workers,
        # One Rust thread that also runs the sockets: a request crosses threads once less.
        runtime_mode=RuntimeModes.st,
        websockets=False,
        backlog=BACKLOG_CONNECTIONS,
        backpressure=WORKER_CONNECTIONS_MAX,
        # This one timeout also ends idle kept-alive connections.
        http1_settings=HTTP1Settings(header_read_timeout=CLIENT_KEEP_ALIVE_MS),
        # A worker that crashes is replaced; one that crashes at once ends the program.
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_S,
        workers_kill_timeout=SHUTDOWN_S,
        # The server's lines at `info` are about clients that left; ours say start and stop.
        log_level=LogLevels.warning,
        log_dictconfig=_log_config(),
    )
    server.on_startup(lambda: LOGGER.info("%s", _start_line(settings)))
    with _metrics_folder():
        server.serve()
    LOGGER.info("hevfast stopped")


@main.command()
@click.option("--markdown", is_flag=True, help="Print the README's table, without values.")
def settings(markdown: bool) -> None:
    """Print every setting: variable, value, default, unit, bounds, meaning.

    Secrets show as stars. The values are those this shell's environment gives.
    """
    click.echo(settings_table.markdown() if markdown else settings_table.describe(_load()))


@main.command()
def check() -> None:
    """Check the settings and try to reach Turbopuffer.

    Exits with 0 when the gateway could serve, 1 when Turbopuffer cannot be reached or refuses
    the key, 2 when the settings do not make sense.
    """
    settings = _load()
    click.echo("settings: good")
    try:
        status = asyncio.run(_probe(settings))
    except GatewayError as error:
        click.echo(f"turbopuffer: {settings.upstream_url}: {error.detail}")
        sys.exit(1)
    click.echo(f"turbopuffer: {settings.upstream_url} answered GET /v1/namespaces with {status}")
    if settings.api_key is None:
        click.echo("key: none configured; callers bring their own")
    good = 200 <= status < 300 or (settings.api_key is None and status in (401, 403))
    click.echo("ready to serve" if good else "not ready: see the status above")
    sys.exit(0 if good else 1)


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    short_help="Run the local Turbopuffer simulator alone.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def simulate(words: tuple[str, ...]) -> None:
    # The simulator needs numpy and is no part of a production gateway, so nothing of it is
    # imported before it is asked for; it parses its own options.
    try:
        from hevfast.simulator.command import simulate as simulator
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"The simulator needs the module '{error.name}'. Install it with: "
            "pip install 'hevfast[simulator]'"
        ) from error
    simulator.main(args=list(words), prog_name="hevfast simulate")


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    short_help="Measure a server under a known load.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def load(words: tuple[str, ...]) -> None:
    # An island as the simulator is: it parses its own options, and its libraries are optional.
    try:
        from hevfast.load.command import load as tool
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"The load tool needs the module '{error.name}'. Install it with: "
            "pip install 'hevfast[load]'"
        ) from error
    tool.main(args=list(words), prog_name="hevfast load")


@main.command()
@click.option("--port", default=8080, show_default=True, help="Port of the gateway.")
@click.option("--simulator-port", default=8081, show_default=True, help="Port of the simulator.")
def dev(port: int, simulator_port: int) -> None:
    """Run a local Turbopuffer simulator and a gateway in front of it.

    Needs no account and no network. Prints both addresses and lines to paste; any key works.
    Ctrl-C stops both.
    """
    for taken in (port, simulator_port):
        _check_port_is_free("127.0.0.1", taken)
    stop_signals = (signal.SIGINT, signal.SIGTERM)
    for number in stop_signals:
        signal.signal(number, _stop)
    upstream = f"http://127.0.0.1:{simulator_port}"
    environment = settings_table.child_environment(
        HOST="127.0.0.1", PORT=str(port), TPUF_URL=upstream
    )
    children: list[subprocess.Popen[bytes]] = []
    try:
        children.append(_child("simulate", "--port", str(simulator_port)))
        _wait_until_listening(children, simulator_port)
        children.append(_child("serve", environment=environment))
        _wait_until_listening(children, port)
        click.echo(_welcome(port, upstream))
        while all(child.poll() is None for child in children):
            time.sleep(DEV_LOOK_S)
        raise click.ClickException("one of the two has stopped; its last lines are above")
    except KeyboardInterrupt:
        pass
    finally:
        for number in stop_signals:
            signal.signal(number, signal.SIG_IGN)
        _stop_children(children)


def _load() -> Settings:
    """Read the settings; print all faults and exit with 2 if there are any."""
    try:
        return settings_table.load()
    except SettingsError as error:
        click.echo("hevfast cannot start, the settings have faults:", err=True)
        for fault in error.faults:
            click.echo(f"  {fault}", err=True)
        click.echo("`hevfast settings --help` and the README explain them.", err=True)
        sys.exit(2)


def _check_port_is_free(host: str, port: int) -> None:
    """Exit with 1 if the address is taken.

    The server shares its port with any other that allows it, so two gateways on one port would
    start without complaint and answer in turn.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = error.strerror
        raise click.ClickException(f"cannot listen on {host}:{port}: {reason}") from error


def _raise_open_files() -> None:
    """Allow as many open files as the system lets us, up to what the connections may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


@contextlib.contextmanager
def _metrics_folder() -> Iterator[None]:
    """Make the folder in which the workers keep their counts, and remove it at the end."""
    from hevfast.observe.folder import make_folder, remove_folder

    try:
        folder = make_folder()
    except OSError as error:
        LOGGER.warning("each worker has metrics of its own: %s", error)
        settings_table.hand_down_metrics_folder("")
        yield
        return
    settings_table.hand_down_metrics_folder(str(folder))
    try:
        yield
    finally:
        remove_folder(folder)


def _start_line(settings: Settings) -> str:
    return (
        f"hevfast {__version__} listens on http://{settings.host}:{settings.port}, "
        f"{settings.workers} worker(s), Turbopuffer at {settings.upstream_url}"
    )


def _log_config() -> dict[str, Any]:
    console = {"handlers": ["console"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(message)s"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": "ext://sys.stderr",
            },
        },
        "loggers": {
            "_granian": {**console, "level": "WARNING"},
            "hevfast": {**console, "level": "INFO"},
        },
    }


async def _probe(settings: Settings) -> int:
    """Ask upstream for its namespaces and give the status of the answer."""
    from hevfast.upstream.exchange import Exchange

    headers = [(b"accept-encoding", b"identity")]
    if settings.api_key is not None:
        headers.append((b"authorization", b"Bearer " + settings.api_key.encode()))
    exchange = Exchange(settings)
    await exchange.open()
    try:
        target = "/v1/namespaces?page_size=1"
        answer = await exchange.send("GET", target, headers, None, None, deed="check")
        return answer.status
    finally:
        await exchange.close()


def _child(*words: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "hevfast", *words], env=environment)  # noqa: S603


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _wait_until_listening(children: "list[subprocess.Popen[bytes]]", port: int) -> None:
    deadline = time.monotonic() + DEV_START_S
    while time.monotonic() < deadline:
        if any(child.poll() is not None for child in children):
            raise click.ClickException(f"nothing came up on port {port}; the reason is above")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(DEV_LOOK_S)
    raise click.ClickException(f"nothing listens on port {port} after {DEV_START_S:g} seconds")


def _stop_children(children: "list[subprocess.Popen[bytes]]") -> None:
    """Ask all to stop, last started first, and kill what has not stopped in time."""
    for child in reversed(children):
        child.terminate()
    for child in reversed(children):
        try:
            child.wait(DEV_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _welcome(port: int, upstream: str) -> str:
    base = f"http://127.0.0.1:{port}/v2/namespaces/demo"
    curl = "curl -s -H 'Authorization: Bearer dev'"
    write = (
        '{"distance_metric":"cosine_distance","upsert_rows":'
        '[{"id":1,"vector":[1,0],"title":"tide"},{"id":2,"vector":[0,1],"title":"kelp"}]}'
    )
    query = '{"rank_by":["vector","ANN",[1,0]],"top_k":2,"include_attributes":true}'
    return "\n".join(
        [
            f"gateway    http://127.0.0.1:{port}",
            f"simulator  {upstream}",
            "",
            "write:",
            f"{curl} {base} -d '{write}'",
            "query:",
            f"{curl} {base}/query -d '{query}'",
            "",
            "Ctrl-C stops both.",
        ]
    )


if __name__ == "__main__":
    main(prog_name="hevfast")
