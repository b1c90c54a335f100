"""InSAR layers on units: statistics against brute force, the mean's uncertainty against drawn errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from insar.grid import Grid
from insar.layers import LAYERS, LayerDefinition, layer_definition, write_layer
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.insar_layers import class_share_on_grid, open_result, values_on_grid
from susceptibility.motion import MotionOptions, UnitMotion, motion_of_labels, motion_of_polygons, motion_of_units
from susceptibility.units import UnitKind, Units

UTM = "EPSG:32633"
GRID = Grid(10, 12, Affine(100.0, 0.0, 500_000.0, 0.0, -100.0, 4_000_000.0), UTM)


def fine(factor: int) -> Grid:
    """The same ground in smaller pixels."""
    step = 100.0 / factor
    return Grid(10 * factor, 12 * factor, Affine(step, 0.0, 500_000.0, 0.0, -step, 4_000_000.0), UTM)


def array_of(shapes: list[object]) -> np.ndarray:
    array = np.empty(len(shapes), object)
    array[:] = shapes
    return array


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with gaps, standard deviations with more gaps, labels 0 to 5."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.0, 0.02, GRID.shape).astype(np.float32)
    sigma = rng.uniform(0.002, 0.02, GRID.shape).astype(np.float32)
    values[rng.random(GRID.shape) < 0.2] = np.nan
    sigma[rng.random(GRID.shape) < 0.1] = np.nan
    return values, sigma, rng.integers(0, 6, GRID.shape).astype(np.int32)


def brute_motion(
    values: np.ndarray, sigma: np.ndarray, weights: np.ndarray, options: MotionOptions
) -> dict[str, float]:
    """The statistics of one unit in float64 by their definitions; weights (row, col) are 0 outside."""
    known = (weights > 0) & np.isfinite(values)
    judged = known & np.isfinite(sigma)
    v, s, w = values.astype(float), sigma.astype(float), weights.astype(float)
    result = {"cells": w.sum(), "valid_cells": w[known].sum()}
    result["mean"] = np.average(v[known], weights=w[known]) if known.any() else np.nan
    result["extreme"] = v[known][np.argmax(np.abs(v[known]))] if known.any() else np.nan
    if judged.any():
        parts = w[judged] * s[judged] / w[judged].sum()
        correlation = np.full((parts.size, parts.size), options.error_correlation)
        np.fill_diagonal(correlation, 1.0)
        result["mean_std"] = np.sqrt(parts @ correlation @ parts)
        moving = (np.abs(v[judged]) > options.sigmas * s[judged]) & (np.abs(v[judged]) > options.threshold)
        result["moving_share"] = w[judged][moving].sum() / w[judged].sum()
    else:
        result["mean_std"] = result["moving_share"] = np.nan
    return result


def assert_is(found: UnitMotion, unit: int, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name)[unit], value, rtol=1e-9, atol=1e-15, err_msg=name)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    sigmas=st.floats(0.0, 3.0),
    threshold=st.sampled_from([0.0, 0.01]),
    correlation=st.floats(0.0, 1.0),
)
def test_labels_equal_brute_force(seed: int, sigmas: float, threshold: float, correlation: float) -> None:
    values, sigma, labels = drawn(seed)
    options = MotionOptions(sigmas, threshold, correlation)
    found = motion_of_labels(values, labels, sigma=sigma, units=6, options=options)
    for unit in range(1, 7):
        assert_is(found, unit - 1, brute_motion(values, sigma, labels == unit, options))
    assert found.cells[5] == 0.0
    assert np.isnan(found.valid_share[5])


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), correlation=st.floats(0.0, 1.0))
def test_polygons_equal_brute_force_weighted_by_coverage(seed: int, correlation: float) -> None:
    values, sigma, _ = drawn(seed)
    rng = np.random.default_rng(seed)
    centres = np.column_stack([500_000 + 1200 * rng.random(4), 3_999_000 + 1000 * rng.random(4)])
    units = shapely.buffer(shapely.points(centres), rng.uniform(20.0, 400.0, 4))
    options = MotionOptions(1.0, 0.0, correlation)
    found = motion_of_polygons(values, GRID, units, sigma=sigma, options=options)
    rows, cols = np.mgrid[0:10, 0:12]
    cells = shapely.box(500_000 + 100 * cols, 3_999_900 - 100 * rows, 500_100 + 100 * cols, 4_000_000 - 100 * rows)
    for index, unit in enumerate(units):
        covered = shapely.area(shapely.intersection(cells, unit)) / 1e4
        assert_is(found, index, brute_motion(values, sigma, covered, options))


def test_polygons_along_cells_equal_labels() -> None:
    values, sigma, labels = drawn(7)
    rows, cols = np.mgrid[0:10, 0:12]
    cells = shapely.box(500_000 + 100 * cols, 3_999_900 - 100 * rows, 500_100 + 100 * cols, 4_000_000 - 100 * rows)
    units = array_of([shapely.union_all(cells[labels == unit]) for unit in range(1, 6)])
    by_polygons = motion_of_polygons(values, GRID, units, sigma=sigma)
    by_labels = motion_of_labels(values, labels, sigma=sigma)
    of_cells = motion_of_units(values, Units(UnitKind.SLOPE, GRID, labels, 5), sigma=sigma)
    of_shapes = motion_of_units(values, Units(UnitKind.POLYGONS, GRID, labels, 5, units), sigma=sigma)
    for name in UnitMotion.__dataclass_fields__:
        np.testing.assert_allclose(getattr(by_polygons, name), getattr(by_labels, name), rtol=1e-9, err_msg=name)
        np.testing.assert_array_equal(getattr(of_cells, name), getattr(by_labels, name))
        np.testing.assert_array_equal(getattr(of_shapes, name), getattr(by_polygons, name))


@pytest.mark.parametrize("correlation", [0.0, 0.3, 1.0])
def test_the_means_uncertainty_is_the_spread_of_means_with_such_errors(correlation: float) -> None:
    rng = np.random.default_rng(11)
    sigma = rng.uniform(0.5, 2.0, (6, 6)).astype(np.float32)
    labels = np.ones((6, 6), np.int32)
    shared, own = rng.normal(size=(20_000, 1, 1)), rng.normal(size=(20_000, 6, 6))
    errors = sigma * (np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own)
    options = MotionOptions(error_correlation=correlation)
    stated = motion_of_labels(np.zeros((6, 6), np.float32), labels, sigma=sigma, options=options).mean_std[0]
    assert errors.mean(axis=(1, 2)).std() == pytest.approx(stated, rel=0.02)


def test_share_of_a_moving_area_that_is_known() -> None:
    rng = np.random.default_rng(4)
    sigma = np.full((100, 100), 0.002, np.float32)
    rate = rng.normal(0.0, 0.002, (100, 100)).astype(np.float32)
    rate[:30] -= 0.03
    found = motion_of_labels(
        rate, np.ones((100, 100), np.int32), sigma=sigma, options=MotionOptions(sigmas=3.0, threshold=0.01)
    )
    assert found.moving_share[0] == pytest.approx(0.3, abs=1e-4)
    without_threshold = motion_of_labels(rate, np.ones((100, 100), np.int32), sigma=sigma)
    assert without_threshold.moving_share[0] == pytest.approx(0.3 + 0.7 * 0.0455, abs=0.01)  # 2 sigma by chance
    assert found.extreme[0] < -0.03


def test_without_standard_deviations() -> None:
    values, _, labels = drawn(3)
    found = motion_of_labels(values, labels)
    assert np.isnan(found.mean_std).all()
    assert np.isnan(found.moving_share).all()
    moving = motion_of_labels(values, labels, options=MotionOptions(threshold=0.01)).moving_share
    for unit in range(1, 6):
        known = values[(labels == unit) & np.isfinite(values)]
        assert moving[unit - 1] == pytest.approx((np.abs(known) > 0.01).mean())


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    values, sigma, labels = drawn(9)
    whole = motion_of_labels(values, labels, sigma=sigma)
    monkeypatch.setattr("susceptibility.motion._ROWS_AT_ONCE", 3)
    blocks = motion_of_labels(values, labels, sigma=sigma)
    for name in UnitMotion.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))


def test_what_does_not_fit_is_refused() -> None:
    values, sigma, labels = drawn(1)
    with pytest.raises(InputError, match="standard deviations: required 10 x 12 cells"):
        motion_of_labels(values, labels, sigma=sigma[:5])
    with pytest.raises(InputError, match="unit numbers 1 to 2, 0 outside; found 0 to 5"):
        motion_of_labels(values, labels, units=2)
    with pytest.raises(InputError, match="values: required 10 x 12 cells, as the grid"):
        motion_of_polygons(values[:4], GRID, array_of([shapely.box(*GRID.bounds)]))
    with pytest.raises(OptionError, match=r"error_correlation: required 0 to 1; found 1\.5"):
        MotionOptions(error_correlation=1.5)
    with pytest.raises(OptionError, match="sigmas: required 0 or more; found nan"):
        MotionOptions(sigmas=float("nan"))


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result folder: a rate with its sigma in pixels of a fifth of the study's, flags, classes, a direction."""
    grid = fine(5)
    layers = tmp_path / "insar" / "layers"
    layers.mkdir(parents=True)
    rows, cols = np.mgrid[0:50, 0:60]
    rate = np.where((rows + cols) % 2 == 0, -0.03, 0.01).astype(np.float32)
    planes = {
        "velocity": rate,
        "velocity_std": np.full(grid.shape, 0.005, np.float32),
        "vertical_velocity_ascending": rate,
        "vertical_velocity_std_ascending": np.full(grid.shape, 0.004, np.float32),
        "step_20200101": rate,
        "quality": (4 * (cols % 5 == 0) + 16 * (cols % 5 == 1) + 8).astype(np.uint8),
        "visibility": np.where(cols % 5 == 2, 3, np.where(cols % 5 == 3, 0, 1)).astype(np.uint8),
        "azimuth_angle": np.full(grid.shape, 80.0, np.float32),
    }
    for name, values in planes.items():
        write_layer(layers / f"{name}.tif", values, grid, layer_definition(name))
    (layers.parent / "manifest.json").write_text(json.dumps({"layers": {}}), encoding="utf-8")
    return layers.parent


