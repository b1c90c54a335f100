"""Commands of the event layers: coherence, damage, backscatter and their timeline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from insar.backscatter import DEFAULT_MIN_IMAGES, DEFAULT_POST_DAYS, DEFAULT_PRE_DAYS
from insar.cli.logs import set_up_logging
from insar.cli.options import OutputFolder, Overwrite, Quiet, Verbose, takes_parameters, with_options
from insar.cli.progress import progress_bars
from insar.simulate.event_parameters import EventParameters
from insar.windows import DEFAULT_REJECTION_RATE, DEFAULT_WINDOW, ONE_LOOK, SIBLING_WINDOW, Looks, Window

if TYPE_CHECKING:
    from insar.coherence_results import ImageOptions, MapOptions
    from insar.layer_run import Machine
    from insar.stack import Pair

_IMAGES = "Complex images (SLC)"
_PLACE = "Output"
_MACHINE = "Machine"
_TERRAIN = "Layover and shadow"


def _spaced(size: tuple[int, int]) -> str:
    return f"{size[0]} {size[1]}"


Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="STACK|SLC...",
        help="Coregistered complex images: their folder, or files with a date in the name; or one stack that has "
        "coherence already.",
    ),
]
Event = Annotated[str, typer.Option("--event", metavar="DATE", help="Day of the event, YYYYMMDD.")]
IMAGE_OPTIONS: dict[str, Any] = {
    "processor": Annotated[
        str | None,
        typer.Option(
            help="Layout of the input: isce, snap or gdal for complex images; a processor of `insar run` for a stack."
        ),
    ],
    "polarisation": Annotated[
        str | None, typer.Option(help="VV, VH, HH or HV, where the input has several.", rich_help_panel=_IMAGES)
    ],
    "subswath": Annotated[
        str | None, typer.Option(help="IW1, IW2 or IW3, where the input has several.", rich_help_panel=_IMAGES)
    ],
    "window": Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="ROWS COLS",
            help=f"Window of the boxcar coherence, odd; by default {_spaced(DEFAULT_WINDOW)}.",
            rich_help_panel=_IMAGES,
        ),
    ],
    "looks": Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="ROWS COLS",
            help="Pixels taken together before the window, azimuth and range: 3 9 is topsStack's grid with these "
            f"looks; by default {_spaced(ONE_LOOK)}.",
            rich_help_panel=_IMAGES,
        ),
    ],
    "remove_fringe": Annotated[
        bool | None,
        typer.Option("--remove-fringe", help="Take out the local fringe within the window.", rich_help_panel=_IMAGES),
    ],
    "sibling": Annotated[
        bool | None,
        typer.Option(
            "--sibling/--no-sibling",
            help="Sibling coherence, too, where at least six images are there to choose siblings by; made by default.",
            rich_help_panel=_IMAGES,
        ),
    ],
    "sibling_window": Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="ROWS COLS",
            help=f"Window that siblings are looked for in, odd; by default {_spaced(SIBLING_WINDOW)}.",
            rich_help_panel=_IMAGES,
        ),
    ],
    "false_rejection_rate": Annotated[
        float | None,
        typer.Option(
            help=f"Share of true siblings that the test may reject; by default {DEFAULT_REJECTION_RATE}.",
            rich_help_panel=_IMAGES,
        ),
    ],
}
PLACE_OPTIONS: dict[str, Any] = {
    "crs": Annotated[
        str | None,
        typer.Option(
            help="CRS of the result; the stack's own, or EPSG:4326 for radar coordinates.", rich_help_panel=_PLACE
        ),
    ],
    "resolution": Annotated[
        float | None, typer.Option(help="Pixel size of the result, in units of its CRS.", rich_help_panel=_PLACE)
    ],
    "bbox": Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(metavar="W S E N", help="Part of the map to write, in degrees.", rich_help_panel=_PLACE),
    ],
    "like": Annotated[
        Path | None,
        typer.Option(
            help="Result folder or raster whose grid the layers get, such as that of `insar run`.",
            rich_help_panel=_PLACE,
        ),
    ],
}
MACHINE_OPTIONS: dict[str, Any] = {
    "workers": Annotated[
        int | None, typer.Option(help="Threads, all processors by default.", min=1, rich_help_panel=_MACHINE)
    ],
    "memory_limit": Annotated[
        str | None, typer.Option(help="Memory for blocks, such as 4GB.", rich_help_panel=_MACHINE)
    ],
    "cluster": Annotated[
        str | None,
        typer.Option(
            help="Where blocks are computed: local (by default), the address of a dask scheduler, or slurm.",
            rich_help_panel=_MACHINE,
        ),
    ],
}
"""Options that several commands have, by their names; what is not given is left to the options' own defaults."""


