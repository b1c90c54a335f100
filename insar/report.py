"""``report.html``: what a person looks at first, made from a finished result folder alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.figures import (
    DIVERGING,
    FIGURES,
    FULL_WIDTH_IN,
    POINT_NAMES,
    SEQUENTIAL,
    SeriesPanel,
    draw_histogram,
    draw_network,
    draw_series,
    format_percent,
    robust_limits,
    save_figure,
    symmetric_limit,
)
from insar.findings import find_concerns
from insar.grid import LonLat
from insar.maps import MapStyle, draw_quality
from insar.preview import UNRELIABLE_FLAGS, ExamplePoint, Preview, choose_points
from insar.report_layers import draw_layer
from insar.report_page import (
    Picture,
    Section,
    facts_table,
    folded,
    list_table,
    paragraph,
    picture,
    pictures,
    render_page,
)
from insar.report_parts import (
    describe_processing,
    described_grid,
    described_spread,
    fixed_decimals,
    list_files,
    report_footer,
    write_page,
)
from insar.report_steps import (
    describe_accelerations,
    describe_corrections,
    describe_dem_error,
    describe_unwrapping,
    find_step_concerns,
)
from insar.result import ResultFolder

_HOW_TO_READ = (
    "Displacements and rates are along the line of sight of the radar: positive is toward the satellite, negative away "
    "from it. Subsidence, and motion down a slope that faces away from the radar, is negative. One track cannot tell "
    "vertical from horizontal motion, and motion along the orbit (roughly north-south) is hardly seen.",
    "Everything is relative to the first date and to the reference: the point that is marked, which then is zero, or "
    "the average of an area around it where one was asked for. A rate is in millimetres per year of 365.25 days; the "
    "layers themselves are in metres and metres per year. No data is NaN, and 0 is a measured zero.",
)


def write_report(folder: Path) -> Path:
    """Write ``report.html`` and ``figures/*.png`` into a finished result folder.

    Everything comes from the folder: ``manifest.json``, the layers and ``timeseries.h5``. What is absent is left out.
    Layers are read at the size of a figure, so that large scenes take neither memory nor time.

    Returns
    -------
    Path
        The page. It opens offline; figures are PNG files beside it.

    Raises
    ------
    MissingInputError
        The folder has no manifest.
    InputError
        The manifest, a layer or the time series is damaged.
    """
    result = ResultFolder(folder)
    (folder / FIGURES).mkdir(exist_ok=True)
    points = _example_points(result)
    sections = [
        Section("summary", "Key figures", [facts_table(_key_figures(result))]),
        Section("velocity", "Rate", _velocity(result, points)),
        Section("reading", "How to read signs and units", [paragraph(text) for text in _HOW_TO_READ]),
        Section("series", "Time series", _series(result, points)),
        Section("accelerations", "Changes of rate", describe_accelerations(result)),
        Section("trust", "How far to trust it", _trust(result)),
        Section("network", "Network", _network(result)),
        Section("unwrapping", "Unwrapping", describe_unwrapping(result)),
        Section("corrections", "Corrections", [*describe_corrections(result), *describe_dem_error(result)]),
        Section("files", "Layers and files", list_files(result)),
        Section("processing", "Processing", describe_processing(result)),
    ]
    page = render_page(
        _title(result),
        _subtitle(result),
        [*find_concerns(result), *find_step_concerns(result)],
        sections,
        report_footer(result),
    )
    return write_page(folder, page)


def _example_points(result: ResultFolder) -> list[ExamplePoint]:
    ranking = result.preview("velocity") or result.cumulative_displacement()
    if ranking is None:
        return []
    return choose_points(ranking, result.read_ranking, quality=result.preview("quality"), reference=result.reference)


def _title(result: ResultFolder) -> str:
    return f"Displacement time series: {Path(str(result.inputs.get('path', 'result'))).name or 'result'}"


def _subtitle(result: ResultFolder) -> str:
    if not result.dates:
        return "Line-of-sight displacement from SAR interferograms"
    return (
        f"Line-of-sight displacement from SAR interferograms, {result.dates[0]:%d %B %Y} to "
        f"{result.dates[-1]:%d %B %Y}, {len(result.dates)} dates"
    )


def _key_figures(result: ResultFolder) -> list[tuple[str, str]]:
    inputs = result.inputs
    sensor = inputs.get("acquisition") or {}
    facts = [("Stack", f"{inputs.get('path', 'unknown')} ({inputs.get('processor', 'unknown processor')})")]
    wavelength = inputs.get("wavelength_m")
    described = [str(sensor[name]) for name in ("platform", "orbit_direction") if sensor.get(name)]
    described += [f"wavelength {100 * wavelength:.2f} cm"] if isinstance(wavelength, float) else []
    if described:
        facts.append(("Sensor", ", ".join(described)))
    if result.dates:
        days = (result.dates[-1] - result.dates[0]).days
        facts.append(
            (
                "Period",
                f"{result.dates[0]} to {result.dates[-1]}: {len(result.dates)} dates in {days / 365.25:.2f} years",
            )
        )
    pairs = result.network
    if pairs:
        facts.append(("Interferograms", f"{sum(pair.kept for pair in pairs)} used of {len(pairs)}"))
    elif inputs.get("pairs"):
        facts.append(("Interferograms", str(len(inputs["pairs"]))))
    facts.append(("Grid", described_grid(result.grid)))
    facts += _reference_facts(result)
    if "valid" in result.census:
        facts.append(("Pixels with a result", format_percent(result.census["valid"])))
    for name, label, factor, unit in (
        ("velocity", "Rate", 1e3, "mm/yr"),
        ("velocity_std", "Standard deviation of the rate", 1e3, "mm/yr"),
        ("cumulative_displacement", "Displacement, last minus first date", 1e3, "mm"),
        ("temporal_coherence", "Temporal coherence", 1.0, ""),
        ("mean_coherence", "Mean coherence", 1.0, ""),
        ("residual_rms", "Residual of interferograms", 1e3, "mm"),
    ):
        preview = result.preview(name)
        if preview is not None:
            facts.append((label, described_spread(preview, factor, unit)))
    return facts


def _reference_facts(result: ResultFolder) -> list[tuple[str, str]]:
    told = result.summary.get("reference")
    if not isinstance(told, Mapping):
        return []
    parts = []
    if isinstance(told.get("lon"), float) and isinstance(told.get("lat"), float):
        parts.append(_place(LonLat(told["lon"], told["lat"])))
    if result.reference is not None:
        parts.append(f"row {result.reference.row}, column {result.reference.col}")
    if told.get("how"):
        parts.append(
            {"auto": "chosen automatically", "given": "given", "moved": "moved afterwards"}.get(
                str(told["how"]), str(told["how"])
            )
        )
    if isinstance(told.get("score"), float):
        parts.append(f"score {told['score']:.2f} of 1")
    return [("Reference point", "; ".join(parts))] if parts else []


def _velocity(result: ResultFolder, points: Sequence[ExamplePoint]) -> list[str]:
    body = []
    velocity, displacement = result.preview("velocity"), result.cumulative_displacement()
    if velocity is not None:
        shown = velocity.values * 1e3
        limit = symmetric_limit(shown, least=1.0)
        style = MapStyle("LOS rate (mm/yr), positive toward the satellite", DIVERGING, -limit, limit)
        file = draw_layer(result, "velocity", shown, style, points, width_in=FULL_WIDTH_IN)
        body.append(
            picture(Picture(file, "Rate", f"{_marks(points)}The colour scale leaves out the strongest 2 % of pixels."))
        )
    side_by_side = []
    if displacement is not None:
        shown = displacement.values * 1e3
        limit = symmetric_limit(shown, least=1.0)
        style = MapStyle("LOS displacement (mm)", DIVERGING, -limit, limit)
        file = draw_layer(result, "cumulative_displacement", shown, style)
        side_by_side.append(Picture(file, "Displacement, last minus first date", "Positive toward the satellite."))
    if velocity is not None:
        reliable = _reliable(result, velocity)
        figure = draw_histogram(velocity.values * 1e3, "LOS rate (mm/yr)", reliable=reliable)
        save_figure(figure, result.folder / FIGURES / "velocity_histogram.png")
        side_by_side.append(
            Picture(
                f"{FIGURES}/velocity_histogram.png", "Distribution of the rate", "One percent of pixels is cut off."
            )
        )
    return [*body, pictures(side_by_side)] if side_by_side else body


def _reliable(result: ResultFolder, like: Preview) -> NDArray[np.bool_] | None:
    quality = result.preview("quality")
    if quality is None or quality.values.shape != like.values.shape:
        return None
    flags = np.nan_to_num(quality.values, nan=1.0).astype(np.int64)
    reliable: NDArray[np.bool_] = (flags & UNRELIABLE_FLAGS) == 0
    return reliable


def _marks(points: Sequence[ExamplePoint]) -> str:
    named = [
        f"{name} {point.reason}"
        for name, point in zip(POINT_NAMES, points, strict=False)
        if not point.reason.startswith("reference")
    ]
    return f"Marked: {'; '.join(named)}. " if named else ""


def _series(result: ResultFolder, points: Sequence[ExamplePoint]) -> list[str]:
    series = result.series
    if series is None or not points:
        return []
    panels, rows = [], []
    for letter, point in zip(POINT_NAMES, points, strict=False):
        is_reference = point.pixel == result.reference
        name = "Reference" if is_reference else letter
        displacement = np.asarray(series.displacement_m[:, point.pixel.row, point.pixel.col], dtype=np.float64)
        rate, spread = result.value("velocity", point.pixel), result.value("velocity_std", point.pixel)
        title = name if is_reference else f"{name}  {point.reason}"
        panels.append(SeriesPanel(title, displacement, None if is_reference else rate, spread))
        rows.append(
            (
                name,
                point.reason,
                f"{point.pixel.row}, {point.pixel.col}",
                _place(result.grid.lonlat(point.pixel)),
                fixed_decimals(rate * 1e3, 1),
                fixed_decimals(spread * 1e3, 1),
                fixed_decimals(displacement[-1] * 1e3, 1),
                fixed_decimals(result.value("temporal_coherence", point.pixel), 2),
            )
        )
    save_figure(draw_series(series.dates, panels), result.folder / FIGURES / "timeseries.png")
    header = ("Point", "Why", "Row, column", "Place", "Rate (mm/yr)", "Std", "Displ. (mm)", "Temp. coh.")
    shown = Picture(
        f"{FIGURES}/timeseries.png",
        "Time series of the marked points",
        "Each panel has a scale of its own. Orange: the rate with its standard deviation.",
    )
    return [picture(shown), list_table(header, rows, numbers=(4, 5, 6, 7))]


def _trust(result: ResultFolder) -> list[str]:
    body, side_by_side = [], []
    for name, title, caption, label, factor in (
        (
            "velocity_std",
            "Standard deviation of the rate",
            "From the scatter of the series about its line.",
            "Standard deviation (mm/yr)",
            1e3,
        ),
        (
            "temporal_coherence",
            "Temporal coherence",
            "1: all interferograms agree with the series; below 0.7 they contradict one another.",
            "Temporal coherence",
            None,
        ),
        ("residual_rms", "Residual of interferograms", "What the series leaves unexplained.", "Residual (mm)", 1e3),
        ("mean_coherence", "Mean coherence", "Average over the interferograms used.", "Mean coherence", None),
    ):
        preview = result.preview(name)
        if preview is None:
            continue
        shown = preview.values * (factor or 1.0)
        low, high = (0.0, 1.0) if factor is None else (0.0, max(1e-3, robust_limits(shown)[1]))
        file = draw_layer(result, name, shown, MapStyle(label, SEQUENTIAL, low, high))
        side_by_side.append(Picture(file, title, caption))
    quality = result.preview("quality")
    if quality is not None:
        flags = np.nan_to_num(quality.values, nan=1.0).astype(np.int64)
        save_figure(draw_quality(flags, result.grid), result.folder / FIGURES / "quality.png")
        body.append(
            picture(
                Picture(
                    f"{FIGURES}/quality.png",
                    "Quality flags",
                    "Of each pixel the most serious flag; a pixel may have several, so the shares may add up to more "
                    "than 100 %.",
                )
            )
        )
    return [pictures(side_by_side), *body] if side_by_side else body


def _network(result: ResultFolder) -> list[str]:
    pairs = result.network
    if not pairs:
        return []
    save_figure(draw_network(pairs, result.date_baselines_m), result.folder / FIGURES / "network.png")
    body = [
        picture(
            Picture(
                f"{FIGURES}/network.png",
                "Interferograms",
                "Points are acquisitions, lines interferograms. Dashed ones were not used.",
            )
        )
    ]
    told = result.summary["network"]
    kept = [pair for pair in pairs if pair.kept]
    spans = [(pair.secondary - pair.reference).days for pair in kept]
    baselines = [abs(pair.perpendicular_baseline_m) for pair in kept if pair.perpendicular_baseline_m is not None]
    coherence = [pair.mean_coherence for pair in kept if pair.mean_coherence is not None]
    dates = {day for pair in kept for day in (pair.reference, pair.secondary)}
    facts = [("Interferograms used", f"{len(kept)} of {len(pairs)}, joining {len(dates)} dates")]
    if isinstance(told.get("subsets"), int):
        facts.append(("Connected subsets", f"{told['subsets']}"))
    if spans:
        facts.append(("Temporal baselines", f"{min(spans)} to {max(spans)} days, median {np.median(spans):.0f}"))
    facts.append(
        ("Perpendicular baselines", f"up to {max(baselines):.0f} m, median {np.median(baselines):.0f} m")
        if baselines
        else ("Perpendicular baselines", "unknown")
    )
    facts.append(
        ("Mean coherence", f"{min(coherence):.2f} to {max(coherence):.2f}, median {np.median(coherence):.2f}")
        if coherence
        else ("Mean coherence", "unknown")
    )
    weak = [pair for pair in kept if pair.is_weak_link]
    if weak:
        names = ", ".join(f"{pair.reference:%Y%m%d}_{pair.secondary:%Y%m%d}" for pair in weak)
        facts.append(("Weakest links", f"without any one of these the network falls apart: {names}"))
    body.append(facts_table(facts))
    dropped = [pair for pair in told.get("pairs") or [] if not pair.get("kept", True)]
    if dropped:
        rows = [(str(pair.get("name", "")), str(pair.get("reason") or "not told")) for pair in dropped]
        body.append(folded(f"{len(dropped)} interferograms left out", list_table(("Interferogram", "Why"), rows)))
    return body


def _place(place: LonLat) -> str:
    if not (math.isfinite(place.lon) and math.isfinite(place.lat)):
        return ""
    north, east = "N" if place.lat >= 0 else "S", "E" if place.lon >= 0 else "W"
    return f"{abs(place.lat):.4f}°\N{NO-BREAK SPACE}{north}, {abs(place.lon):.4f}°\N{NO-BREAK SPACE}{east}"
