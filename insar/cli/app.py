"""The commands, and what becomes of their errors."""

from __future__ import annotations

import sys
import tempfile
import traceback
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from insar.cli import events, products
from insar.cli.logs import set_up_logging
from insar.cli.options import (
    OutputFolder,
    Overwrite,
    Quiet,
    StackOrConfig,
    Verbose,
    takes_parameters,
    takes_settings,
)
from insar.errors import InsarError
from insar.simulate import SimulationParameters

app = typer.Typer(
    name="insar",
    help="Small-baseline InSAR time series: from a folder of interferograms to deformation layers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def run_app(application: typer.Typer) -> None:
    """Run the command line: exit code 2 for wrong input or options, 1 for the unexpected."""
    try:
        application()
    except InsarError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    except Exception as error:  # noqa: BLE001  (the last resort: a user gets one line, the log file the rest)
        log = _write_crash_log()
        sys.stderr.write(f"Unexpected error: {type(error).__name__}: {error}\nThe details are in {log}.\n")
        sys.exit(1)


def _write_crash_log() -> Path:
    name = f"insar-error-{datetime.now().astimezone():%Y%m%dT%H%M%S}.log"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            path = folder / name
            path.write_text(f"{sys.argv}\n{traceback.format_exc()}", encoding="utf-8")
        except OSError:
            continue
        return path
    return Path("no file: no folder can be written")


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from insar import __version__

        typer.echo(f"scarp {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
@takes_settings
def run(
    stack: StackOrConfig,
    output: OutputFolder,
    settings: dict[str, Any],
    overwrite: Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The whole chain: time series, rate, layers, report. Goes on where it stopped."""
    _execute(stack, output, settings, overwrite, dry_run, quiet, verbose, with_rate=True)


@app.command()
@takes_settings
def invert(
    stack: StackOrConfig,
    output: OutputFolder,
    settings: dict[str, Any],
    overwrite: Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Network inversion alone: timeseries.h5 and the layers of its quality."""
    _execute(stack, output, settings, overwrite, dry_run, quiet, verbose, with_rate=False)


def _execute(
    stack: Path,
    output: Path,
    options: dict[str, Any],
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    *,
    with_rate: bool,
) -> None:
    from insar.cli.progress import progress_bars
    from insar.config import load_settings

    set_up_logging(quiet=quiet, verbose=verbose)
    settings = load_settings(stack, options)
    if dry_run:
        from insar.preflight import check_stack, render_check

        typer.echo(render_check(check_stack(settings)))
        return
    from insar.pipeline import run_chain

    try:
        with progress_bars(quiet=quiet) as progress:
            folder = run_chain(settings, output, with_rate=with_rate, overwrite=overwrite, progress=progress)
    except KeyboardInterrupt:
        typer.echo("Interrupted. The same command goes on where it stopped.", err=True)
        raise typer.Exit(130) from None
    if not quiet:
        typer.echo(folder / "report.html" if with_rate else folder)


@app.command()
def update(
    result: Annotated[Path, typer.Argument(metavar="OUT", help="Result folder that `insar run` has finished.")],
    stack: Annotated[
        Path, typer.Argument(help="Stack with the new interferograms: the grown folder, or one of new ones alone.")
    ],
    processor: Annotated[str, typer.Option(help="Layout of the stack; the result's by default.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Threads; as the result was made by default.")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="Memory for blocks, such as 4GB.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Where blocks are computed.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add new interferograms to an existing result, with its settings, reference point and grid."""
    from insar.cli.progress import progress_bars
    from insar.update_results import update_result

    set_up_logging(quiet=quiet, verbose=verbose)
    machine = {"workers": workers, "memory_limit": memory_limit, "cluster": cluster}
    with progress_bars(quiet=quiet) as progress:
        folder, added = update_result(result, stack, processor=processor, machine=machine, progress=progress)
    if not quiet:
        typer.echo(f"{folder}: {len(added)} interferograms added" if added else f"{folder}: nothing new in {stack}")


@app.command()
def info(
    stack: StackOrConfig,
    processor: Annotated[
        str,
        typer.Option(
            help="Layout of the stack: auto, isce, snap, hyp3, licsar, gamma, roipac, mintpy, scarp or rasters."
        ),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What is there: processor, dates, pairs, grid, units, baselines, and what is missing."""
    from insar.description import describe_images, describe_stack, render_description
    from insar.readers import open_stack
    from insar.readers.slc import looks_like_slcs, open_slcs

    set_up_logging(quiet=False, verbose=False)
    if looks_like_slcs([stack]):
        description = describe_images(open_slcs([stack]))
    else:
        description = describe_stack(open_stack(stack, processor))
    if as_json:
        import json

        typer.echo(json.dumps(description, indent=2))
    else:
        typer.echo(render_description(description))


@app.command()
@takes_settings
def check(
    stack: StackOrConfig,
    settings: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Preflight: grid, signs, duplicate or absent pairs, no-data census, estimate of memory and time."""
    from insar.config import load_settings
    from insar.preflight import check_stack, render_check

    set_up_logging(quiet=quiet, verbose=verbose)
    report = check_stack(load_settings(stack, settings))
    if as_json:
        import json

        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(render_check(report))


@app.command()
@takes_settings
def network(
    stack: StackOrConfig,
    output: OutputFolder,
    settings: dict[str, Any],
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Network selection alone: a table of all pairs with the reason each was dropped, and a plot."""
    from insar.config import load_settings
    from insar.network_report import write_network

    set_up_logging(quiet=quiet, verbose=verbose)
    typer.echo(write_network(load_settings(stack, settings), output))


@app.command()
@takes_settings
def init(
    stack: StackOrConfig,
    settings: dict[str, Any],
    output: Annotated[Path, typer.Option("--output", "-o", help="Configuration file to write.")] = Path("insar.toml"),
    overwrite: Overwrite = False,
) -> None:
    """A commented configuration with every value that was detected."""
    from insar.config import load_settings
    from insar.preflight import write_configuration

    set_up_logging(quiet=False, verbose=False)
    typer.echo(write_configuration(load_settings(stack, settings), output, overwrite=overwrite))


@app.command()
@takes_parameters(SimulationParameters)
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    parameters: dict[str, Any],
    layout: Annotated[
        str, typer.Option(help="Layout: isce-tops, isce-stripmap, snap, hyp3, licsar or mintpy.")
    ] = "isce-tops",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A stack with known truth, in the layout of a processor."""
    from insar.cli.progress import progress_bars
    from insar.config import parse_date
    from insar.simulate import simulate_stack

    set_up_logging(quiet=quiet, verbose=verbose)
    given = {name: value for name, value in parameters.items() if value is not None}
    for name in {"first_date", "step_date"} & given.keys():
        given[name] = parse_date(given[name], f"--{name.replace('_', '-')}")
    with progress_bars(quiet=quiet) as progress:
        folder = simulate_stack(
            SimulationParameters(**given),
            output,
            layout,
            progress=lambda done, total: progress("write interferograms", done, total),
        )
    typer.echo(folder)


products.register(app)
events.register(app)
