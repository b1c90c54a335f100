"""Commands that make further products of finished results."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from insar.cli.logs import set_up_logging
from insar.cli.options import OutputFolder, Overwrite, Quiet, Verbose
from insar.cli.progress import progress_bars
from insar.decomposition import DEFAULT_MAX_CONDITION
from insar.slope import DEFAULT_MIN_SENSITIVITY, DEFAULT_MIN_SLOPE_DEG

Result = Annotated[Path, typer.Argument(metavar="OUT", help="Result folder that `insar run` has finished.")]


def slope(
    result: Result,
    dem: Annotated[Path, typer.Option("--dem", help="Raster of heights in metres, in any CRS.")],
    min_sensitivity: Annotated[
        float,
        typer.Option(help="Least cosine between steepest descent and line of sight; no downslope rate below it."),
    ] = DEFAULT_MIN_SENSITIVITY,
    min_slope: Annotated[
        float, typer.Option(help="Least slope in degrees; no downslope rate below it.")
    ] = DEFAULT_MIN_SLOPE_DEG,
    incidence: Annotated[
        float | None, typer.Option(help="Incidence angle in degrees, for a result that has no layer of it.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Downslope velocity, sensitivity and visibility, added to a finished result."""
    from insar.slope_results import SlopeOptions, add_slope_layers

    set_up_logging(quiet=quiet, verbose=verbose)
    options = SlopeOptions(min_sensitivity=min_sensitivity, min_slope_deg=min_slope, incidence_deg=incidence)
    with progress_bars(quiet=quiet) as progress:
        written = add_slope_layers(result, dem, options, progress=progress)
    if not quiet:
        for path in written:
            typer.echo(path)


def decompose(
    first: Annotated[Path, typer.Argument(metavar="ASC_OUT", help="Result of one pass direction; its grid is kept.")],
    second: Annotated[Path, typer.Argument(metavar="DESC_OUT", help="Result of the other pass direction.")],
    output: OutputFolder,
    max_condition: Annotated[
        float, typer.Option(help="Largest condition number of the two lines of sight; pixels above it are no data.")
    ] = DEFAULT_MAX_CONDITION,
    incidence_first: Annotated[
        float | None, typer.Option(help="Incidence angle in degrees of the first result, if it has no layer of it.")
    ] = None,
    incidence_second: Annotated[
        float | None, typer.Option(help="Incidence angle in degrees of the second result, if it has no layer of it.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """East and vertical motion from an ascending and a descending result."""
    from insar.decompose_results import DecomposeOptions, decompose_results

    set_up_logging(quiet=quiet, verbose=verbose)
    options = DecomposeOptions(
        max_condition=max_condition, incidence_first_deg=incidence_first, incidence_second_deg=incidence_second
    )
    with progress_bars(quiet=quiet) as progress:
        folder = decompose_results(first, second, output, options, overwrite=overwrite, progress=progress)
    if not quiet:
        typer.echo(folder)


def re_reference(
    result: Result,
    lonlat: Annotated[
        tuple[float, float] | None,
        typer.Option("--lonlat", metavar="LON LAT", help="The new reference point: longitude and latitude."),
    ] = None,
    rowcol: Annotated[
        tuple[int, int] | None,
        typer.Option("--rowcol", metavar="ROW COL", help="The same as row and column of the map."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Pixels on a side, odd, of the area around the point to average; as before by default."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Move the reference point of a finished result; the stack is not needed."""
    from insar.grid import LonLat, RowCol
    from insar.rereference_results import move_reference

    set_up_logging(quiet=quiet, verbose=verbose)
    with progress_bars(quiet=quiet) as progress:
        moved = move_reference(
            result,
            lonlat=None if lonlat is None else LonLat(*lonlat),
            rowcol=None if rowcol is None else RowCol(*rowcol),
            size=size,
            progress=progress,
        )
    if not quiet:
        place = moved.place
        where = f", longitude {place.lon:.6f}, latitude {place.lat:.6f}" if math.isfinite(place.lon) else ""
        typer.echo(f"Reference: row {moved.pixel.row}, column {moved.pixel.col} of the map{where}")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(slope)
    app.command()(decompose)
    app.command("re-reference")(re_reference)
