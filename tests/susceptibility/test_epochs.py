"""Layers at earlier dates: least squares by hand, the layers of `insar` itself at the last date, and the study grid."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import sequential_network
from series_results import write_result

from insar.config import Settings
from insar.grid import Grid
from insar.pipeline import run_chain
from insar.timefunctions import parse_model
from susceptibility.displacement_series import FOLLOWED, open_series
from susceptibility.epochs import layers_until, open_epochs, plan_epochs
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.kernels import epochs as kernels
from susceptibility.rate_design import model_of_time, plan_fit
from susceptibility.storage import align_raster

GRID = Grid(9, 11, Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0), "EPSG:32633")
DATES = tuple(date(2022, 1, 3) + timedelta(days=12 * step) for step in range(40))


def make_series(dates: tuple[date, ...] = DATES, grid: Grid = GRID, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, 0.003, (len(dates), *grid.shape)).cumsum(axis=0)
    steps -= steps[0]
    steps[:, 0, 0] = np.nan
    return steps.astype(np.float32)


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_result(tmp_path / "insar", make_series(), DATES, GRID)


def read_all(result: Path, grid: Grid, layers: tuple[str, ...], **options: Any) -> tuple[np.ndarray, list[date]]:
    series = open_series(result)
    epochs, _ = plan_epochs(series, layers, **options)
    with open_epochs(series, epochs, layers, grid) as opened:
        return opened.read(slice(0, grid.rows)), [epoch.date for epoch in epochs]


@pytest.mark.parametrize("model", ["linear", "linear+annual", "linear+poly:2", "linear+step:20220701+exp:20220801:30"])
def test_at_the_last_date_they_are_the_layers_of_the_result(tmp_path: Path, model: str) -> None:
    """Whatever the model of time, to the bit: the same weights, summed in the same order."""
    result = write_result(tmp_path / "insar", make_series(), DATES, GRID, model=model)
    layers = open_series(result).followed(FOLLOWED)
    assert ("acceleration" in layers) == ("poly" in model)
    values, dates = read_all(result, GRID, layers)
    assert dates[-1] == DATES[-1]
    for index, name in enumerate(layers):
        own = align_raster(result / "layers" / f"{name}.tif", GRID)
        np.testing.assert_array_equal(values[-1, index], own, err_msg=name)
    assert np.isnan(values[:, :, 0, 0]).all()


def test_at_every_date_they_are_plain_least_squares_of_the_dates_up_to_it(result: Path) -> None:
    series = make_series()
    layers = ("cumulative_displacement", "velocity", "velocity_std", "velocity_recent")
    values, dates = read_all(result, GRID, layers)
    assert dates == list(DATES[4:])
    for index, day in enumerate(dates):
        until = DATES.index(day) + 1
        years = np.array([(each - DATES[0]).days for each in DATES[:until]]) / 365.25
        recent = np.array([(day - each).days <= 60 for each in DATES[:until]])
        flat = series[:until].reshape(until, -1)[:, 1:].astype(np.float64)
        coefficients, residuals = np.polyfit(years, flat, 1, full=True)[:2]
        spread = 1.0 / np.sum((years - years.mean()) ** 2)
        found = values[index].reshape(4, -1)[:, 1:]
        np.testing.assert_array_equal(found[0], series[until - 1].ravel()[1:])
        np.testing.assert_allclose(found[1], coefficients[0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found[2], np.sqrt(residuals / (until - 2) * spread), rtol=1e-5)
        np.testing.assert_allclose(found[3], np.polyfit(years[recent], flat[recent], 1)[0], rtol=1e-5, atol=1e-7)


def test_what_comes_later_changes_nothing(result: Path, tmp_path: Path) -> None:
    changed = make_series()
    changed[20:] += 1.0
    other = write_result(tmp_path / "other", changed, DATES, GRID)
    layers = ("cumulative_displacement", "velocity")
    first, dates = read_all(result, GRID, layers)
    second, _ = read_all(other, GRID, layers)
    before = [day < DATES[20] for day in dates]
    np.testing.assert_array_equal(first[before], second[before])
    assert not np.allclose(first[-1, :, 1:], second[-1, :, 1:])


@pytest.mark.parametrize(
    "grid",
    [
        Grid(20, 25, Affine(12.0, 0.0, 500_010.0, 0.0, -12.0, 3_999_990.0), "EPSG:32633"),
        Grid(4, 4, Affine(70.0, 0.0, 500_003.0, 0.0, -70.0, 4_000_001.0), "EPSG:32633"),
        Grid(8, 9, Affine(31.0, 0.0, 29_300.0, 0.0, -31.0, 4_011_500.0), "EPSG:32634"),
        Grid(5, 6, Affine(30.0, 0.0, 500_060.0, 0.0, -30.0, 3_999_940.0), "EPSG:32633"),
    ],
    ids=["finer", "coarser", "other zone", "part"],
)
def test_on_the_study_grid_as_any_raster(result: Path, grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    if grid.crs == "EPSG:32634":
        import pyproj

        east, north = pyproj.Transformer.from_crs("EPSG:32633", grid.crs, always_xy=True).transform(500_100, 3_999_950)
        grid = Grid(8, 9, Affine(31.0, 0.0, east - 100.0, 0.0, -31.0, north + 100.0), grid.crs)
    layers = ("cumulative_displacement", "velocity")
    values, _ = read_all(result, grid, layers)
    for index, name in enumerate(layers):
        own = align_raster(result / "layers" / f"{name}.tif", grid)
        assert np.isfinite(own).any()
        np.testing.assert_array_equal(values[-1, index], own, err_msg=name)
    monkeypatch.setattr("susceptibility.epochs._BYTES_AT_ONCE", 60_000)  # a few pixels at a time
    series = open_series(result)
    epochs, _ = plan_epochs(series, layers)
    with open_epochs(series, epochs, layers, grid) as opened:
        assert opened._side < grid.cols
        pieces = [opened.read(slice(row, min(row + 3, grid.rows))) for row in range(0, grid.rows, 3)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=2), values)


def test_every_so_many_dates_and_the_first_ones_skipped(result: Path) -> None:
    series = open_series(result)
    epochs, skipped = plan_epochs(series, ("velocity",), every=6)
    assert [epoch.date for epoch in epochs] == [DATES[index] for index in (9, 15, 21, 27, 33, 39)]
    assert list(skipped) == [DATES[3]]
    assert "4 dates, 5 are needed" in skipped[DATES[3]]


def test_a_season_is_not_told_from_a_rate_within_less_than_a_year(tmp_path: Path) -> None:
    series = open_series(write_result(tmp_path / "insar", make_series(), DATES, GRID, model="linear+annual"))
    epochs, skipped = plan_epochs(series, ("velocity",))
    assert all((epoch.date - DATES[0]).days >= 366 for epoch in epochs)
    assert "season" in skipped[DATES[20]]


def test_a_step_is_not_known_before_it_happens() -> None:
    terms = model_of_time("linear+step:20220701", "manifest.json")
    before = plan_fit(terms, DATES[:10], 60.0, 5)
    after = plan_fit(terms, DATES[:30], 60.0, 5)
    assert not isinstance(before, str)
    assert not isinstance(after, str)
    assert before.design.shape[1] == 2
    assert after.design.shape[1] == 3


def test_standard_deviation_that_needs_the_interferograms_is_not_told(tmp_path: Path) -> None:
    series = open_series(write_result(tmp_path / "insar", make_series(), DATES, GRID, uncertainty="covariance"))
    assert series.followed(FOLLOWED) == ("cumulative_displacement", "velocity", "velocity_recent")


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=6, max_size=20),
    st.floats(-0.2, 0.2),
    st.floats(-0.1, 0.1),
)
def test_a_steady_rate_is_found_at_any_dates(gaps: list[int], rate: float, offset: float) -> None:
    days = np.cumsum([0, *gaps])
    dates = tuple(date(2020, 1, 1) + timedelta(days=int(day)) for day in days)
    series = (offset + rate * days[:, None] / 365.25).astype(np.float32)
    fit = plan_fit(parse_model("linear"), dates, 60.0, 5)
    assert not isinstance(fit, str)
    found = layers_until(series, fit, ("cumulative_displacement", "velocity"))
    assert found[1, 0] == pytest.approx(rate, abs=2e-5)
    assert found[0, 0] == pytest.approx(rate * days[-1] / 365.25, abs=1e-6)


def test_kernel_uncompiled_is_the_kernel() -> None:
    series = make_series()[:12].reshape(12, -1)
    fit = plan_fit(parse_model("linear"), DATES[:12], 60.0, 5)
    assert not isinstance(fit, str)
    outcomes = []
    for function in (kernels.fit_until, kernels.fit_until.py_func):
        values, squares = np.empty((3, series.shape[1])), np.empty(series.shape[1])
        function(series, fit.design, fit.weights, values, squares)
        outcomes.append((values, squares))
    np.testing.assert_array_equal(outcomes[0][0], outcomes[1][0])
    np.testing.assert_array_equal(outcomes[0][1], outcomes[1][1])


def broken(result: Path, what: str) -> None:
    with h5py.File(result / "timeseries.h5", "r+") as file:
        match what:
            case "unit":
                file.attrs["UNIT"] = "mm"
            case "grid":
                file.attrs["X_FIRST"] = "500030"
            case "dates":
                file["date"][0] = file["date"][5]
            case "no date":
                del file["date"]
            case "no place":
                del file.attrs["X_FIRST"]
    if what == "no manifest":
        (result / "manifest.json").unlink()
    if what == "model":
        (result / "manifest.json").write_text(json.dumps({"configuration": {"model": "linear+wobble"}}))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("unit", "metres"),
        ("grid", "not of one run"),
        ("dates", "later than the one before"),
        ("no date", "datasets"),
        ("no place", "coordinate reference system"),
        ("no manifest", "how its rate was fitted"),
        ("model", "wobble"),
    ],
)
def test_a_series_that_cannot_be_trusted_is_refused(result: Path, what: str, message: str) -> None:
    broken(result, what)
    with pytest.raises((InputError, MissingInputError), match=message):
        open_series(result)


def test_terms_that_dates_cannot_tell_apart() -> None:
    """Two steps between the same two dates, and a season in less than a year."""
    twice = model_of_time("linear+step:20220105+step:20220110", "manifest.json")
    assert plan_fit(twice, DATES, 60.0, 5) == f"{len(DATES)} dates that do not tell the terms of {twice.text} apart"
    assert "cannot be told apart" in str(plan_fit(model_of_time("linear+annual", "m"), DATES[:12], 60.0, 5))
    assert "5 dates for the 5 terms" in str(plan_fit(model_of_time("poly:4", "m"), DATES[:5], 60.0, 5))


def test_no_series_and_too_few_dates(tmp_path: Path, result: Path) -> None:
    with pytest.raises(MissingInputError, match="timeseries"):
        open_series(tmp_path)
    with pytest.raises(OptionError, match="at least two dates"):
        plan_epochs(open_series(result), ("velocity",), least_dates=40)


def write_stack(path: Path) -> Path:
    """Interferograms of 9 x 7 pixels, each date with the next three, in MintPy's format."""
    rng = np.random.default_rng(5)
    pairs = sequential_network(9, 3)
    dates = sorted({day for pair in pairs for day in pair})
    phase_of = rng.normal(0.0, 1.0, (len(dates), 9, 7)).cumsum(axis=0)
    phase = np.array([phase_of[dates.index(last)] - phase_of[dates.index(first)] for first, last in pairs])
    with h5py.File(path, "w") as sink:
        attributes = {"FILE_TYPE": "ifgramStack", "LENGTH": 9, "WIDTH": 7, "WAVELENGTH": 0.0555, "PROCESSOR": "isce"}
        attributes |= {"X_FIRST": 500000, "Y_FIRST": 4000000, "X_STEP": 30, "Y_STEP": -30, "X_UNIT": "meters"}
        attributes |= {"Y_UNIT": "meters", "EPSG": 32611, "ORBIT_DIRECTION": "ASCENDING"}
        sink.attrs.update({name: str(value) for name, value in attributes.items()})
        sink["date"] = np.array([[f"{day:%Y%m%d}".encode() for day in pair] for pair in pairs], dtype="S8")
        sink["bperp"] = np.linspace(-50, 50, len(pairs), dtype=np.float32)
        sink["dropIfgram"] = np.ones(len(pairs), dtype=bool)
        sink["unwrapPhase"] = (phase + rng.normal(0.0, 0.1, phase.shape)).astype(np.float32)
        sink["coherence"] = np.full(phase.shape, 0.8, np.float32)
    return path


def test_what_insar_run_writes_by_default(tmp_path: Path) -> None:
    """To the bit, through its own command: the layers of a run are those of its last date."""
    folder = run_chain(Settings(stack=write_stack(tmp_path / "stack.h5"), reference_rowcol=(3, 4)), tmp_path / "out")
    series = open_series(folder)
    layers = series.followed(FOLLOWED)
    assert layers == ("cumulative_displacement", "velocity", "velocity_std", "velocity_recent")
    values, _ = read_all(folder, series.grid, layers)
    for index, name in enumerate(layers):
        own = align_raster(folder / "layers" / f"{name}.tif", series.grid)
        assert np.isfinite(own).sum() > 50
        np.testing.assert_array_equal(values[-1, index], own, err_msg=name)
