"""The USGS landslide model of the 1989 Loma Prieta earthquake, from inputs that the USGS tests its own code with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from susceptibility.shakemap import is_shakemap, read_shakemap
from susceptibility.usgs import UsgsLandslideMap, usgs_landslide_map


@pytest.fixture(scope="module")
def result(shared_data: Path) -> UsgsLandslideMap:
    return usgs_landslide_map(shared_data / "loma_prieta", crs="EPSG:4326")


def test_inputs_lie_on_the_slope_grid(result: UsgsLandslideMap, shared_data: Path) -> None:
    """7.5 arc seconds over the ShakeMap, 122.5 W to 121.3 W, 36.5 N to 37.2 N; slope and lithology bit by bit."""
    assert result.grid.shape == (336, 576)
    np.testing.assert_allclose(result.grid.bounds, (-122.5, 36.5, -121.3, 37.2), atol=1e-9)
    np.testing.assert_allclose(result.grid.resolution, 7.5 / 3600.0, rtol=1e-9)
    inputs = shared_data / "loma_prieta" / "model_inputs"
    window = rasterio.windows.Window(48, 48, 576, 336)
    with rasterio.open(inputs / "GLIM_replace.tif") as source:
        np.testing.assert_array_equal(result.inputs["lithology"], source.read(1, window=window))
    with rasterio.open(inputs / "global_grad.tif") as source:
        gradient = source.read(1, window=window)
    np.testing.assert_array_equal(result.inputs["slope"], np.degrees(np.arctan(gradient)))
    assert set(np.unique(result.inputs["landcover"])) <= {
        np.float32(value) for value in (-1.26, -0.06, 0, 0.3, 0.54, 0.68, 0.78, 0.79, 0.88, 0.91, 1.03, 1.13, 1.19, 1.5,
                                        1.71, 1.77, 2.34)
    }  # fmt: skip


def test_shaking_is_interpolated_between_nodes(result: UsgsLandslideMap, shared_data: Path) -> None:
    """Twelve pixels to a node's spacing: against SciPy on the nodes."""
    from scipy.interpolate import RegularGridInterpolator

    path = shared_data / "loma_prieta" / "grid.xml"
    assert is_shakemap(path)
    shakemap = read_shakemap(path)
    assert shakemap.grid.shape == (29, 49)
    assert shakemap.units["PGA"] == "%g"
    assert shakemap.values("PGV")[0, 0] == np.float32(12.66)
    interpolate = RegularGridInterpolator((np.linspace(-37.2, -36.5, 29), np.linspace(-122.5, -121.3, 49)),
                                          shakemap.values("PGV").astype(np.float64))  # fmt: skip
    step = 7.5 / 3600.0
    lat, lon = np.meshgrid(37.2 - step * (np.arange(336) + 0.5), -122.5 + step * (np.arange(576) + 0.5), indexing="ij")
    np.testing.assert_allclose(result.inputs["pgv"], interpolate((-lat, lon)), rtol=1e-5)


def test_probability(result: UsgsLandslideMap) -> None:
    """By the published equation from the inputs; where CTI is unknown, over the sea, so is the probability."""
    s = result.inputs["slope"].astype(np.float64)
    log_pgv = np.log(np.clip(result.inputs["pgv"].astype(np.float64), 0, 211))
    rock = np.where(result.inputs["lithology"] <= np.float32(-3.21), -1.36, result.inputs["lithology"])
    logit = (
        -6.30 + 1.65 * log_pgv + 0.06 * s + rock + result.inputs["landcover"]
        + 0.03 * np.clip(result.inputs["cti"], 0, 19) + 0.01 * log_pgv * s
    )  # fmt: skip
    np.testing.assert_allclose(result.probability, 1.0 / (1.0 + np.exp(-logit)), rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(result.probability), np.isnan(result.inputs["cti"]))
    statistics = result.statistics()
    assert statistics["known"] == pytest.approx(0.6095, abs=1e-3)
    assert statistics["probability_median"] == pytest.approx(0.3503, abs=1e-3)
    assert statistics["coverage_max"] == pytest.approx(0.2408, abs=1e-3)
    assert statistics["expected_area_km2"] == pytest.approx(37.0, abs=0.2)


def test_landslides_are_expected_where_they_were(result: UsgsLandslideMap) -> None:
    """The Santa Cruz Mountains around the epicentre, not the Salinas and Santa Clara valleys."""
    lon = -122.5 + 7.5 / 3600.0 * (np.arange(576) + 0.5)
    lat = 37.2 - 7.5 / 3600.0 * (np.arange(336) + 0.5)

    def mean_coverage(west: float, east: float, south: float, north: float) -> float:
        return float(
            np.nanmean(result.areal_coverage[np.ix_((lat > south) & (lat < north), (lon > west) & (lon < east))])
        )

    mountains = mean_coverage(-122.05, -121.85, 37.03, 37.15)
    salinas = mean_coverage(-121.75, -121.6, 36.6, 36.72)
    assert mountains > 0.02
    assert salinas < 0.002
