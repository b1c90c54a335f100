from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar.errors import OptionError
from insar.simulate import SimulationParameters
from insar.simulate.parameters import _LIMITS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 3),
        ("rows", 10.5),
        ("seed", -1),
        ("seed", True),
        ("pixel_size_m", 0.0),
        ("pixel_size_m", math.nan),
        ("turbulence_rms_m", "0.1"),
        ("center_lat_deg", 85.0),
        ("map_projection", "mercator"),
        ("regular_lookup", 1),
        ("first_date", "2024-01-01"),
        ("connections", 30),
        ("acceleration_end_rate_m_per_year", -0.001),
        ("incidence_near_deg", 60.0),
        ("slope_length_min_m", 5_000.0),
        ("coherence_final_bare", 0.99),
        ("missing_fraction", 1.0),
    ],
)
def test_unusable_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=name):
        replace(SimulationParameters(), **{name: value})


def test_dates_past_the_calendar_are_refused() -> None:
    with pytest.raises(OptionError, match="acquisitions"):
        SimulationParameters(first_date=date(9990, 1, 1), interval_days=1000, acquisitions=20)


def test_every_number_has_limits() -> None:
    numbers = {field.name for field in fields(SimulationParameters) if field.type in {"int", "float"}}
    assert numbers == set(_LIMITS)


@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 5))
def test_network_joins_each_date_with_the_next_ones(acquisitions: int, interval: int, connections: int) -> None:
    connections = min(connections, acquisitions - 1)
    parameters = SimulationParameters(
        acquisitions=acquisitions, interval_days=interval, connections=connections, first_date=date(2020, 2, 27)
    )
    dates, pairs = parameters.dates, parameters.pairs
    assert list(pairs) == sorted(set(pairs))
    expected = {
        (dates[i], dates[j]) for i in range(acquisitions) for j in range(i + 1, min(i + connections + 1, acquisitions))
    }
    assert {(pair.reference, pair.secondary) for pair in pairs} == expected


def test_annual_pairs_come_on_top() -> None:
    parameters = SimulationParameters(acquisitions=40, interval_days=12, connections=1, annual_pairs=True)
    long = [pair for pair in parameters.pairs if pair.temporal_baseline_days > 12]
    assert {pair.temporal_baseline_days for pair in long} == {360}
    assert len(long) == 10
    assert len(parameters.pairs) == 39 + 10


def test_annual_pairs_of_a_short_series_are_none() -> None:
    assert len(SimulationParameters(acquisitions=10, connections=1, annual_pairs=True).pairs) == 9


@pytest.mark.parametrize(("heading", "direction"), [(348.0, "ascending"), (-12.0, "ascending"), (192.0, "descending")])
def test_orbit_direction_follows_the_heading(heading: float, direction: str) -> None:
    assert SimulationParameters(heading_deg=heading).orbit_direction == direction


def test_looks_multiply() -> None:
    assert SimulationParameters(range_looks=9, azimuth_looks=3).looks == 27