def _takes(*groups: dict[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of some groups; those that were given arrive as `shared`."""
    options = {name: option for group in groups for name, option in group.items()}
    return lambda command: with_options(command, "shared", options)


def _of(group: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    return {name: shared[name] for name in group if shared[name] is not None}


@_takes(IMAGE_OPTIONS, PLACE_OPTIONS, MACHINE_OPTIONS)
def coherence(
    sources: Sources,
    output: OutputFolder,
    shared: dict[str, Any],
    connections: Annotated[int, typer.Option(help="Pairs of each date with so many later ones.")] = 1,
    max_temporal_days: Annotated[float | None, typer.Option(help="Longest temporal baseline.")] = None,
    pairs: Annotated[
        str | None, typer.Option(help="These pairs instead: YYYYMMDD_YYYYMMDD, separated by commas.")
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Choose siblings by the images before this day; by all by default."),
    ] = None,
    season: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="FIRST LAST", help="Median coherence and mean amplitude of this season, too."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Coherence of coregistered images: of each pair, its mean, over siblings, and of a season."""
    from insar.coherence_results import CoherenceOptions, map_coherence

    set_up_logging(quiet=quiet, verbose=verbose)
    options = CoherenceOptions(
        connections=connections,
        max_temporal_days=max_temporal_days,
        pairs=_pairs(pairs, "--pairs") or (),
        event=_day(event, "--event"),
        season=None if season is None else (_parsed(season[0], "--season"), _parsed(season[1], "--season")),
    )
    with progress_bars(quiet=quiet) as progress:
        folder = map_coherence(
            sources,
            output,
            options,
            images=_images(shared),
            place=_place(shared),
            machine=_machine(shared),
            overwrite=overwrite,
            progress=progress,
        )
    if not quiet:
        typer.echo(folder / "report.html")


@_takes(IMAGE_OPTIONS, PLACE_OPTIONS, MACHINE_OPTIONS)
def damage(
    sources: Sources,
    event: Event,
    output: OutputFolder,
    shared: dict[str, Any],
    pre_pairs: Annotated[
        str | None, typer.Option(help="Pairs before the event, YYYYMMDD_YYYYMMDD, separated by commas.")
    ] = None,
    co_pairs: Annotated[str | None, typer.Option(help="Pairs across the event.")] = None,
    post_pairs: Annotated[str | None, typer.Option(help="Pairs after the event.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Take no acquisition after this day: what was known then.")
    ] = None,
    histogram_matching: Annotated[
        bool, typer.Option("--histogram-matching", help="Match the co-event coherence to the pre-event's first.")
    ] = False,
    false_alarm_rate: Annotated[
        float, typer.Option(help="Share of undamaged pixels that the mask of significant loss may hold.")
    ] = 0.01,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Damage proxy, changes of coherence at an event, and where the loss is significant."""
    from insar.damage_chain import DamageOptions
    from insar.damage_results import EventOptions, map_damage

    set_up_logging(quiet=quiet, verbose=verbose)
    chosen = EventOptions(
        _parsed(event, "--event"),
        pre=_pairs(pre_pairs, "--pre-pairs"),
        co=_pairs(co_pairs, "--co-pairs"),
        post=_pairs(post_pairs, "--post-pairs"),
        until=_day(until, "--until"),
    )
    with progress_bars(quiet=quiet) as progress:
        folder = map_damage(
            sources,
            output,
            chosen,
            DamageOptions(histogram_matching=histogram_matching, false_alarm_rate=false_alarm_rate),
            images=_images(shared),
            place=_place(shared),
            machine=_machine(shared),
            overwrite=overwrite,
            progress=progress,
        )
    if not quiet:
        typer.echo(folder / "report.html")


@_takes(MACHINE_OPTIONS)
def backscatter(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES...",
            help="Calibrated terrain-corrected images, or folders of them: GeoTIFF (SNAP, HyP3 RTC) and SNAP's .dim.",
        ),
    ],
    event: Event,
    output: OutputFolder,
    shared: dict[str, Any],
    pre_days: Annotated[
        tuple[int, int],
        typer.Option(metavar="FAR NEAR", help="Images from so many to so many days before the event."),
    ] = DEFAULT_PRE_DAYS,
    post_days: Annotated[
        tuple[int, int],
        typer.Option(metavar="NEAR FAR", help="Images from so many to so many days after the event."),
    ] = DEFAULT_POST_DAYS,
    min_images: Annotated[int, typer.Option(help="Fewest valid images of a median.")] = DEFAULT_MIN_IMAGES,
    season: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="FIRST LAST", help="Mean amplitude of this season, too."),
    ] = None,
    orbit: Annotated[
        str | None, typer.Option(help="ascending or descending, of all images, where they do not say it.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="power, amplitude or db, of all images, where they do not say it.")
    ] = None,
    dem: Annotated[
        Path | None,
        typer.Option(help="Raster of heights in metres, for layover and shadow.", rich_help_panel=_TERRAIN),
    ] = None,
    incidence: Annotated[
        float | None, typer.Option(help="Incidence angle of all images, degrees.", rich_help_panel=_TERRAIN)
    ] = None,
    incidence_file: Annotated[
        Path | None,
        typer.Option(
            help="Raster of incidence angles from the ellipsoid, degrees, on the images' pixels.",
            rich_help_panel=_TERRAIN,
        ),
    ] = None,
    heading: Annotated[
        float | None,
        typer.Option(
            help="Heading of the satellite in degrees from north, clockwise; Sentinel-1's by default.",
            rich_help_panel=_TERRAIN,
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Backscatter before and after an event: medians, differences, layover and shadow."""
    from insar.backscatter import EventWindows, Scale, Span
    from insar.backscatter_chain import BackscatterOptions
    from insar.backscatter_results import MaskOptions, ReadingOptions, map_backscatter
    from insar.backscatter_stack import Orbit
    from insar.errors import parse_choice

    set_up_logging(quiet=quiet, verbose=verbose)
    options = BackscatterOptions(
        EventWindows(_parsed(event, "--event"), pre_days, post_days),
        min_images,
        None if season is None else Span(_parsed(season[0], "--season"), _parsed(season[1], "--season")),
    )
    reading = ReadingOptions(
        None if orbit is None else parse_choice(Orbit, orbit, "--orbit"),
        None if scale is None else parse_choice(Scale, scale, "--scale"),
    )
    with progress_bars(quiet=quiet) as progress:
        folder = map_backscatter(
            files,
            output,
            options,
            reading=reading,
            mask=MaskOptions(dem, incidence, incidence_file, heading),
            machine=_machine(shared),
            overwrite=overwrite,
            progress=progress,
        )
    if not quiet:
        typer.echo(folder / "report.html")


def timeline(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="OUT...", help="Results of `insar damage` and `insar backscatter` of one event."),
    ],
    event: Event,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .csv or .json.")],
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Layers of several tracks and sensors in the order in which they became available."""
    from insar.errors import OptionError
    from insar.timeline import feature_timeline, timeline_csv, timeline_json

    set_up_logging(quiet=quiet, verbose=verbose)
    renderers = {".csv": timeline_csv, ".json": timeline_json}
    if output.suffix not in renderers:
        raise OptionError(
            "--output", required="a file name that ends in .csv or .json", found=output.name, remedy="Rename it"
        )
    steps = feature_timeline(results, _parsed(event, "--event"))
    partial = output.with_name(f".{output.name}.partial")
    partial.write_text(renderers[output.suffix](steps), encoding="utf-8")
    partial.replace(output)
    if not quiet:
        typer.echo(output)


@takes_parameters(EventParameters)
def simulate_event(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    parameters: dict[str, Any],
    layout: Annotated[
        str,
        typer.Option(
            help="Layout: isce-slc, isce-stripmap-slc, snap-slc, snap-slc-dates, hyp3-rtc or snap-backscatter."
        ),
    ] = "isce-slc",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Images around a landslide-triggering event with known truth, in the layout of a processor."""
    from insar.simulate.event_folder import simulate_event as simulate

    set_up_logging(quiet=quiet, verbose=verbose)
    given = {name: value for name, value in parameters.items() if value is not None}
    if "first_date" in given:
        given["first_date"] = _parsed(given["first_date"], "--first-date")
    with progress_bars(quiet=quiet) as progress:
        folder = simulate(
            EventParameters(**given),
            output,
            layout,
            progress=lambda done, total: progress("write images", done, total),
        )
    typer.echo(folder)


def _images(shared: dict[str, Any]) -> ImageOptions:
    from insar.coherence_results import ImageOptions

    given = _of(IMAGE_OPTIONS, shared)
    for name, option in (("window", "--window"), ("sibling_window", "--sibling-window")):
        if name in given:
            given[name] = Window(*given[name]).check(option)
    if "looks" in given:
        given["looks"] = Looks(*given["looks"]).check()
    return ImageOptions(**given)


def _place(shared: dict[str, Any]) -> MapOptions:
    from insar.coherence_results import MapOptions

    return MapOptions(**_of(PLACE_OPTIONS, shared))


def _machine(shared: dict[str, Any]) -> Machine:
    from insar.layer_run import Machine

    return Machine(**_of(MACHINE_OPTIONS, shared))


def _parsed(text: str, option: str) -> date:
    from insar.config import parse_date

    return parse_date(text, option)


def _day(text: str | None, option: str) -> date | None:
    return None if text is None else _parsed(text, option)


def _pairs(text: str | None, option: str) -> tuple[Pair, ...] | None:
    """Pairs by their names, such as ``20240101_20240113,20240113_20240125``."""
    if text is None:
        return None
    from insar.errors import OptionError
    from insar.stack import Pair

    pairs = []
    for name in text.replace(",", " ").split():
        first, _, second = name.partition("_")
        if not second:
            raise OptionError(
                option, required="pairs of the form YYYYMMDD_YYYYMMDD", found=repr(name), remedy="Correct it"
            )
        pairs.append(Pair(_parsed(first, option), _parsed(second, option)))
    return tuple(pairs)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(coherence)
    app.command()(damage)
    app.command()(backscatter)
    app.command()(timeline)
    app.command("simulate-event")(simulate_event)
