"""The command ``susceptibility``; what is heavy is imported inside the commands that need it."""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insar.errors import InsarError

if TYPE_CHECKING:
    from susceptibility.workers import Progress

app = typer.Typer(
    name="susceptibility",
    help="Landslide susceptibility: terrain, InSAR layers and an inventory to validated maps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
recipes = typer.Typer(help="Recipes that ship with the package, to start from.", no_args_is_help=True)
app.add_typer(recipes, name="recipes")

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Tasks at the same time; all cores if left out.")]
RecipeName = Annotated[str, typer.Argument(metavar="NAME", help="Name from `susceptibility recipes list`.")]


def main() -> None:
    """Entry point of the console script: exit code 2 for wrong input or options, 1 for the unexpected."""
    try:
        app()
    except InsarError as error:  # of both packages: SusceptibilityError is one
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)
    except Exception as error:  # noqa: BLE001  (the last resort: a user gets one line, the log file the rest)
        log = _write_crash_log()
        sys.stderr.write(f"Unexpected error: {type(error).__name__}: {error}\nThe details are in {log}.\n")
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from importlib import metadata

        typer.echo(f"scarp {metadata.version('scarp')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe (.toml).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Result folder.")],
    insar: Annotated[Path | None, typer.Option("--insar", help="InSAR result folder, instead of the recipe's.")] = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Join, sample, train, validate, map and report."""
    from susceptibility.recipe import read_recipe

    _set_up_logging(quiet=quiet, verbose=verbose)
    read = read_recipe(recipe, insar=insar)
    from susceptibility.pipeline import run_study

    with _progress_bars(quiet=quiet) as progress:
        report = run_study(read, output, overwrite=overwrite, workers=workers, progress=progress)
    if not quiet:
        typer.echo(report)


@app.command()
def factors(
    dem: Annotated[Path, typer.Argument(metavar="DEM", help="Raster of elevations in metres.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the factors.")],
    names: Annotated[str | None, typer.Option("--names", help="Factors, separated by commas; all if left out.")] = None,
    rivers: Annotated[Path | None, typer.Option(help="Vector file: adds the distance to it; else to streams.")] = None,
    roads: Annotated[Path | None, typer.Option(help="Vector file: adds the distance to roads.")] = None,
    faults: Annotated[Path | None, typer.Option(help="Vector file: adds the distance to faults.")] = None,
    stream_area: Annotated[float, typer.Option(help="Area in km2 that drains through a stream.")] = 1.0,
    concavity: Annotated[float, typer.Option(help="Reference concavity of channel steepness.")] = 0.45,
    density_radius: Annotated[float, typer.Option(help="Radius in metres of drainage and steepness density.")] = 2000.0,
    relief_window: Annotated[float, typer.Option(help="Side in metres of the window of relief.")] = 500.0,
    crs: Annotated[
        str | None, typer.Option("--crs", help="CRS in metres to project to; 'auto' for the UTM zone.")
    ] = None,
    resolution: Annotated[float | None, typer.Option("--resolution", help="Pixel size in metres.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Terrain and drainage factors as Cloud-Optimized GeoTIFFs, streams as a GeoPackage, distances to lines."""
    from susceptibility.factors.distances import write_distances
    from susceptibility.factors.drainage import DrainageOptions
    from susceptibility.factors.rasters import write_factors
    from susceptibility.factors.relief import Windows

    _set_up_logging(quiet=quiet, verbose=verbose)
    chosen = None if names is None else [name.strip() for name in names.split(",")]
    lines = {"river": rivers, "road": roads, "fault": faults}
    with _progress_bars(quiet=quiet) as progress:
        written = write_factors(
            dem,
            output,
            chosen,
            crs=crs,
            resolution_m=resolution,
            windows=Windows(relief_m=relief_window),
            drainage=DrainageOptions(stream_area_m2=1e6 * stream_area, concavity=concavity, radius_m=density_radius),
            progress=lambda done, total: progress("factors", done, total),
        )
        given = {name: path for name, path in lines.items() if path is not None}
        written |= write_distances(dem, output, given, crs=crs, resolution_m=resolution)
    if not quiet:
        for path in written.values():
            typer.echo(path)


