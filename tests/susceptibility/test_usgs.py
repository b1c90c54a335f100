"""The USGS landslide model against the published equations, worked by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from insar.grid import Grid
from insar.layers import LayerDefinition, read_layer, write_layer
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.usgs import (
    UsgsInputs,
    usgs_areal_coverage,
    usgs_landslide_map,
    usgs_probability,
    write_usgs_map,
)


def test_probability_by_hand() -> None:
    """PGV e3 = 20.09 cm/s, 30 degrees, L = -1, C = 0.5, CTI 5: X = -6.30 + 4.95 + 1.8 - 1 + 0.5 + 0.15 + 0.9 = 1.0."""
    assert float(usgs_probability(math.exp(3.0), 30.0, 5.0, -1.0, 0.5)) == pytest.approx(1.0 / (1.0 + math.exp(-1.0)))


def test_inputs_are_held_within_their_bounds() -> None:
    assert usgs_probability(500.0, 20.0, 25.0, 0.0, 0.0) == usgs_probability(211.0, 20.0, 19.0, 0.0, 0.0)
    assert usgs_probability(50.0, 20.0, -0.5, 0.0, 0.0) == usgs_probability(50.0, 20.0, 0.0, 0.0, 0.0)
    assert usgs_probability(0.0, 40.0, 5.0, 0.0, 2.0) == 0.0


@pytest.mark.parametrize("coefficient", [-3.22, -3.21, np.float32(-3.21)])
def test_unconsolidated_sediment_is_not_strong(coefficient: float) -> None:
    assert usgs_probability(50.0, 20.0, 5.0, coefficient, 0.0) == usgs_probability(50.0, 20.0, 5.0, -1.36, 0.0)
    assert usgs_probability(50.0, 20.0, 5.0, -3.2, 0.0) < usgs_probability(50.0, 20.0, 5.0, -1.36, 0.0)


def test_what_is_unknown_stays_unknown() -> None:
    known = (50.0, 20.0, 5.0, -1.0, 0.5)
    for place in range(5):
        arguments = [math.nan if place == number else value for number, value in enumerate(known)]
        assert np.isnan(usgs_probability(*arguments))
    assert np.isnan(usgs_areal_coverage(math.nan, 0.0))
    assert np.isnan(usgs_areal_coverage(0.5, math.nan))


def test_coverage() -> None:
    """exp(-7.592) at P = 0, exp(-1.362) at P = 1; none up to 2 degrees."""
    np.testing.assert_allclose(
        usgs_areal_coverage(np.array([0.0, 1.0, 1.0, 1.0]), np.array([2.1, 2.1, 2.0, 0.0])),
        [math.exp(-7.592), math.exp(-1.362), 0.0, 0.0],
    )
    steps = usgs_areal_coverage(np.linspace(0.0, 1.0, 101), 10.0)
    assert (np.diff(steps) > 0.0).all()


@pytest.fixture
def event(tmp_path: Path) -> Path:
    """A folder under USGS names: everything linear in longitude and latitude, so that interpolation is exact."""
    (tmp_path / "model_inputs").mkdir()
    nodes = [(10.0 + 0.1 * col, 45.2 - 0.1 * row) for row in range(3) for col in range(4)]
    (tmp_path / "grid.xml").write_text(
        '<shakemap_grid event_id="us1"><event magnitude="6.1" event_description="Nowhere"/>'
        '<grid_specification lon_min="10.0" lat_min="45.0" lon_max="10.3" lat_max="45.2" nlon="4" nlat="3"/>'
        '<grid_field index="1" name="LON" units="dd"/><grid_field index="2" name="LAT" units="dd"/>'
        '<grid_field index="3" name="PGV" units=""/><grid_data>'
        + "\n".join(f"{lon:.4f} {lat:.4f} {shaking(lon, lat):.6f}" for lon, lat in nodes)
        + "</grid_data></shakemap_grid>",
        encoding="utf-8",
    )
    write(tmp_path, "global_grad.tif", 0.02, lambda lon, lat: (lon - 9.8) * 1.5)
    write(tmp_path, "global_cti_fil.grd", 0.04, lambda lon, lat: 4.0 + 10.0 * (lat - 45.0))
    write(tmp_path, "GLIM_replace.tif", 0.02, lambda lon, lat: np.where(lon < 10.1, -3.22, -1.87))
    write(tmp_path, "globcover_replace.tif", 0.03, lambda lon, lat: np.where(lat < 45.1, 0.3, 1.13))
    return tmp_path


def shaking(lon: float, lat: float) -> float:
    return 20.0 + 100.0 * (lon - 10.0) + 50.0 * (lat - 45.0)


def write(folder: Path, name: str, step: float, values: object, *, crs: str | None = None) -> None:
    """Write a raster of 9.8 to 10.6 E, 44.8 to 45.4 N without a coordinate reference system."""
    cols, rows = round(0.84 / step), round(0.6 / step)
    grid = Grid(rows, cols, Affine(step, 0.0, 9.8, 0.0, -step, 45.4), crs)
    lon = 9.8 + step * (np.arange(cols) + 0.5) * np.ones((rows, 1))
    lat = 45.4 - step * (np.arange(rows)[:, None] + 0.5) * np.ones(cols)
    path = folder / "model_inputs" / name
    write_layer(path.with_suffix(".tif"), np.asarray(values(lon, lat)), grid, LayerDefinition(name, "1", name))  # type: ignore[operator]
    path.with_suffix(".tif").rename(path)


def test_map_of_an_event(event: Path) -> None:
    """On the gradient's pixels within the nodes: 10 rows x 15 columns of 0.02 degrees."""
    result = usgs_landslide_map(event, crs="EPSG:4326")
    assert result.grid.shape == (10, 15)
    np.testing.assert_allclose(result.grid.bounds, (10.0, 45.0, 10.3, 45.2))
    lon = 10.0 + 0.02 * (np.arange(15) + 0.5) * np.ones((10, 1))
    lat = 45.2 - 0.02 * (np.arange(10)[:, None] + 0.5) * np.ones(15)
    slope = np.degrees(np.arctan((lon - 9.8) * 1.5))
    np.testing.assert_allclose(result.inputs["slope"], slope, atol=1e-4)
    np.testing.assert_allclose(result.inputs["pgv"], shaking(lon, lat), atol=1e-4)  # type: ignore[arg-type]
    np.testing.assert_allclose(result.inputs["cti"], 4.0 + 10.0 * (lat - 45.0), atol=1e-5)
    lithology, landcover = np.where(lon < 10.1, -1.36, -1.87), np.where(lat < 45.1, 0.3, 1.13)
    log_pgv = np.log(shaking(lon, lat))  # type: ignore[arg-type]
    logit = -6.3 + 1.65 * log_pgv + 0.06 * slope + lithology + landcover + 0.03 * (4.0 + 10.0 * (lat - 45.0))
    p = 1.0 / (1.0 + np.exp(-(logit + 0.01 * log_pgv * slope)))
    np.testing.assert_allclose(result.probability, p, rtol=1e-5)
    coverage = np.exp(-7.592 + 5.237 * p - 3.042 * p**2 + 4.035 * p**3)
    np.testing.assert_allclose(result.areal_coverage, coverage, rtol=1e-4)
    statistics = result.statistics()
    assert statistics["known"] == 1.0
    assert statistics["probability_max"] == pytest.approx(float(p.max()), rel=1e-5)
    # A degree of latitude is 111.1 km at 45 N, one of longitude 78.8 km.
    area_km2 = 0.02 * 111.14 * 0.02 * 78.75
    assert statistics["expected_area_km2"] == pytest.approx(float(coverage.sum()) * area_km2, rel=2e-3)
    paths = write_usgs_map(result, event / "maps")
    values, grid, definition = read_layer(paths["usgs_areal_coverage"])
    np.testing.assert_array_equal(values, result.areal_coverage)
    assert grid.same_as(result.grid)
    assert definition.unit == "1"