def test_a_layer_has_its_unit_sign_and_sigma(result: Path) -> None:
    opened = open_result(result)
    rate = opened.quantity("velocity")
    assert (rate.unit, rate.sign) == ("m/yr", "positive toward the satellite")
    assert rate.std_path == result / "layers" / "velocity_std.tif"
    ascending = opened.quantity("vertical_velocity_ascending")
    assert ascending.std_path == result / "layers" / "vertical_velocity_std_ascending.tif"
    assert opened.quantity("step_20200101").std_path is None
    assert "step_20200101" in opened.names


def test_a_layer_without_tags_is_known_by_its_name(tmp_path: Path) -> None:
    layers = tmp_path / "layers"
    layers.mkdir()
    bare = LayerDefinition("vv_difference", "", "")
    for name in ("vv_difference", "step_20200101"):
        write_layer(layers / f"{name}.tif", np.ones(GRID.shape, np.float32), GRID, bare)
    backscatter = open_result(tmp_path).quantity("vv_difference")
    assert (backscatter.unit, backscatter.sign) == ("dB", "positive where brighter after the event")
    assert open_result(tmp_path).quantity("step_20200101").unit == "m"


def test_a_name_with_two_meanings_is_what_the_run_says(tmp_path: Path) -> None:
    # seasonal_amplitude is metres of a model of time, and decibels of backscatter.
    layers = tmp_path / "layers"
    layers.mkdir()
    metres = LayerDefinition("seasonal_amplitude", "m", "Amplitude of the annual term")
    write_layer(layers / "seasonal_amplitude.tif", np.ones(GRID.shape, np.float32), GRID, metres)
    entry = {"seasonal_amplitude": {"unit": "m"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"layers": entry}), encoding="utf-8")
    assert open_result(tmp_path).quantity("seasonal_amplitude").unit == "m"


