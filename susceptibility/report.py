"""The page a person looks at first: what was found, how sure that is, and what it rests on. It opens offline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from susceptibility.classes import LandslideMeasure
from susceptibility.comparison import decisive_metric
from susceptibility.design import Candidate
from susceptibility.evaluation import TRAINING, ComparisonRow, MetricRow
from susceptibility.figures import title_of, title_of_metric
from susceptibility.inventory import CENSUS_MEANINGS, InventoryCensus
from susceptibility.map_work import MappedCandidate
from susceptibility.metrics import metrics_of
from susceptibility.models import MODELS
from susceptibility.page import Cell, Row, figure, render_page, section, table, text_cell
from susceptibility.partitions import SCHEMES
from susceptibility.publishing import write_text
from susceptibility.schema import Task


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
        What became of the inventory; None for a table that was given.
    metrics, comparisons, searches, confusions
        As in the tables of the result.
    maps
        By candidate.
    warnings
        What speaks against believing the scores.
    figures
        Caption by file, in the order of the page.
    notes
        What a reader must know to read the numbers rightly.
    task
        Whether a probability or a density is predicted.
    """

    title: str
    facts: Mapping[str, str]
    features: Sequence[tuple[str, str, str, str, float]]
    census: InventoryCensus | None
    metrics: Sequence[MetricRow]
    comparisons: Sequence[ComparisonRow]
    maps: Mapping[Candidate, MappedCandidate]
    searches: Sequence[Mapping[str, Any]]
    confusions: Sequence[Mapping[str, Any]]
    warnings: Sequence[str]
    figures: Mapping[Path, str]
    notes: Sequence[str]
    task: Task


def write_report(path: Path, content: ReportContent) -> None:
    """Write the page, its pictures inside it."""
    figures = {file.stem: figure(file, caption) for file, caption in content.figures.items()}

    def picture(*names: str) -> list[str]:
        return [figures.pop(name) for name in names if name in figures]

    shap = [name for name in figures if name.startswith("shap_")]
    sections = [
        f"<h1>{escape(content.title)}</h1>",
        '<p class="small">Landslide susceptibility</p>',
        *(f'<p class="lead">{escape(sentence)}</p>' for sentence in findings(content)),
        *(f'<p class="lead warning">{escape(sentence)}</p>' for sentence in content.warnings),
        section("Susceptibility", *picture("maps", "profiles"), _notes(content.notes)),
        section(
            "Validation: random and spatial side by side",
            _metric_table(content),
            *picture("curves", "rates"),
            _confusion_table(content.confusions),
        ),
    ]
    if content.comparisons:
        sections.append(
            section("Feature sets compared", _comparison_table(content.comparisons), *picture("comparison"))
        )
    if content.searches:
        sections.append(section("Hyperparameters", _search_table(content.searches)))
    sections += [
        section("What the models rely on", *picture("importance", "ablation", *shap, "dependence")),
        section(
            "How far the predictions can be taken at their word", *picture("reliability", "densities", "applicability")
        ),
        section(
            "Classes", *picture("class_map", "classes"), _class_table(content.maps), _plausibility_table(content.maps)
        ),
        section(
            "Inventory and folds",
            "" if content.census is None else _census_table(content.census),
            *figures.values(),
        ),
        section("Features", _feature_table(content.features)),
        section("Study", _fact_table(content.facts)),
    ]
    write_text(path, render_page(content.title, sections))


def findings(content: ReportContent) -> list[str]:
    """Say in words which candidate does best under spatial validation, and whether more features helped."""
    sentences = []
    decisive = decisive_metric(content.task)
    name = metrics_of(content.task)[decisive].title
    scores = {(row.feature_set, row.model, row.scheme): row for row in content.metrics if row.metric == decisive}
    spatial = [scheme for scheme in SCHEMES if SCHEMES[scheme].is_spatial and any(key[2] == scheme for key in scores)]
    for scheme in spatial:
        known = [row for key, row in scores.items() if key[2] == scheme and not math.isnan(row.mean)]
        if not known:
            continue
        best = max(known, key=lambda row: row.mean)
        random = scores[best.feature_set, best.model, "random"]
        sentences.append(
            f"Under {SCHEMES[scheme].title} validation the best is {MODELS[best.model].title} with "
            f"{title_of(best.feature_set)} features: {name} {best.mean:.3f} (5-95 % of folds {best.q05:.3f} to "
            f"{best.q95:.3f}). Random folds give it {random.mean:.3f}."
        )
    compared = [row for row in content.comparisons if row.difference.metric == decisive]
    for other in dict.fromkeys(row.candidate for row in compared):
        for scheme in spatial:
            rows = [row for row in compared if row.candidate == other and row.scheme == scheme]
            if rows:
                sentences.append(_gain_sentence(rows, name))
    return sentences


