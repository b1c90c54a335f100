"""The table and the figure of what corrections do."""

import numpy as np
import pytest

from insar.figures import save_figure
from insar.figures_corrections import TABLE_HEADER, correction_remarks, correction_rows, draw_corrections, step_words

from .scenes import DATES

STEPS = [
    {
        "name": "gacos",
        "facts": {},
        "rms_before_m": 0.0100,
        "rms_after_m": 0.0062,
        "rms_before_per_date_m": [0.0] + [0.010] * 11,
        "rms_after_per_date_m": [0.0] + [0.011] * 2 + [0.005] * 9,
        "unknown_share": 0.0213,
    },
    {
        "name": "ramp",
        "facts": {},
        "rms_before_m": 0.0062,
        "rms_after_m": None,
        "rms_before_per_date_m": [0.0] + [0.011] * 2 + [0.005] * 9,
        "rms_after_per_date_m": [None] * 12,
        "unknown_share": 0.0,
    },
]


def test_rows_say_what_each_step_is_worth():
    first, second = correction_rows(STEPS)
    assert len(first) == len(TABLE_HEADER)
    assert first == ("troposphere (GACOS)", "10", "6.2", "\N{MINUS SIGN}38 %", "2 of 11", "2.1 %")
    assert second == ("ramp", "6.2", "unknown", "unknown", "0 of 11", "0 %")


def test_figure_shows_each_stage_from_the_second_date_on(tmp_path):
    figure = draw_corrections(DATES, STEPS)
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == [
        "no correction: 10 mm",
        "after troposphere (GACOS): 6.2 mm",
        "after ramp: unknown mm",
    ]
    np.testing.assert_allclose(lines[1].get_ydata(), [11.0] * 2 + [5.0] * 9)
    assert len(lines[0].get_xdata()) == 11
    assert figure.axes[0].get_ylim()[0] == 0.0
    assert save_figure(figure, tmp_path / "corrections.png").stat().st_size > 5_000


def test_remarks_are_made_where_there_is_reason():
    quiet = {"facts": {"trend_share": 0.1, "moving_share": 0.05}, "unknown_share": 0.0}
    assert correction_remarks([STEPS[1] | quiet]) == []
    assert correction_remarks([]) == []
    loud = {
        "trend_share": 0.82,
        "trend_rms_m_per_year": 0.029,
        "moving_share": 0.41,
        "dates_of_another_time": ["20220115"],
    }
    remarks = correction_remarks([STEPS[0] | {"facts": loud, "rms_after_m": 0.0123}])
    assert [next(word for word in text.split() if word[0].isdigit()) for text in remarks] == [
        "82",
        "41",
        "1",
        "2.1",
        "10",
    ]
    assert "29 mm/yr" in remarks[0]
    assert "12.3 mm after" in remarks[-1]


@pytest.mark.parametrize(("name", "words"), [("height", "delay by height"), ("other", "other")])
def test_unknown_names_are_shown_as_they_are(name, words):
    assert step_words(name) == words