@app.command()
def units(
    dem: Annotated[Path, typer.Argument(metavar="DEM", help="Raster of elevations in metres.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .gpkg.")],
    kind: Annotated[str, typer.Option(help="slope or aggregate.")] = "slope",
    size: Annotated[float, typer.Option(help="Side in metres of aggregate units.")] = 200.0,
    channel_area: Annotated[float, typer.Option(help="Area in m2 that the channels of the first cut drain.")] = 1e6,
    least_area: Annotated[float, typer.Option(help="Least area in m2 of a slope unit.")] = 1e5,
    largest_variance: Annotated[
        float, typer.Option(help="Circular variance of aspect, 0 to 1, above which a slope unit is cut.")
    ] = 0.2,
    crs: Annotated[
        str | None, typer.Option("--crs", help="CRS in metres to project to; 'auto' for the UTM zone.")
    ] = None,
    resolution: Annotated[float | None, typer.Option("--resolution", help="Pixel size in metres.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Mapping units: slope units of a terrain model, or squares of cells."""
    from susceptibility.unit_files import UnitRequest, write_units_of

    _set_up_logging(quiet=quiet, verbose=verbose)
    request = UnitRequest(kind, size, channel_area, least_area, largest_variance)
    count = write_units_of(dem, output, request, crs=crs, resolution_m=resolution)
    if not quiet:
        typer.echo(f"{output}: {count} units")


@app.command()
def table(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe (.toml).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .parquet or .csv.")],
    insar: Annotated[Path | None, typer.Option("--insar", help="InSAR result folder, instead of the recipe's.")] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="A page on its columns, beside it.")] = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The joined table: one row for each unit, with factors, InSAR layers and landslides."""
    from susceptibility.recipe import read_recipe

    _set_up_logging(quiet=quiet, verbose=verbose)
    read = read_recipe(recipe, insar=insar)
    from susceptibility.unit_table import write_unit_table

    with _progress_bars(quiet=quiet) as progress:
        written = write_unit_table(read, output, with_report=report, progress=progress)
    if not quiet:
        for path in written:
            typer.echo(path)


@app.command()
def predict(
    result: Annotated[
        Path, typer.Argument(metavar="OUT", help="Result folder of `susceptibility run`, or a bundle in its model/.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Map to write, .tif; beside it NAME_std.tif, NAME_applicable.tif, NAME.json."
        ),
    ],
    factors: Annotated[
        Path | None,
        typer.Option(
            help="Folder with FEATURE.tif for each feature; of classes also FEATURE_legend.csv (number,label)."
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe that joins the same features there, instead of --factors.")
    ] = None,
    insar: Annotated[
        Path | None, typer.Option("--insar", help="InSAR result folder whose layers serve as features.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Bundle, MODEL_FEATURESET; the best under spatial validation if left out."),
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Raster whose grid the map is made on; slope.tif of --factors if left out.")
    ] = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A trained model on another area or date: the map, its spread, and what is unlike the training."""
    from susceptibility.elsewhere import predict_elsewhere
    from susceptibility.recipe import read_recipe

    _set_up_logging(quiet=quiet, verbose=verbose)
    with _progress_bars(quiet=quiet) as progress:
        summary = predict_elsewhere(
            result,
            output,
            factors=factors,
            recipe=None if recipe is None else read_recipe(recipe, insar=insar),
            model=model,
            insar=None if recipe is not None else insar,
            like=like,
            overwrite=overwrite,
            workers=workers,
            progress=progress,
        )
    if not quiet:
        for line in summary.lines():
            typer.echo(line)


@app.command()
def track(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe (.toml) with InSAR layers.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Result folder.")],
    result: Annotated[
        Path | None,
        typer.Option(
            help="Finished run of this recipe; if left out the recipe is run first, and its result is not kept."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="Bundle, MODEL_FEATURESET; the best with InSAR under spatial validation if left out."
        ),
    ] = None,
    insar: Annotated[Path | None, typer.Option("--insar", help="InSAR result folder, instead of the recipe's.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Take every so many dates, counted back from the last.")] = 1,
    least_dates: Annotated[int, typer.Option(min=3, help="Dates that a rate is fitted to at least.")] = 5,
    threshold: Annotated[
        float, typer.Option(help="Change of the prediction that counts; name it yourself for densities.")
    ] = 0.1,
    overwrite: Overwrite = False,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Susceptibility through time: one map for each InSAR epoch, what changed, and which layer moved it."""
    from susceptibility.elsewhere import track_recipe
    from susceptibility.recipe import read_recipe
    from susceptibility.tracking import TrackOptions

    _set_up_logging(quiet=quiet, verbose=verbose)
    options = TrackOptions(least_dates=least_dates, every=every, threshold=threshold)
    with _progress_bars(quiet=quiet) as progress:
        lines = track_recipe(
            read_recipe(recipe, insar=insar),
            result,
            output,
            model=model,
            options=options,
            overwrite=overwrite,
            workers=workers,
            progress=progress,
        )
    if not quiet:
        for line in lines:
            typer.echo(line)


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the study.")],
    dem: Annotated[Path | None, typer.Option("--dem", help="Real terrain instead of a simulated one.")] = None,
    velocity: Annotated[Path | None, typer.Option("--velocity", help="Rate (m/yr) that goes with --dem.")] = None,
    landslides: Annotated[int, typer.Option("--landslides", min=1, help="Expected number of landslide cells.")] = 400,
    slope_effect: Annotated[float, typer.Option(help="Log-odds per standard deviation of slope.")] = 1.2,
    curvature_effect: Annotated[float, typer.Option(help="The same of profile curvature.")] = -0.5,
    velocity_effect: Annotated[float, typer.Option(help="The same of the rate's absolute value.")] = 0.7,
    damage_effect: Annotated[float, typer.Option(help="The same of the damage proxy.")] = 0.0,
    river_effect: Annotated[float, typer.Option(help="The same of the distance to rivers.")] = -0.4,
    road_effect: Annotated[float, typer.Option(help="The same of the distance to roads.")] = 0.0,
    fault_effect: Annotated[float, typer.Option(help="The same of the distance to faults.")] = -0.3,
    rock_effect: Annotated[float, typer.Option(help="Log-odds between the weakest and the strongest rock.")] = 0.8,
    insar_effect: Annotated[
        bool, typer.Option(help="Whether InSAR tells of landslides; without, a gain from it would be a fault.")
    ] = True,
    events: Annotated[
        int | None, typer.Option(min=2, help="Several earthquakes, each in an area of its own, and a table of all.")
    ] = None,
    size: Annotated[int, typer.Option("--size", min=16, help="Rows and columns of a simulated terrain.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same study.")] = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A study whose generating model is known, ready to run: terrain, rate, inventory, recipe, and the truth."""
    from susceptibility.errors import OptionError
    from susceptibility.simulate import SimulationOptions, simulate_study
    from susceptibility.simulate_events import simulate_events

    _set_up_logging(quiet=quiet, verbose=verbose)
    options = SimulationOptions(
        seed=seed,
        size=size,
        landslides=landslides,
        slope_effect=slope_effect,
        curvature_effect=curvature_effect,
        velocity_effect=velocity_effect,
        damage_effect=damage_effect,
        river_effect=river_effect,
        road_effect=road_effect,
        fault_effect=fault_effect,
        rock_effect=rock_effect,
    )
    if not insar_effect:
        options = options.without_insar()
    if events is None:
        written = simulate_study(output, options, dem=dem, velocity=velocity, overwrite=overwrite)
    elif dem is None and velocity is None:
        written = simulate_events(output, options, events, overwrite=overwrite)
    else:
        raise OptionError("--events", required="simulated terrain", found="--dem or --velocity", remedy="Drop one")
    if not quiet:
        typer.echo(written)


@recipes.command("list")
def list_recipes() -> None:
    """Names and purposes of the recipes."""
    for name, text in _shipped_recipes().items():
        purpose = text.splitlines()[0].lstrip("# ").strip()
        typer.echo(f"{name:16} {purpose}")


@recipes.command("show")
def show_recipe(name: RecipeName) -> None:
    """Print a recipe."""
    typer.echo(_shipped_recipe(name), nl=False)


@recipes.command("copy")
def copy_recipe(
    name: RecipeName,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; NAME.toml if left out.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a recipe, to be filled in."""
    from susceptibility.errors import OptionError
    from susceptibility.publishing import write_text

    text = _shipped_recipe(name)
    target = output or Path(f"{name}.toml")
    if target.is_dir():
        target /= f"{name}.toml"
    if target.exists() and not overwrite:
        raise OptionError(
            target, required="a file that is not there", found="one that is", remedy="Add --overwrite or name another"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, text)
    typer.echo(target)


def _shipped_recipes() -> dict[str, str]:
    folder = resources.files("susceptibility") / "recipes"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def _shipped_recipe(name: str) -> str:
    shipped = _shipped_recipes()
    if name not in shipped:
        from susceptibility.errors import OptionError

        raise OptionError(
            f"recipe {name!r}",
            required="one of " + ", ".join(shipped),
            found="no such recipe",
            remedy="Choose one of them",
        )
    return shipped[name]


def _set_up_logging(*, quiet: bool, verbose: bool) -> None:
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)
    # Libraries speak up only when something is wrong.
    for library in ("rasterio", "numba", "matplotlib", "pyogrio"):
        logging.getLogger(library).setLevel(logging.ERROR)


@contextmanager
def _progress_bars(*, quiet: bool) -> Iterator[Progress]:
    """A callback that draws one bar for each step; nothing where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description:32}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield update


def _write_crash_log() -> Path:
    name = f"susceptibility-error-{datetime.now().astimezone():%Y%m%dT%H%M%S}.log"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        path = folder / name
        try:
            path.write_text(f"{sys.argv}\n{traceback.format_exc()}", encoding="utf-8")
        except OSError:
            continue
        return path
    return Path("no file: no folder can be written")
