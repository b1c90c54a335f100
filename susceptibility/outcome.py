"""All numbers of a finished study, from which its files are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from susceptibility.design import Candidate
from susceptibility.evaluation import ComparisonRow, Evaluation, MetricRow
from susceptibility.explain import AblationRow
from susceptibility.explanations import Explanation, ImportanceRow
from susceptibility.map_work import MappedCandidate
from susceptibility.models.learner import SusceptibilityModel


@dataclass(frozen=True, slots=True)
class Outcome:
    """All numbers of a finished study.

    Attributes
    ----------
    evaluation
        Results of all folds.
    metrics, comparisons, importance, ablation
        Rows of tables; those of the ablation by candidate.
    fitted
        Models of each candidate, one for each draw.
    explanations
        By candidate.
    maps
        Predictions, classes and where they may be trusted, by candidate.
    """

    evaluation: Evaluation
    metrics: tuple[MetricRow, ...]
    comparisons: tuple[ComparisonRow, ...]
    importance: tuple[ImportanceRow, ...]
    ablation: Mapping[Candidate, list[AblationRow]]
    fitted: Mapping[Candidate, list[SusceptibilityModel]]
    explanations: Mapping[Candidate, Explanation]
    maps: Mapping[Candidate, MappedCandidate]