def test_a_crs_must_be_stated_where_files_have_none(event: Path) -> None:
    with pytest.raises(InputError, match=r"global_grad\.tif: required a coordinate reference system"):
        usgs_landslide_map(event)
    with pytest.raises(OptionError, match="coordinate reference system"):
        usgs_landslide_map(event, crs="nonsense")
    write(event, "global_grad.tif", 0.02, lambda lon, lat: lon * 0.0, crs="EPSG:4326")
    with pytest.raises(OptionError, match="EPSG:4269 where the file says EPSG:4326"):
        usgs_landslide_map(event, crs="EPSG:4269")


def test_wrong_files_are_refused(event: Path) -> None:
    write(event, "global_grad.tif", 0.02, lambda lon, lat: 30.0 + 0.0 * lon)
    with pytest.raises(InputError, match="rise over run"):
        usgs_landslide_map(event, crs="EPSG:4326")
    write(event, "global_grad.tif", 0.02, lambda lon, lat: 0.3 + 0.0 * lon)
    write(event, "GLIM_replace.tif", 0.02, lambda lon, lat: -9999.0 + 0.0 * lon)
    with pytest.raises(InputError, match="coefficients of lithology"):
        usgs_landslide_map(event, crs="EPSG:4326")
    (event / "model_inputs" / "GLIM_replace.tif").unlink()
    with pytest.raises(MissingInputError, match="GLIM_replace"):
        UsgsInputs.from_folder(event)


def test_a_gradient_beside_the_shakemap_is_refused(event: Path) -> None:
    text = (event / "grid.xml").read_text(encoding="utf-8")
    (event / "grid.xml").write_text(
        text.replace('"45.0"', '"25.0"').replace('"45.2"', '"25.2"').replace(" 45.", " 25."), encoding="utf-8"
    )
    with pytest.raises(InputError, match="reaches the ShakeMap"):
        usgs_landslide_map(event, crs="EPSG:4326")
