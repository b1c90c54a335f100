"""The order in which layers of an event became available."""

from __future__ import annotations

import csv
import io
import itertools
import json
from datetime import date
from pathlib import Path

import pytest

from insar.errors import InputError, MissingInputError
from insar.event_pairs import choose_event_pairs
from insar.stack import Pair
from insar.timeline import available_dates, feature_timeline, timeline_csv, timeline_json

EVENT = date(2018, 9, 6)
DAYS = [date(2018, 8, 1), date(2018, 8, 13), date(2018, 8, 25), date(2018, 9, 7), date(2018, 9, 19)]
PAIRS = [Pair(one, two) for one, two in itertools.pairwise(DAYS)]


def write_result(folder: Path, available: dict[str, str], event: str = "2018-09-06") -> Path:
    """A folder with no more than a manifest."""
    folder.mkdir()
    content = {"format": 1, "summary": {"event": event, "available": available}}
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def test_layer_is_available_with_the_last_image_it_needs():
    chosen = choose_event_pairs(PAIRS, EVENT)
    layers = ["coherence_pre", "coherence_co", "damage_proxy", "coherence_recovery", "damage_zscore", "velocity"]
    assert available_dates(chosen, layers) == {
        "coherence_pre": date(2018, 8, 25),
        "coherence_co": date(2018, 9, 7),
        "damage_proxy": date(2018, 9, 7),
        "coherence_recovery": date(2018, 9, 19),
        "damage_zscore": date(2018, 9, 7),
    }


def test_results_of_several_tracks_are_put_in_order_of_acquisition(tmp_path):
    ascending = write_result(
        tmp_path / "ascending",
        {"coherence_pre": "2018-08-25", "coherence_co": "2018-09-07", "coherence_post": "2018-09-19"},
    )
    descending = write_result(
        tmp_path / "descending", {"coherence_pre": "2018-08-30", "coherence_co": "2018-09-10", "loss": "2018-09-10"}
    )
    steps = feature_timeline([descending, ascending], EVENT)
    assert [(step.number, step.days_after_event, step.result.name, step.layers) for step in steps] == [
        (0, -12, "ascending", ("coherence_pre",)),
        (0, -7, "descending", ("coherence_pre",)),
        (1, 1, "ascending", ("coherence_co",)),
        (2, 4, "descending", ("coherence_co", "loss")),
        (3, 13, "ascending", ("coherence_post",)),
    ]
    rows = list(csv.DictReader(io.StringIO(timeline_csv(steps))))
    assert [row["layer"] for row in rows] == [layer for step in steps for layer in step.layers]
    parsed = json.loads(timeline_json(steps))
    assert parsed[2]["date"] == "2018-09-07"
    assert parsed[2]["layers"] == ["coherence_co"]


def test_day_of_two_images_has_two_steps(tmp_path):
    folders = [write_result(tmp_path / name, {"coherence_co": "2018-09-07"}) for name in ("s1", "alos")]
    steps = feature_timeline(folders, EVENT)
    assert [(step.number, step.result.name) for step in steps] == [(1, "s1"), (2, "alos")]


def test_other_results_are_refused(tmp_path):
    with pytest.raises(MissingInputError):
        feature_timeline([tmp_path], EVENT)
    other = write_result(tmp_path / "other", {}, event="2019-01-01")
    with pytest.raises(InputError, match="one of 2019-01-01"):
        feature_timeline([other], EVENT)
    wrong = write_result(tmp_path / "wrong", {"coherence_co": "yesterday"})
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        feature_timeline([wrong], EVENT)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "manifest.json").write_text(json.dumps({"format": 1, "summary": {}}))
    with pytest.raises(InputError, match="result of an event"):
        feature_timeline([plain], EVENT)
