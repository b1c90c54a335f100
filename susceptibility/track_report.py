"""The page on susceptibility through time: what changed, where, and what moved it. It opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from pathlib import Path

from susceptibility.page import Cell, Row, figure, render_page, section, table, text_cell
from susceptibility.publishing import write_text
from susceptibility.tracking import EpochRow, Track

_MOST_ROWS = 40
_MOST_PLACES = 20


def write_track_report(
    path: Path,
    track: Track,
    *,
    title: str,
    name: str,
    threshold: float,
    class_labels: Sequence[str],
    figures: Mapping[Path, str],
) -> None:
    """Write the page, its pictures inside it.

    Parameters
    ----------
    path
        HTML to write.
    track
        From `track_susceptibility`.
    title, name
        Of the study, and of the model with its feature set.
    threshold
        Change that counts.
    class_labels
        Of the classes.
    figures
        Caption by file: ``epochs``, ``change`` and ``places``.
    """
    pictures = {file.stem: figure(file, caption) for file, caption in figures.items()}
    sections = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="small">Susceptibility through time, {escape(name)}</p>',
        *(f'<p class="lead">{escape(sentence)}</p>' for sentence in findings(track, threshold)),
        section("Maps", pictures["epochs"]),
        section("What changed, and what moved it", pictures["change"], _note(_ATTRIBUTION)),
        section("Places that rose most", _place_table(track), pictures.get("places", ""), _note(_RANKING)),
        section("Epochs", _epoch_table(track, class_labels), _skipped(track.skipped)),
        section("How to read this", _warning_list(track)),
    ]
    write_text(path, render_page(title, sections))


_ATTRIBUTION = (
    "The change of each place is divided among the layers that changed by Shapley values: the mean effect of a layer "
    "over all orders in which the layers could have changed. The parts add up to the change. They say what moved the "
    "model, not what moves the slope."
)
_RANKING = (
    "Cells that rose by the threshold or more and touch each other are one place. Ranked by rise times area. Before "
    "and after are means over the place. All places that are listed are in rising.gpkg."
)


def findings(track: Track, threshold: float) -> list[str]:
    """Say in words what changed."""
    first, last = track.table[0], track.table[-1]
    sentences = [
        f"From {first.date:%Y-%m-%d} to {last.date:%Y-%m-%d}, in {len(track.epochs)} epochs, susceptibility rose by "
        f"{threshold:g} or more on {last.rose_km2:.3g} km2 ({last.rose} mapping units) and fell by as much on "
        f"{last.fell_km2:.3g} km2 ({last.fell}), of {last.area_km2:.4g} km2 mapped."
    ]
    moved = {layer: count for layer, count in last.drivers.items() if count}
    if moved:
        total = sum(moved.values())
        parts = ", ".join(
            f"{layer.replace('_', ' ')} {100.0 * count / total:.0f} %"
            for layer, count in sorted(moved.items(), key=lambda item: -item[1])
        )
        sentences.append(f"What moved it most, by share of the mapping units that changed: {parts}.")
    if track.rising.places:
        place = track.rising.places[0]
        sentences.append(
            f"Places that rose: {track.rising.count}. The foremost lies at latitude {place.lat:.5f}, "
            f"longitude {place.lon:.5f}: {place.area_m2 / 1e4:.3g} ha from {place.before:.2f} to {place.after:.2f}, "
            f"moved by {place.driver.replace('_', ' ')}."
        )
    else:
        sentences.append("No place rose by that much.")
    return sentences


def _place_table(track: Track) -> str:
    columns = [
        "place",
        "latitude",
        "longitude",
        "area, ha",
        "mapping units",
        "before",
        "after",
        "largest rise",
        "moved by",
    ]
    rows = [
        Row(
            [
                Cell(str(place.number)),
                Cell(f"{place.lat:.5f}"),
                Cell(f"{place.lon:.5f}"),
                Cell(f"{place.area_m2 / 1e4:.3g}"),
                Cell(str(place.rows)),
                Cell(f"{place.before:.3f}"),
                Cell(f"{place.after:.3f}"),
                Cell(f"{place.largest_rise:+.3f}"),
                text_cell(place.driver.replace("_", " ")),
            ]
        )
        for place in track.rising.places[:_MOST_PLACES]
    ]
    return table(columns, rows) if rows else '<p class="small">None.</p>'


def _epoch_table(track: Track, class_labels: Sequence[str]) -> str:
    columns = ["date", "dates used", "mean", "rose", "rose, km2", "fell", "landslides, mean", *class_labels]
    shown: list[EpochRow] = list(track.table)
    if len(shown) > _MOST_ROWS:
        step = -(-len(shown) // _MOST_ROWS)
        shown = sorted({*shown[::step], shown[-1]}, key=lambda row: row.date)
    rows = [
        Row(
            [
                text_cell(f"{row.date:%Y-%m-%d}"),
                Cell(str(row.dates_used)),
                Cell(f"{row.mean:.4f}"),
                Cell(str(row.rose)),
                Cell(f"{row.rose_km2:.3g}"),
                Cell(str(row.fell)),
                Cell(f"{row.landslide_mean:.3f}" if row.landslides else "-"),
                *(Cell(f"{area:.4g}") for area in row.class_km2),
            ]
        )
        for row in shown
    ]
    said = "Rose and fell against the first epoch, in mapping units; the last columns are areas of the classes in km2."
    return table(columns, rows) + _note(f"{said} All epochs are in track.csv.")


def _skipped(skipped: Mapping[date, str]) -> str:
    if not skipped:
        return ""
    items = "".join(f"<li>{day:%Y-%m-%d}: {escape(reason)}</li>" for day, reason in sorted(skipped.items()))
    return f"<details><summary>{len(skipped)} dates without a map</summary><ul>{items}</ul></details>"


def _warning_list(track: Track) -> str:
    agreement = "; ".join(
        f"{name} {largest:.2g} {track.columns.data.feature(name).unit}"
        for name, (largest, _) in track.differences.items()
    )
    told = [
        "Largest difference, at the last epoch, of what the time series tells from the layers of the result: "
        f"{agreement}.",
        *(warning if warning.endswith("?") else f"{warning}." for warning in track.warnings),
        "The model was trained once, with what InSAR knew at the last epoch; it is the same at every epoch.",
    ]
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in told) + "</ul>"


def _note(text: str) -> str:
    return f'<p class="small">{escape(text)}</p>'
