"""Scores of recipes: of a result that was written, or of candidates that are validated without writing one."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from susceptibility.evaluation import Evaluation, SampledRows, evaluate
from susceptibility.recipe import parse_recipe
from susceptibility.study import Study, prepare_study


class Score(NamedTuple):
    """What a metric is of."""

    model: str
    scheme: str
    metric: str
    feature_set: str = "static"


Scores = Mapping[Score, float]


def validated(content: dict[str, Any], work: Path) -> tuple[Study, Evaluation]:
    """Prepare the study of a recipe's content and validate all that it compares."""
    study = prepare_study(parse_recipe(content), work)
    rows = SampledRows.of(study.data, study.data.names, study.samples, work / "rows.bin")
    return study, evaluate(study.design, rows, study.partitions, workers=1)


def scores_of(evaluation: Evaluation) -> Scores:
    """Mean of each metric."""
    return {Score(row.model, row.scheme, row.metric, row.feature_set): row.mean for row in evaluation.metric_rows()}


def written_scores(result: Path) -> Scores:
    """Mean of each metric as the table of a result has it."""
    rows = json.loads((result / "metrics.json").read_text(encoding="utf-8"))["metrics"]
    return {Score(row["model"], row["scheme"], row["metric"], row["feature_set"]): row["mean"] for row in rows}


def report_text(result: Path) -> str:
    """Words of a report, without pictures and marks."""
    page = (result / "report.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)).split())
