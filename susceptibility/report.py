"""The page a person looks at first: what was found, how sure that is, and what it rests on. It opens offline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from susceptibility.evaluation import COMPARED, TRAINING, Candidate, ComparisonRow, MetricRow
from susceptibility.figures import title_of
from susceptibility.inventory import CENSUS_MEANINGS, InventoryCensus
from susceptibility.mapping import ClassRow
from susceptibility.metrics import METRICS
from susceptibility.models import MODELS
from susceptibility.page import Cell, Row, figure, render_page, section, table, text_cell
from susceptibility.publishing import write_text
from susceptibility.validation import SCHEMES


@dataclass(frozen=True, slots=True)
class ReportContent:
    """All that the page shows.

    Attributes
    ----------
    title
        Name of the study.
    facts
        Short statements of grid, sample and folds, by what they are about.
    features
        Rows of name, unit, group, description and share of cells where known.
    census
        What became of the inventory.
    metrics, comparisons, classes
        As in the tables of the result.
    figures
        Caption by file, in the order of the page.
    notes
        What a reader must know to read the numbers rightly.
    """

    title: str
    facts: Mapping[str, str]
    features: Sequence[tuple[str, str, str, str, float]]
    census: InventoryCensus
    metrics: Sequence[MetricRow]
    comparisons: Sequence[ComparisonRow]
    classes: Mapping[Candidate, Sequence[ClassRow]]
    figures: Mapping[Path, str]
    notes: Sequence[str]


def write_report(path: Path, content: ReportContent) -> None:
    """Write the page, its pictures inside it."""
    figures = {file.stem: figure(file, caption) for file, caption in content.figures.items()}
    sections = [
        f"<h1>{escape(content.title)}</h1>",
        '<p class="small">Landslide susceptibility</p>',
        *(f'<p class="lead">{escape(sentence)}</p>' for sentence in findings(content.metrics, content.comparisons)),
        section("Susceptibility", figures.pop("maps"), _notes(content.notes)),
        section("Validation: random and spatial side by side", _metric_table(content.metrics), figures.pop("curves")),
    ]
    if content.comparisons:
        sections.append(
            section("Feature sets compared", _comparison_table(content.comparisons), figures.pop("comparison"))
        )
    sections += [
        section("What the models rely on", figures.pop("importance")),
        section("Reliability of the probabilities", figures.pop("reliability")),
        section("Classes", _class_table(content.classes), figures.pop("classes")),
        section("Inventory and folds", _census_table(content.census), *figures.values()),
        section("Features", _feature_table(content.features)),
        section("Study", _fact_table(content.facts)),
    ]
    write_text(path, render_page(content.title, sections))


def findings(metrics: Sequence[MetricRow], comparisons: Sequence[ComparisonRow]) -> list[str]:
    """Say in words which candidate does best under spatial validation, and whether more features helped."""
    sentences = []
    roc = {(row.feature_set, row.model, row.scheme): row for row in metrics if row.metric == COMPARED[0]}
    spatial = [scheme for scheme in SCHEMES if SCHEMES[scheme].is_spatial and any(key[2] == scheme for key in roc)]
    for scheme in spatial:
        best = max((row for key, row in roc.items() if key[2] == scheme), key=lambda row: row.mean)
        random = roc[best.feature_set, best.model, "random"]
        sentences.append(
            f"Under {SCHEMES[scheme].title} validation the best is {MODELS[best.model].title} with "
            f"{title_of(best.feature_set)} features: AUC-ROC {best.mean:.3f} (5-95 % of folds {best.q05:.3f} to "
            f"{best.q95:.3f}). Random folds give it {random.mean:.3f}."
        )
    decisive = [row for row in comparisons if row.difference.metric == COMPARED[0]]
    for other in dict.fromkeys(row.candidate for row in decisive):
        for scheme in spatial:
            sentences.append(
                _gain_sentence([row for row in decisive if row.candidate == other and row.scheme == scheme])
            )
    return sentences


def _gain_sentence(rows: Sequence[ComparisonRow]) -> str:
    first = rows[0]
    what = (
        f"{title_of(first.candidate)} features against {title_of(first.baseline)} under {SCHEMES[first.scheme].title}"
    )
    changes = "; ".join(f"{MODELS[row.model].title} {row.difference.mean:+.3f} ({_interval(row)})" for row in rows)
    verdicts = {row.verdict for row in rows}
    if verdicts == {"no gain"}:
        summary = "no gain"
    elif len(verdicts) == 1:
        summary = f"{first.verdict} with every model"
    else:
        counts = [f"{verdict} with {sum(row.verdict == verdict for row in rows)}" for verdict in sorted(verdicts)]
        summary = ", ".join(counts) + f" of {len(rows)} models"
    return f"{what[0].upper()}{what[1:]} validation: {summary}. AUC-ROC {changes}."


def _interval(row: ComparisonRow) -> str:
    difference = row.difference
    if math.isnan(difference.lower):
        return "no interval from one fold"
    return f"95 % {difference.lower:+.3f} to {difference.upper:+.3f}"


def _notes(notes: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _metric_table(metrics: Sequence[MetricRow]) -> str:
    schemes = [scheme for scheme in (*SCHEMES, TRAINING) if any(row.scheme == scheme for row in metrics)]
    by_key = {(row.feature_set, row.model, row.scheme, row.metric): row for row in metrics}
    candidates = list(dict.fromkeys((row.feature_set, row.model) for row in metrics))
    rows = []
    for scheme in schemes:
        title = f"{SCHEMES[scheme].title} folds" if scheme in SCHEMES else "training cells"
        for place, (feature_set, model) in enumerate(candidates):
            name = Cell(MODELS[model].title, title_of(feature_set), "text")
            heading = Cell(
                title if place == 0 else "", "no validation" if place == 0 and scheme == TRAINING else "", "text"
            )
            values = [_with_spread(by_key[feature_set, model, scheme, metric]) for metric in METRICS]
            rows.append(Row([heading, name, *values], starts_group=place == 0))
    caption = (
        '<p class="small">Mean, and below it the standard deviation over folds, repeats and draws. Classes at '
        "probability 0.5. AUC-PR and CSI depend on the prevalence beside them, which is that of the sample, not of the "
        "area.</p>"
    )
    return table(["scored on", "model", *(metric.title for metric in METRICS.values())], rows) + caption


def _with_spread(row: MetricRow) -> Cell:
    return Cell(f"{row.mean:.3f}", "" if math.isnan(row.std) else f"± {row.std:.3f}")


def _comparison_table(comparisons: Sequence[ComparisonRow]) -> str:
    by_key = {(row.model, row.scheme, row.candidate, row.difference.metric): row for row in comparisons}
    pairs = list(dict.fromkeys((row.candidate, row.scheme, row.model) for row in comparisons))
    rows = []
    for place, (candidate, scheme, model) in enumerate(pairs):
        compared = [by_key[model, scheme, candidate, metric] for metric in COMPARED]
        rows.append(
            Row(
                [
                    text_cell(f"{title_of(candidate)} - {title_of(compared[0].baseline)}"),
                    text_cell(SCHEMES[scheme].title),
                    text_cell(MODELS[model].title),
                    *(Cell(f"{row.difference.mean:+.4f}", _bounds(row), _style_of(row)) for row in compared),
                    Cell(compared[0].verdict, style=_style_of(compared[0])),
                ],
                starts_group=place > 0 and pairs[place - 1][:2] != (candidate, scheme),
            )
        )
    caption = (
        '<p class="small">Paired differences on the same cells and folds, and below them 95 % intervals that allow for '
        "folds sharing their training cells (Nadeau and Bengio, 2003). A gain is claimed only where the interval of "
        "AUC-ROC excludes zero. A lower Brier score is better.</p>"
    )
    header = ["features", "folds", "model", *(METRICS[metric].title for metric in COMPARED), "verdict"]
    return table(header, rows) + caption


def _bounds(row: ComparisonRow) -> str:
    return "" if math.isnan(row.difference.lower) else f"{row.difference.lower:+.3f} to {row.difference.upper:+.3f}"


def _style_of(row: ComparisonRow) -> str:
    return "" if row.verdict == "no gain" else row.verdict


def _class_table(classes: Mapping[Candidate, Sequence[ClassRow]]) -> str:
    rows = [
        Row(
            [
                text_cell(MODELS[candidate.model].title),
                text_cell(title_of(candidate.feature_set)),
                Cell(f"{row.number} ({row.lower:g} to {row.upper:g})"),
                Cell(f"{row.area_km2:.3f}"),
                Cell(_number(100.0 * row.area_share, ".1f")),
                Cell(f"{row.landslide_cells}"),
                Cell(_number(100.0 * row.landslide_share, ".1f")),
                Cell(_number(row.density_per_km2, ".2f")),
                Cell(_number(row.frequency_ratio, ".2f")),
            ],
            starts_group=place == 0,
        )
        for candidate, members in classes.items()
        for place, row in enumerate(members)
    ]
    columns = "model|features|class|area, km²|area, %|landslide cells|of them, %|cells per km²|frequency ratio"
    caption = (
        '<p class="small">Landslide cells include those the models were trained on: this describes the map, it does '
        "not validate it. Frequency ratio: share of the landslide cells over share of the area.</p>"
    )
    listed = table(columns.split("|"), rows)
    return f"<details><summary>Area and landslide density of each class</summary>{listed}</details>{caption}"


def _census_table(census: InventoryCensus) -> str:
    rows = [Row([text_cell(CENSUS_MEANINGS[name]), Cell(str(count))]) for name, count in census.as_dict().items()]
    return table(["inventory", "count"], rows)


def _feature_table(features: Sequence[tuple[str, str, str, str, float]]) -> str:
    rows = [
        Row([text_cell(name), text_cell(unit), text_cell(group), text_cell(meaning), Cell(f"{100.0 * share:.1f}")])
        for name, unit, group, meaning, share in features
    ]
    return table(["feature", "unit", "from", "meaning", "cells known, %"], rows)


def _fact_table(facts: Mapping[str, str]) -> str:
    return table(["", ""], [Row([text_cell(name), Cell(value, style="text wide")]) for name, value in facts.items()])


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def as_facts(values: Mapping[str, Any]) -> dict[str, str]:
    """Facts as text."""
    return {name: str(value) for name, value in values.items()}