def test_values_and_sigma_on_the_study_grid(result: Path) -> None:
    rate = open_result(result).quantity("velocity")
    aligned = values_on_grid(rate, GRID)
    # Of 25 pixels 12 or 13 are -0.03, the others 0.01.
    np.testing.assert_allclose(np.unique(np.round(aligned.values, 6)), [-0.0108, -0.0092], rtol=1e-5)
    assert aligned.sigma is not None
    np.testing.assert_allclose(aligned.sigma, 0.005)
    np.testing.assert_array_equal(values_on_grid(rate, GRID, absolute=True).values, np.abs(aligned.values))
    own = values_on_grid(rate, fine(5))
    found = motion_of_labels(own.values, np.ones(own.values.shape, np.int32), sigma=own.sigma)
    assert found.extreme[0] == pytest.approx(-0.03)
    assert found.mean[0] == pytest.approx(-0.01)
    assert found.mean_std[0] == pytest.approx(0.005)
    assert found.moving_share[0] == pytest.approx(0.5)


def test_shares_of_classes_and_flags(result: Path) -> None:
    opened = open_result(result)
    np.testing.assert_allclose(class_share_on_grid(opened.layer("quality"), GRID, flags=4 | 16), 0.4, rtol=1e-6)
    np.testing.assert_allclose(class_share_on_grid(opened.layer("quality"), GRID, flags=8), 1.0, rtol=1e-6)
    layover = class_share_on_grid(opened.layer("visibility"), GRID, [3])
    np.testing.assert_allclose(layover, 0.25, rtol=1e-6)  # of the four columns in five that are known
    own = class_share_on_grid(opened.layer("visibility"), fine(5), [3, 4])
    assert np.isnan(own[:, 3]).all()
    assert (own[:, 2] == 1.0).all()
    for name, classes, flags in [("velocity", [1], 0), ("quality", [4], 0), ("visibility", [], 3)]:
        with pytest.raises(OptionError, match=f"classes of the layer '{name}'"):
            class_share_on_grid(opened.layer(name), GRID, classes, flags=flags)


def test_classes_directions_and_absent_layers_are_refused(result: Path) -> None:
    opened = open_result(result)
    with pytest.raises(OptionError, match="'visibility': required a layer that is a quantity; found class"):
        opened.quantity("visibility")
    with pytest.raises(OptionError, match="found a direction"):
        opened.quantity("azimuth_angle")
    with pytest.raises(MissingInputError, match="'acceleration' of an insar result"):
        opened.layer("acceleration")
    grid = fine(5)
    write_layer(
        result / "layers" / "velocity_std.tif",
        np.ones(grid.shape, np.float32),
        grid,
        LayerDefinition("velocity_std", "mm/yr", LAYERS["velocity_std"].description),
    )
    with pytest.raises(InputError, match=r"velocity_std\.tif.*units that differ"):
        opened.layer("velocity")
