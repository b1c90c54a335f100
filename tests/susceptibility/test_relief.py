"""Relief, roughness, position, curvature and aspect class against closed forms and plain NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError, OptionError
from susceptibility.factors.definitions import RELIEF_FACTORS
from susceptibility.factors.relief import (
    ASPECT_CLASSES,
    Windows,
    relief_factors,
    relief_of_rows,
    rows_needed,
    window_of,
)
from susceptibility.factors.terrain import terrain_factors
from susceptibility.kernels import relief as kernels
from susceptibility.storage import read_raster

Array = NDArray[Any]
WINDOWED = ("relief", "roughness", "tpi")


def metric_grid(rows: int, cols: int, width_m: float = 10.0, height_m: float = 10.0) -> Grid:
    return Grid(rows, cols, Affine(width_m, 0.0, 712_000.0, 0.0, -height_m, 9_560_000.0), "EPSG:32717")


def coordinates(grid: Grid) -> tuple[Array, Array]:
    """Metres east and north of the middle pixel's centre, float64."""
    cols, rows = np.meshgrid(np.arange(grid.cols) - grid.cols // 2, np.arange(grid.rows) - grid.rows // 2)
    return cols * grid.transform.a, rows * grid.transform.e


def rough_terrain(rows: int, cols: int, seed: int, *, holes: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    elevation = (1200.0 + 40.0 * rng.standard_normal((rows, cols)).cumsum(axis=0)).astype(np.float32)
    for _ in range(holes):
        elevation[rng.integers(rows), rng.integers(cols)] = np.nan
    return elevation


def window_around(values: Array, row: int, col: int, half: tuple[int, int]) -> Array:
    """Float64 values of the window that reaches `half` rows and columns, NaN beyond the grid."""
    padded = np.pad(values.astype(np.float64), ((half[0],) * 2, (half[1],) * 2), constant_values=np.nan)
    return padded[row : row + 2 * half[0] + 1, col : col + 2 * half[1] + 1]


def brute_force(name: str, elevation: Array, half: tuple[int, int], least_known: float) -> Array:
    """Window by window, in float64, by the definitions of the module."""

    def of_window(values: Array, statistic: Any) -> Array:
        result = np.full(values.shape, np.nan)
        for row, col in np.ndindex(values.shape):
            window = window_around(values, row, col, half)
            known = window[np.isfinite(window)]
            if np.isfinite(values[row, col]) and known.size >= least_known * window.size - 1e-9:
                result[row, col] = statistic(known)
        return result

    if name == "relief":
        return of_window(elevation, np.ptp)
    position = elevation.astype(np.float64) - of_window(elevation, np.mean)
    return position if name == "tpi" else of_window(position, np.std)


@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    half=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    holes=st.integers(0, 4),
    least_known=st.sampled_from([1.0, 0.6, 1e-6]),
)
@settings(max_examples=25)
def test_windows_equal_brute_force(
    seed: int, shape: tuple[int, int], half: tuple[int, int], holes: int, least_known: float
) -> None:
    """Pixels are given such a size that a window of 70 m reaches `half` rows and columns."""
    grid = metric_grid(*shape, width_m=70.0 / (2 * half[1] + 1), height_m=70.0 / (2 * half[0] + 1))
    elevation = rough_terrain(*shape, seed, holes=holes)
    windows = Windows(relief_m=70.0, roughness_m=70.0, tpi_m=70.0, least_known=least_known)
    for name, factor in relief_factors(elevation, grid, WINDOWED, windows).items():
        np.testing.assert_allclose(
            factor, brute_force(name, elevation, half, least_known), rtol=1e-6, atol=2e-4, err_msg=name
        )


@pytest.mark.parametrize("rows", [1, 7, 64])
@pytest.mark.parametrize("name", RELIEF_FACTORS)
def test_the_same_bits_whichever_rows_are_computed_together(name: str, rows: int) -> None:
    grid, windows = metric_grid(64, 37), Windows(relief_m=130.0, roughness_m=70.0, tpi_m=90.0, least_known=0.5)
    elevation = rough_terrain(64, 37, 5, holes=12)
    whole = relief_factors(elevation, grid, [name], windows)[name]
    reach = rows_needed(name, grid, windows)
    surrounded = np.pad(elevation, ((reach, reach), (0, 0)), constant_values=np.nan)
    for first in range(0, 64, rows):
        last = min(first + rows, 64)
        part = relief_of_rows(name, surrounded[first : last + 2 * reach], grid, windows)
        assert part.tobytes() == whole[first:last].tobytes()


def test_a_plane_has_the_relief_of_its_slope_and_nothing_else() -> None:
    """A plane falls by its gradient times the window; it is neither rough nor ridge nor curved."""
    grid = metric_grid(40, 50, 10.0, 20.0)
    x, y = coordinates(grid)
    factors = relief_factors(
        2000.0 + 0.3 * x - 0.2 * y, grid, windows=Windows(relief_m=100.0, roughness_m=60.0, tpi_m=100.0)
    )
    rows, cols = window_of(100.0, grid)
    assert (rows, cols) == (5, 11)
    inner = (slice(rows, -rows), slice(cols, -cols))
    np.testing.assert_allclose(factors["relief"][inner], 0.3 * 100.0 + 0.2 * 80.0, rtol=1e-6)
    np.testing.assert_allclose(factors["tpi"][inner], 0.0, atol=1e-9)
    np.testing.assert_allclose(factors["roughness"][inner], 0.0, atol=1e-6)
    np.testing.assert_allclose(factors["curvature"][1:-1, 1:-1], 0.0, atol=1e-12)


def test_a_paraboloid_has_its_curvature_everywhere() -> None:
    """z = -(a x2 + b y2) / 2: the negative Laplacian is a + b, on the top as well."""
    grid = metric_grid(21, 31, 5.0, 4.0)
    x, y = coordinates(grid)
    factors = relief_factors(500.0 - (0.004 * x**2 + 0.002 * y**2) / 2, grid, windows=Windows(tpi_m=50.0))
    np.testing.assert_allclose(factors["curvature"][1:-1, 1:-1], 0.006, rtol=1e-6)
    # The mean of squares -n..n is n (n + 1) / 3: 6 rows of 4 m and 5 columns of 5 m each way.
    rows, cols = window_of(50.0, grid)
    assert (rows, cols) == (13, 11)
    position = 0.002 * 5.0**2 * 5 * 6 / 3 + 0.001 * 4.0**2 * 6 * 7 / 3
    np.testing.assert_allclose(factors["tpi"][6:-6, 5:-5], position, rtol=1e-6)


def test_roughness_of_alternating_columns() -> None:
    """Columns that are 1 m higher and lower in turn: residuals in 3 x 3 pixels are +-4/3 m, two columns to one."""
    grid = metric_grid(12, 12)
    elevation = 100.0 + np.where(np.arange(12) % 2, 1.0, -1.0) * np.ones((12, 1))
    roughness = relief_factors(elevation, grid, ["roughness"], Windows(roughness_m=30.0))["roughness"]
    np.testing.assert_allclose(roughness[2:-2, 2:-2], 4 / 3 * np.sqrt(8 / 9), rtol=1e-6)
    assert np.isnan(roughness[:2]).all()
    assert np.isnan(roughness[:, -2:]).all()


@pytest.mark.parametrize(
    ("azimuth_deg", "name"),
    [
        *zip(range(0, 360, 45), ("N", "NE", "E", "SE", "S", "SW", "W", "NW"), strict=True),
        *((22.4, "N"), (22.6, "NE"), (247.4, "SW"), (247.6, "W"), (337.4, "NW"), (337.6, "N"), (359.9, "N")),
    ],
)
def test_aspect_class_is_the_sector_the_slope_faces(azimuth_deg: float, name: str) -> None:
    grid = metric_grid(5, 6)
    x, y = coordinates(grid)
    azimuth = np.radians(azimuth_deg)
    elevation = -0.4 * (x * np.sin(azimuth) + y * np.cos(azimuth))
    classes = relief_factors(elevation, grid, ["aspect_class"])["aspect_class"]
    assert {ASPECT_CLASSES[number] for number in classes[1:-1, 1:-1].flat} == {name}
    assert set(classes[0]) == {0}


def test_aspect_class_agrees_with_the_aspect() -> None:
    grid = metric_grid(40, 40)
    elevation = rough_terrain(40, 40, 2, holes=5)
    elevation[20:30, 20:30] = 7.0
    aspect = terrain_factors(elevation, grid, ["aspect", "slope"])
    classes = relief_factors(elevation, grid, ["aspect_class"])["aspect_class"]
    expected = np.where(np.isnan(aspect["aspect"]), 1, 2 + (np.floor((aspect["aspect"] + 22.5) / 45.0) % 8))
    np.testing.assert_array_equal(classes, np.where(np.isnan(aspect["slope"]), 0, expected))


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("name", ["relief", "roughness", "tpi", "curvature"])
def test_a_turned_landscape_has_turned_factors(name: str, turns: int) -> None:
    elevation = rough_terrain(30, 30, 8, holes=3)
    windows = Windows(relief_m=70.0, roughness_m=50.0, tpi_m=70.0, least_known=0.7)
    factor = relief_factors(elevation, metric_grid(30, 30), [name], windows)[name]
    turned = relief_factors(np.rot90(elevation, turns), metric_grid(30, 30), [name], windows)[name]
    np.testing.assert_allclose(turned, np.rot90(factor, turns), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("size_m", "pixels"), [(90.0, 9), (95.0, 9), (100.0, 11), (5.0, 3), (30.0, 3)])
def test_window_is_the_nearest_odd_number_of_pixels(size_m: float, pixels: int) -> None:
    assert window_of(size_m, metric_grid(2, 2)) == (pixels, pixels)


def test_a_window_wider_than_the_model_is_unknown() -> None:
    factors = relief_factors(rough_terrain(6, 8, 1), metric_grid(6, 8), WINDOWED)
    assert all(np.isnan(factor).all() for factor in factors.values())


def test_real_terrain_equals_scipy(shared_data: Path) -> None:
    """643 x 1197 pixels of 30 m: windows of 500 m are 17 x 17."""
    from scipy import ndimage

    elevation, grid = read_raster(shared_data / "bigtujunga" / "bigtujunga.tif")
    factors = relief_factors(elevation, grid, WINDOWED)
    heights = elevation.astype(np.float64)
    assert window_of(500.0, grid) == (17, 17)
    inner = (slice(8, -8), slice(8, -8))
    expected = ndimage.maximum_filter(heights, 17) - ndimage.minimum_filter(heights, 17)
    np.testing.assert_array_equal(factors["relief"][inner], expected[inner].astype(np.float32))
    position = heights - ndimage.uniform_filter(heights, 17)
    np.testing.assert_allclose(factors["tpi"][inner], position[inner], atol=1e-5)
    # 150 m are 5 x 5 pixels, and roughness reaches twice as far as its window.
    residual = heights - ndimage.uniform_filter(heights, 5)
    variance = ndimage.uniform_filter(residual**2, 5) - ndimage.uniform_filter(residual, 5) ** 2
    np.testing.assert_allclose(factors["roughness"][4:-4, 4:-4], np.sqrt(variance)[4:-4, 4:-4], atol=1e-5)
    for name, edge in (("relief", 8), ("tpi", 8), ("roughness", 4)):
        assert int(np.isnan(factors[name]).sum()) == grid.rows * grid.cols - (grid.rows - 2 * edge) * (
            grid.cols - 2 * edge
        )


def test_kernels_as_python() -> None:
    """The compiled kernels do what their Python says."""
    elevation = rough_terrain(9, 8, 3, holes=2)
    for kernel in (kernels._raise_to_largest, kernels._add_up):
        compiled, plain = elevation.copy(), elevation.copy()
        np.testing.assert_array_equal(kernel(compiled, 3, 5), kernel.py_func(plain, 3, 5))
        np.testing.assert_array_equal(compiled, plain)


def test_bad_input_is_refused() -> None:
    elevation = rough_terrain(6, 8, 1)
    with pytest.raises(OptionError, match="relief, roughness, tpi"):
        relief_factors(elevation, metric_grid(6, 8), ["ruggedness"])
    with pytest.raises(OptionError, match="above 0"):
        Windows(tpi_m=0.0)
    with pytest.raises(OptionError, match="at most 1"):
        Windows(least_known=1.5)
    with pytest.raises(InputError, match="6 rows x 9 columns"):
        relief_factors(elevation, metric_grid(6, 9))
    with pytest.raises(InputError, match="projected grid in metres"):
        relief_factors(elevation, Grid(6, 8, Affine(0.1, 0.0, 7.0, 0.0, -0.1, 46.0), "EPSG:4326"))
