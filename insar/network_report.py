"""The network of a stack as a summary, a table and a plot."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from insar.config import Settings
from insar.figures import NetworkPair, draw_network, save_figure
from insar.network import Network
from insar.planning import choose_network, open_stacks
from insar.stack import Pair
from insar.survey import survey_stack

logger = logging.getLogger(__name__)


def summarise_network(network: Network, mean_coherence: Mapping[Pair, float] | None = None) -> dict[str, Any]:
    """The decision on every pair as plain values; `mean_coherence` is better knowledge than the network's own."""
    better = mean_coherence or {}
    return {
        "dates": [f"{day:%Y-%m-%d}" for day in sorted({day for d in network.decisions for day in _dates(d.pair)})],
        "pairs": [
            {
                "name": decision.pair.name,
                "reference": f"{decision.pair.reference:%Y-%m-%d}",
                "secondary": f"{decision.pair.secondary:%Y-%m-%d}",
                "temporal_baseline_days": decision.pair.temporal_baseline_days,
                "perpendicular_baseline_m": _or_none(decision.perpendicular_baseline_m),
                "mean_coherence": _or_none(better.get(decision.pair, decision.mean_coherence)),
                "kept": decision.kept,
                "reason": decision.reason or None,
            }
            for decision in network.decisions
        ],
        "subsets": len(network.subsets),
        "subset_dates": [[f"{day:%Y-%m-%d}" for day in subset] for subset in network.subsets],
        "weakest_links": [pair.name for pair in network.weakest_links],
        "notes": list(network.notes),
    }


def write_network(settings: Settings, folder: Path) -> Path:
    """Select the network of a stack and write ``network.csv``, ``network.json`` and ``network.png``.

    Returns the path of the table.

    Raises
    ------
    InsarError
        If the input or the options are wrong.
    """
    stack = open_stacks(settings)
    survey = None if stack.coherence is None else survey_stack(stack)
    network = choose_network(stack, settings, survey)
    for note in network.notes:
        logger.warning("%s", note)
    summary = summarise_network(network)
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "network.csv"
    partial = folder / ".network.partial"
    with partial.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.DictWriter(sink, fieldnames=list(summary["pairs"][0]))
        writer.writeheader()
        writer.writerows(summary["pairs"])
    partial.replace(table)
    partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / "network.json")
    weak = set(network.weakest_links)
    figure = draw_network(
        [
            NetworkPair(
                decision.pair.reference,
                decision.pair.secondary,
                _or_none(decision.perpendicular_baseline_m),
                _or_none(decision.mean_coherence),
                decision.kept,
                decision.pair in weak,
            )
            for decision in network.decisions
        ]
    )
    save_figure(figure, folder / "network.png")
    return table


def _dates(pair: Pair) -> tuple[Any, Any]:
    return pair.reference, pair.secondary


def _or_none(value: float) -> float | None:
    # Differences of headers' decimals: 3.1, not 3.0999999999999996.
    return None if math.isnan(value) else round(float(value), 6)
