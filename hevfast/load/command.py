"""The `load` command: a run, a report of one, a comparison of two."""

import sys
from pathlib import Path
from typing import Any

import click

from hevfast import __version__

from . import result as results
from .exchange import Target
from .flags import FILE, options, run_flags
from .fleet import RunError
from .preparation import is_loopback
from .progress import Shown
from .run import run as measure
from .summary import text
from .teaching import HELP, RUN_HELP

UNMET = 1
REFUSED = 3
UNABLE = 4
INTERRUPTED = 130


class RunByDefault(click.Group):
    """Takes `load URL ...` as `load run URL ...`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=RunByDefault, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hevfast load")
def load() -> None:
    """See HELP."""


_RESULT = click.Path(exists=True, dir_okay=False, path_type=Path)


@load.command("run", help=RUN_HELP)
@click.argument("url")
@run_flags
def run(**words: Any) -> None:
    """See RUN_HELP."""
    asked = options(words)
    _check_target(asked.url, words["yes_remote"])
    if words["html_path"]:
        _report_library()
    try:
        result = measure(asked, words["key"], words["requirements"], Shown())
    except RunError as error:
        click.echo(f"hevfast load: {error}", err=True)
        sys.exit(UNABLE)
    if result.refused:
        # Not even shown: whoever sees figures uses them.
        click.echo("hevfast load: refused to report, the figures would be its own:", err=True)
        for reason in result.refused:
            click.echo(f"  {reason}", err=True)
        sys.exit(REFUSED)
    click.echo(text(result))
    if words["json_path"]:
        words["json_path"].write_bytes(results.write(result))
    if words["html_path"]:
        words["html_path"].write_text(_report_library().report(result), encoding="utf-8")
    if result.interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(0 if all(verdict.met for verdict in result.requirements) else UNMET)


@load.command()
@click.argument("path", metavar="RESULT.json", type=_RESULT)
@click.option("--html", "html_path", type=FILE, help="Write the report here.")
def report(path: Path, html_path: Path | None) -> None:
    """Show a result again, and write its report."""
    result = _read(path)
    click.echo(text(result))
    if html_path:
        html_path.write_text(_report_library().report(result), encoding="utf-8")


@load.command()
@click.argument("first", metavar="A.json", type=_RESULT)
@click.argument("second", metavar="B.json", type=_RESULT)
@click.option("--html", "html_path", type=FILE, help="Write the report here.")
def compare(first: Path, second: Path, html_path: Path | None) -> None:
    """Say in which figures B differs from A, and which way.

    Steps are matched by rate. A difference that two runs of the same might show is marked as
    within the spread: it is no finding.
    """
    from .comparison import compared
    from .comparison import text as difference

    pair = _read(first), _read(second)
    try:
        comparison = compared(*pair)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(difference(comparison))
    if html_path:
        page = _report_library().difference(*pair, comparison)
        html_path.write_text(page, encoding="utf-8")


@load.command()
def schema() -> None:
    """Print the JSON Schema of results."""
    click.echo(results.json_schema().decode())


def _check_target(url: str, yes_remote: bool) -> None:
    try:
        target = Target(url, None)
    except ValueError as error:
        raise click.UsageError(f"{url}: {error}") from error
    if target.parts.scheme not in ("http", "https") or not target.host:
        raise click.UsageError("the URL must be http://HOST:PORT or https://HOST")
    if target.parts.username or target.parts.query or target.parts.fragment:
        raise click.UsageError("the URL must have no user, query or fragment; see --key")
    try:
        is_own = is_loopback(target)
    except RunError as error:
        click.echo(f"hevfast load: {error}", err=True)
        sys.exit(UNABLE)
    if not is_own and not yes_remote:
        raise click.UsageError(
            f"{target.host} is not this machine. A load test of somebody else's service is an "
            "attack; if it is yours to load, say --yes-remote"
        )


def _read(path: Path) -> results.Result:
    try:
        return results.read(path.read_bytes())
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from error


def _report_library() -> Any:
    """Give the module of reports, or end with what to install."""
    try:
        from . import report as reporting
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"A report needs the module '{error.name}'. "
            "Install it with: pip install 'hevfast[load]'"
        ) from error
    return reporting