def _gain_sentence(rows: Sequence[ComparisonRow], metric: str) -> str:
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
    return f"{what[0].upper()}{what[1:]} validation: {summary}. {metric} {changes}."


def _interval(row: ComparisonRow) -> str:
    difference = row.difference
    if math.isnan(difference.lower):
        return "no interval from one fold"
    return f"95 % {difference.lower:+.3f} to {difference.upper:+.3f}"


def _notes(notes: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _metric_table(content: ReportContent) -> str:
    metrics = content.metrics
    shown = [metric for metric in metrics_of(content.task).values() if metric.kind != "chosen"]
    schemes = [scheme for scheme in (*SCHEMES, TRAINING) if any(row.scheme == scheme for row in metrics)]
    by_key = {(row.feature_set, row.model, row.scheme, row.metric): row for row in metrics}
    candidates = list(dict.fromkeys((row.feature_set, row.model) for row in metrics))
    rows = []
    for scheme in schemes:
        title = f"{SCHEMES[scheme].title} folds" if scheme in SCHEMES else "training rows"
        for place, (feature_set, model) in enumerate(candidates):
            name = Cell(MODELS[model].title, title_of(feature_set), "text")
            heading = Cell(
                title if place == 0 else "", "no validation" if place == 0 and scheme == TRAINING else "", "text"
            )
            values = [_with_spread(by_key[feature_set, model, scheme, metric.name]) for metric in shown]
            rows.append(Row([heading, name, *values], starts_group=place == 0))
    classes = "Classes at probability 0.5. " if content.task is Task.CLASSIFICATION else ""
    caption = (
        f'<p class="small">Mean, and below it the standard deviation over folds, repeats and draws. {classes}'
        "AUC-PR and CSI depend on the prevalence beside them, which is that of the sample, not of the area.</p>"
    )
    return table(["scored on", "model", *(metric.title for metric in shown)], rows) + caption


def _confusion_table(confusions: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        Row(
            [
                text_cell(SCHEMES[each["scheme"]].title),
                text_cell(MODELS[each["model"]].title),
                text_cell(title_of(each["feature_set"])),
                Cell(f"{each['threshold']:.3g}", each["at"]),
                *(
                    Cell(f"{each[name]:,.0f}")
                    for name in ("true_positives", "false_negatives", "false_positives", "true_negatives")
                ),
            ]
        )
        for each in confusions
    ]
    if not rows:
        return ""
    columns = "folds|model|features|threshold|landslides called|landslides missed|others called|others not called"
    caption = (
        '<p class="small">Held-out rows, added up over folds, repeats and draws. The chosen threshold makes '
        "sensitivity plus specificity largest on the training rows of each fold; its mean is stated.</p>"
    )
    listed = table(columns.split("|"), rows)
    return f"<details><summary>Confusion at the fixed and at a chosen threshold</summary>{listed}{caption}</details>"


def _search_table(searches: Sequence[Mapping[str, Any]]) -> str:
    chosen = [each for each in searches if each["is_chosen"]]
    rows = [
        Row(
            [
                text_cell(MODELS[each["model"]].title),
                text_cell(title_of(each["feature_set"])),
                Cell(str(each["draw"] + 1)),
                text_cell(each["values"]),
                Cell(f"{each['mean']:.3f}", "" if math.isnan(each["std"]) else f"± {each['std']:.3f}"),
            ]
        )
        for each in chosen
    ]
    caption = (
        f'<p class="small">Chosen of {len(searches)} trials by folds within the training rows; all trials are in '
        "search.csv. Within the validation above the choice was made anew in every fold.</p>"
    )
    return table(["model", "features", "draw", "chosen", "score within"], rows) + caption


def _with_spread(row: MetricRow) -> Cell:
    return Cell(f"{row.mean:.3f}", "" if math.isnan(row.std) else f"± {row.std:.3f}")


def _comparison_table(comparisons: Sequence[ComparisonRow]) -> str:
    by_key = {(row.model, row.scheme, row.candidate, row.difference.metric): row for row in comparisons}
    pairs = list(dict.fromkeys((row.candidate, row.scheme, row.model) for row in comparisons))
    metrics = list(dict.fromkeys(row.difference.metric for row in comparisons))
    rows = []
    for place, (candidate, scheme, model) in enumerate(pairs):
        compared = [by_key[model, scheme, candidate, metric] for metric in metrics]
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
        '<p class="small">Paired differences on the same rows and folds, and below them 95 % intervals over places, '
        "since rows near each other are no independent evidence, and wide enough for folds that share their training "
        f"rows. A gain is claimed only where the interval of {title_of_metric(metrics[0])} excludes zero. Of Brier "
        "score and RMSE lower is better.</p>"
    )
    header = ["features", "folds", "model", *map(title_of_metric, metrics), "verdict"]
    return table(header, rows) + caption


