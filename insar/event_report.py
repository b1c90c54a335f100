"""``report.html`` of event layers: coherence, damage and backscatter, made from a finished result folder alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from insar.backscatter_work import HISTOGRAM_LIMITS_DB
from insar.figures import (
    DIVERGING,
    FIGURES,
    FULL_WIDTH_IN,
    HALF_WIDTH_IN,
    RED_IS_POSITIVE,
    SEQUENTIAL,
    format_percent,
    robust_limits,
    save_figure,
    symmetric_limit,
)
from insar.figures_backscatter import draw_differences
from insar.figures_events import ImageRow, PairBar, draw_images, draw_null_test, draw_pairs
from insar.maps import MapClass, MapStyle, draw_classes, shade_relief
from insar.report_layers import draw_layer
from insar.report_page import (
    Finding,
    Level,
    Picture,
    Section,
    facts_table,
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
from insar.result import ResultFolder

LOSS_CLASSES = (MapClass(1, "no loss of coherence", "#f4f4f4"), MapClass(2, "loss of coherence", "#d55e00"))
VISIBILITY_CLASSES = (
    MapClass(1, "good", "#f4f9f4"),
    MapClass(2, "foreshortening", "#56b4e9"),
    MapClass(3, "layover", "#d55e00"),
    MapClass(4, "shadow", "#333333"),
)

_TITLES = {
    "coherence": "Coherence",
    "damage": "Damage at an event",
    "backscatter": "Backscatter before and after an event",
}

_TOLD = frozenset(
    {
        "timing_seconds",
        "false_alarms",
        "pairs",
        "chosen",
        "available",
        "images",
        "notes",
        "histogram_matching",
        "estimate",
        "siblings",
        "sums",
        "visibility",
        "windows",
    }
)

_WIDE_AWAY = 1.5
"""How many times the promised rate of false alarms null pairs may reach before the page warns."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """How a layer is shown: caption, and the colours of its map."""

    title: str
    caption: str
    label: str
    colours: str = SEQUENTIAL
    limits: tuple[float, float] | None = None


_LAYERS = {
    "mean_coherence": _Shown("Mean coherence", "Average over the pairs.", "Coherence", limits=(0.0, 1.0)),
    "seasonal_coherence": _Shown(
        "Coherence of the season", "Median over the pairs within it.", "Coherence", limits=(0.0, 1.0)
    ),
    "amplitude_mean": _Shown(
        "Amplitude of the season",
        "Mean over the images within it, 20 log10, in the images' own unit.",
        "Amplitude (dB)",
    ),
    "siblings": _Shown(
        "Siblings", "Pixels alike in amplitude that the sibling coherence is summed over.", "Number of siblings"
    ),
    "damage_proxy": _Shown(
        "Damage proxy",
        "Coherence before the event minus coherence across it: positive where coherence was lost.",
        "Damage proxy",
        RED_IS_POSITIVE,
    ),
    "damage_zscore": _Shown(
        "Damage in standard deviations",
        "The loss over the standard deviation that pairs before the event have at the pixel.",
        "Standard deviations",
        RED_IS_POSITIVE,
    ),
    "boxcar_sibling": _Shown(
        "Boxcar minus sibling coherence",
        "Negative where a pixel lost more coherence than the pixels around that are like it; what changed everywhere "
        "cancels.",
        "Bx-S",
        DIVERGING,
    ),
    "coherence_recovery": _Shown(
        "Coherence recovery", "After the event minus across it: positive where it came back.", "PECI", RED_IS_POSITIVE
    ),
    "coherence_change_sum": _Shown("Sum of loss and recovery", "", "Sum", RED_IS_POSITIVE),
    "coherence_change_max": _Shown("Larger of loss and recovery", "", "Maximum", RED_IS_POSITIVE),
    "coherence_pre": _Shown("Coherence before the event", "", "Coherence", limits=(0.0, 1.0)),
    "coherence_co": _Shown("Coherence across the event", "", "Coherence", limits=(0.0, 1.0)),
    "coherence_post": _Shown("Coherence after the event", "", "Coherence", limits=(0.0, 1.0)),
}


def write_event_report(folder: Path) -> Path:
    """Write ``report.html`` and ``figures/*.png`` into a finished result folder of event layers.

    Returns
    -------
    Path
        The page. It opens offline.

    Raises
    ------
    MissingInputError
        The folder has no manifest.
    InputError
        The manifest or a layer is damaged.
    """
    result = ResultFolder(folder)
    (folder / FIGURES).mkdir(exist_ok=True)
    product = str(result.summary.get("product"))
    sections = [
        Section("summary", "Key figures", [facts_table(_key_figures(result))]),
        Section("layers", "Layers", _maps(result)),
        Section("differences", "How often each difference occurs", _differences(result)),
        Section("significance", "Where the loss is significant", _significance(result)),
        Section("terrain", "Layover and shadow", _visibility(result)),
        Section("pairs", "Pairs", _pairs(result)),
        Section("images", "Images", _images(result)),
        Section("timeline", "When each layer became available", _available(result)),
        Section("files", "Layers and files", list_files(result)),
        Section("processing", "Processing", describe_processing(result, _TOLD)),
    ]
    name = Path(str(result.inputs.get("path", ""))).name
    title = f"{_TITLES[product]}: {name}" if name else _TITLES[product]
    return write_page(folder, render_page(title, _subtitle(result), _findings(result), sections, report_footer(result)))


def _subtitle(result: ResultFolder) -> str:
    event = result.summary.get("event")
    days = [date.fromisoformat(day) for day in result.inputs.get("dates") or []]
    parts = [f"Event of {date.fromisoformat(str(event)):%d %B %Y}"] if event else []
    if days:
        parts.append(f"{len(days)} dates from {min(days):%d %B %Y} to {max(days):%d %B %Y}")
    return "; ".join(parts)


def _key_figures(result: ResultFolder) -> list[tuple[str, str]]:
    inputs, summary = result.inputs, result.summary
    facts = [("Input", f"{inputs.get('path', 'unknown')} ({inputs.get('processor', 'files')})")]
    if inputs.get("polarisation"):
        facts.append(("Polarisation", str(inputs["polarisation"])))
    facts.append(("Grid", described_grid(result.grid)))
    estimate = summary.get("estimate")
    if isinstance(estimate, Mapping):
        facts.append(
            (
                "Coherence of noise",
                f"{estimate['coherence_of_noise']:.2f} on average where there is none, from {estimate['samples']} "
                "samples, all taken as independent; oversampled images have fewer, and it is higher",
            )
        )
    siblings = summary.get("siblings")
    if isinstance(siblings, Mapping) and siblings.get("mean_count") is not None:
        facts.append(
            ("Siblings", f"{siblings['mean_count']:.0f} on average, chosen by {len(siblings['history'])} images")
        )
    for name, layer in result.layers.items():
        if "/" in name or layer.get("dtype") != "float32" or name in ("height", "incidence_angle"):
            continue
        preview = result.preview(name)
        if preview is not None:
            unit = "" if layer.get("unit") == "1" else str(layer.get("unit"))
            facts.append((name, described_spread(preview, 1.0, unit)))
    return facts


def _findings(result: ResultFolder) -> list[Finding]:
    notes = [*(result.inputs.get("notes") or []), *(result.summary.get("notes") or [])]
    found = [Finding(Level.NOTE, str(note)) for note in dict.fromkeys(notes)]
    tested = result.summary.get("false_alarms")
    if isinstance(tested, Mapping):
        promised = float(tested["promised_rate"])
        wide = [pair for pair in tested["null_pairs"] if float(pair["achieved"]) > _WIDE_AWAY * promised]
        if wide:
            listed = ", ".join(f"{pair['pair']} {format_percent(float(pair['achieved']))}" for pair in wide)
            found.append(
                Finding(
                    Level.WARNING,
                    f"Pairs before the event have more false alarms than the {format_percent(promised)} promised: "
                    f"{listed}. What the mask shows beyond the event may be of that kind.",
                )
            )
    return found


def _maps(result: ResultFolder) -> list[str]:
    names = [name for name in _LAYERS if name in result.layers]
    names += [name for name in result.layers if name.split("_")[0] in ("vv", "vh", "hh", "hv")]
    shown: list[Picture] = []
    for name in names:
        style = _LAYERS.get(name) or _backscatter_style(name, result)
        preview = result.preview(name)
        if preview is None:
            continue
        if style.colours != SEQUENTIAL:
            limit = symmetric_limit(preview.values, least=1e-3)
            limits = (-limit, limit)
        else:
            limits = style.limits or robust_limits(preview.values)
        file = draw_layer(
            result,
            name,
            preview.values,
            MapStyle(style.label, style.colours, *limits),
            width_in=FULL_WIDTH_IN if not shown else HALF_WIDTH_IN,
        )
        shown.append(Picture(file, style.title, style.caption))
    return [picture(shown[0]), pictures(shown[1:])] if shown else []


def _backscatter_style(name: str, result: ResultFolder) -> _Shown:
    layer = result.layers[name]
    meaning = str(layer.get("description", name))
    if "_difference" in name:
        return _Shown(meaning, "Positive where brighter after the event.", f"{name} (dB)", DIVERGING)
    return _Shown(meaning, "", f"{name} (dB)")


def _significance(result: ResultFolder) -> list[str]:
    preview = result.preview("damage_significant")
    tested = result.summary.get("false_alarms")
    if preview is None or not isinstance(tested, Mapping):
        return []
    promised = float(tested["promised_rate"])
    save_figure(
        draw_classes(preview.values, result.grid, LOSS_CLASSES), result.folder / FIGURES / "damage_significant.png"
    )
    save_figure(draw_null_test(tested), result.folder / FIGURES / "null_test.png")
    rows = [
        (
            str(pair["pair"]),
            f"{int(pair['pixels']):,}",
            fixed_decimals(100 * promised, 2),
            fixed_decimals(100 * float(pair["achieved"]), 2),
        )
        for pair in tested["null_pairs"]
    ]
    return [
        picture(
            Picture(
                f"{FIGURES}/damage_significant.png",
                "Significant loss of coherence",
                f"At a false-alarm rate of {format_percent(promised)}: so many pixels are marked where nothing "
                "happened. Changes of whole regions, as by rain or snow, are taken out before.",
            )
        ),
        paragraph(
            f"The test was tried on the pairs before the event: each was taken for the event, and judged by what the "
            f"others had shown. On average it called {format_percent(float(tested['achieved_rate']))} of their pixels "
            f"a loss, where {format_percent(promised)} was promised. Across the event it marks "
            f"{format_percent(float(tested['event_share']))}."
        ),
        picture(
            Picture(
                f"{FIGURES}/null_test.png",
                "Losses where nothing happened, and across the event",
                "Left: how far losses lie from what is usual for such coherence and such surroundings. Right: the "
                "share of pixels that the test calls a loss in each pair before the event, and across it.",
            )
        ),
        list_table(
            ("Pair taken for the event", "Pixels", "Promised (%)", "Called a loss (%)"), rows, numbers=(1, 2, 3)
        ),
    ]


def _differences(result: ResultFolder) -> list[str]:
    sums = result.summary.get("sums")
    counts = {
        name.removesuffix("_histogram"): counted
        for name, counted in (sums.items() if isinstance(sums, Mapping) else ())
        if "_difference" in name and name.endswith("_histogram")
    }
    if not counts:
        return []
    figure = draw_differences(counts, HISTOGRAM_LIMITS_DB)
    save_figure(figure, result.folder / FIGURES / "differences.png")
    caption = "After the event minus before it. Most of a scene does not change: its differences lie around zero."
    return [picture(Picture(f"{FIGURES}/differences.png", "Differences", caption))]


def _visibility(result: ResultFolder) -> list[str]:
    body = []
    for name in ("visibility", "visibility_ascending", "visibility_descending"):
        preview = result.preview(name)
        if preview is None:
            continue
        height = result.preview("height")
        relief = None if height is None else shade_relief(height.values, result.grid)
        figure = draw_classes(preview.values, result.grid, VISIBILITY_CLASSES, relief=relief)
        save_figure(figure, result.folder / FIGURES / f"{name}.png")
        orbit = name.removeprefix("visibility").removeprefix("_")
        title = f"What the radar sees, {orbit} pass" if orbit else "What the radar sees"
        body.append(
            picture(Picture(f"{FIGURES}/{name}.png", title, "Backscatter in layover and shadow is not of one place."))
        )
    return body


def _pairs(result: ResultFolder) -> list[str]:
    chosen = result.summary.get("chosen")
    event = result.summary.get("event")
    bars: list[PairBar] = []
    if isinstance(chosen, Mapping):
        known: dict[str, str] = {}
        for group in ("history", "pre", "co", "post"):
            known |= dict.fromkeys(chosen.get(group) or [], group)
        bars = [_bar(name, group) for name, group in known.items()]
    elif isinstance(result.summary.get("pairs"), Sequence):
        season = set(result.summary.get("season_pairs") or [])
        bars = [
            _bar(str(pair["name"]), "season" if pair["name"] in season else "pair", pair.get("mean_coherence"))
            for pair in result.summary["pairs"]
        ]
    if not bars:
        return []
    figure = draw_pairs(bars, None if event is None else date.fromisoformat(str(event)))
    save_figure(figure, result.folder / FIGURES / "pairs.png")
    caption = "Each bar goes from one date of a pair to the other."
    body = [picture(Picture(f"{FIGURES}/pairs.png", "Pairs", caption))]
    if isinstance(chosen, Mapping):
        body.append(
            facts_table(
                (meaning, ", ".join(chosen.get(group) or []) or "none")
                for group, meaning in (
                    ("pre", "Before the event"),
                    ("co", "Across the event"),
                    ("post", "After the event"),
                    ("history", "History that the loss is judged by"),
                )
            )
        )
    return body


def _bar(name: str, group: str, mean_coherence: float | None = None) -> PairBar:
    first, second = name.split("_")
    return PairBar(date.fromisoformat(first), date.fromisoformat(second), group, mean_coherence)


def _images(result: ResultFolder) -> list[str]:
    groups = result.summary.get("images")
    event = result.summary.get("event")
    if not isinstance(groups, Sequence) or event is None or not groups:
        return []
    rows = [
        ImageRow(
            str(group["name"]),
            *(tuple(date.fromisoformat(day) for day in group.get(kind) or []) for kind in ("dates", "pre", "post")),
        )
        for group in groups
    ]
    figure = draw_images(rows, date.fromisoformat(str(event)))
    save_figure(figure, result.folder / FIGURES / "images.png")
    return [
        picture(Picture(f"{FIGURES}/images.png", "Images", "Those before and after the event are in colour.")),
        list_table(
            ("Images", "Dates", "Before", "After"),
            [(row.name, str(len(row.days)), str(len(row.pre)), str(len(row.post))) for row in rows],
            numbers=(1, 2, 3),
        ),
    ]


def _available(result: ResultFolder) -> list[str]:
    available, event = result.summary.get("available"), result.summary.get("event")
    if not isinstance(available, Mapping) or event is None:
        return []
    on = date.fromisoformat(str(event))
    days = {name: date.fromisoformat(str(day)) for name, day in available.items()}
    steps: dict[date, list[str]] = {}
    for name, day in sorted(days.items(), key=lambda entry: (entry[1], entry[0])):
        steps.setdefault(day, []).append(name)
    return [
        list_table(
            ("Date", "Days after the event", "Layers"),
            [(f"{day}", str((day - on).days), ", ".join(names)) for day, names in steps.items()],
            numbers=(1,),
        ),
        paragraph(
            "A layer is available with the last acquisition that it needs. `insar timeline` puts the results of "
            "several tracks and sensors in one order."
        ),
    ]