def _bounds(row: ComparisonRow) -> str:
    return "" if math.isnan(row.difference.lower) else f"{row.difference.lower:+.3f} to {row.difference.upper:+.3f}"


def _style_of(row: ComparisonRow) -> str:
    return "" if row.verdict == "no gain" else row.verdict


def _class_table(maps: Mapping[Candidate, MappedCandidate]) -> str:
    first = next(iter(maps.values())).classes
    rows = [
        Row(
            [
                text_cell(MODELS[candidate.model].title),
                text_cell(title_of(candidate.feature_set)),
                Cell(f"{row.number} ({row.lower:.3g} to {row.upper:.3g})", row.label),
                Cell(f"{row.area_km2:.3f}"),
                Cell(_number(100.0 * row.area_share, ".1f")),
                Cell(_amount(row.landslides)),
                Cell(_number(100.0 * row.landslide_share, ".1f")),
                Cell(_number(100.0 * unseen.landslide_share, ".1f")),
                Cell(_number(row.density, ".3g")),
                Cell(_number(row.frequency_ratio, ".2f")),
            ],
            starts_group=place == 0,
        )
        for candidate, mapped in maps.items()
        for place, (row, unseen) in enumerate(zip(mapped.classes.rows, mapped.held_out.rows, strict=True))
    ]
    is_area = first.measure is LandslideMeasure.AREA_M2
    amount, density = ("landslides, m²", "m² per m²") if is_area else ("landslides", "per km²")
    columns = (
        f"model|features|class|area, km²|area, %|{amount}|of them, %|of held-out ones, %|{density}|frequency ratio"
    )
    caption = (
        '<p class="small">Landslides include those the models were trained on: this describes the map, it does not '
        "validate it; the column of held-out ones does. Frequency ratio: share of the landslides over share of the "
        "area.</p>"
    )
    listed = table(columns.split("|"), rows)
    return f"<details><summary>Area and landslide density of each class</summary>{listed}</details>{caption}"


def _plausibility_table(maps: Mapping[Candidate, MappedCandidate]) -> str:
    marks = {True: "yes", False: "no", None: "cannot be told"}
    rows = [
        Row(
            [
                Cell(MODELS[candidate.model].title, title_of(candidate.feature_set), "text"),
                text_cell(finding.name),
                Cell(marks[finding.passed], style={True: "gain", False: "loss", None: ""}[finding.passed]),
                Cell(finding.sentence, style="text wide"),
            ],
            starts_group=place == 0,
        )
        for candidate, mapped in maps.items()
        for place, finding in enumerate(mapped.findings)
    ]
    caption = '<p class="small">A map that fails is to be doubted; one that passes is not proven right.</p>'
    listed = table(["map", "check", "holds", "what was found"], rows)
    return f"<details open><summary>Can the maps be right?</summary>{listed}</details>{caption}"


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


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) > 1000.0 else f"{value:,.3g}"
