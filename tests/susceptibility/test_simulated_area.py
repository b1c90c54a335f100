"""The simulated area: slides of known chance, shaking by its law, climate, a series with the rates of its layers."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.ndimage import maximum_filter

from insar.grid import Grid
from insar.layers import read_layer
from insar.writers.timeseries import read_timeseries
from susceptibility.density import density_of_units
from susceptibility.displacement_series import open_series
from susceptibility.epochs import layers_until, plan_epochs
from susceptibility.errors import OptionError
from susceptibility.inventory import InventoryKind, read_inventory
from susceptibility.landscape import CELL_M, Landscape, make_landscape
from susceptibility.landscape_climate import coarse_product, make_climate, standardised
from susceptibility.landscape_insar import CHANGE_DAYS, STEP_LAYER, event_layers, layers_of_series, plan_series
from susceptibility.landscape_shaking import Earthquake, place_earthquake, shakemap_xml, shaking_on
from susceptibility.landscape_slides import (
    MOST_CELLS,
    coverage_probability,
    draw_slides,
    footprint_order,
    footprints,
    size_survival,
)
from susceptibility.metrics import score
from susceptibility.recipe import read_recipe
from susceptibility.shakemap import read_shakemap, write_shakemap
from susceptibility.simulate import PAPER_RECIPES, SimulationOptions, draw_inventory, simulate_study
from susceptibility.simulated_area import make_area
from susceptibility.storage import align_raster
from susceptibility.truth import drawn_auc
from susceptibility.units import aggregate_units
from susceptibility.usgs import usgs_landslide_map

OPTIONS = SimulationOptions(size=64, landslides=200, seed=5)


@pytest.fixture(scope="module")
def landscape() -> Landscape:
    return make_landscape(64, 5)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("area") / "study"
    simulate_study(folder, OPTIONS)
    return folder


# Slides


def test_sizes_follow_the_inverse_gamma_distribution() -> None:
    survival = size_survival(900.0)
    known = stats.invgamma(1.40, loc=-132.0, scale=1280.0)
    expected = known.sf(900.0 * np.arange(1, MOST_CELLS + 1)) / known.sf(900.0)
    np.testing.assert_allclose(survival, expected, rtol=1e-10)
    assert survival[0] == 1.0


def test_footprints_are_three_times_as_long_as_wide() -> None:
    order = footprint_order()
    assert len({tuple(place) for place in order.tolist()}) == MOST_CELLS
    assert order[0].tolist() == [0, 0]
    for cells in (3, 12, 27, 48):
        taken = order[:cells]
        length, width = np.ptp(taken[:, 0]) + 1, np.ptp(taken[:, 1]) + 1
        assert abs(length - np.sqrt(3 * cells)) <= 1.5
        assert abs(width - np.sqrt(cells / 3)) <= 1.5


def test_a_slide_on_a_plane_goes_straight_down() -> None:
    plane = np.tile(-np.arange(20.0)[:, None], (1, 9)).astype(np.float32)
    taken = footprints(plane, np.array([3 * 9 + 4]))[0]
    row, col = np.divmod(taken, 9)
    order = footprint_order()
    np.testing.assert_array_equal(row, 3 + order[:, 0])
    np.testing.assert_array_equal(np.abs(col - 4), np.abs(order[:, 1]))
    # At the foot there is no way on: the slide spreads a little, and takes no cell twice.
    at_foot = footprints(plane, np.array([18 * 9 + 4]))[0]
    assert set(np.divmod(at_foot[at_foot >= 0], 9)[0]) <= {17, 18, 19}
    assert (at_foot < 0).sum() > 20
    assert np.unique(at_foot[at_foot >= 0]).size == np.count_nonzero(at_foot >= 0)


def plain_footprint(elevation: np.ndarray, source: int) -> list[int]:
    """Order of the cells that a slide takes, one after the other."""
    rows, cols = elevation.shape

    def lowest(cell: int) -> tuple[int, int, int]:
        row, col = divmod(cell, cols)
        found: list[tuple[float, int, int]] = []
        for down, right in ((1, 0), (0, 1), (-1, 0), (0, -1)):
            if 0 <= row + down < rows and 0 <= col + right < cols:
                found.append((float(elevation[row + down, col + right]), down, right))
        height, down, right = min(found, key=lambda item: item[0])
        below = cell + down * cols + right if height < elevation[row, col] else cell
        return below, down, right

    path = [source]
    while len(path) < MOST_CELLS:
        path.append(lowest(path[-1])[0])
    taken: list[int] = []
    for step, aside in footprint_order().tolist():
        _, down, right = lowest(path[step])
        row, col = divmod(path[step], cols)
        row, col = row + right * aside, col - down * aside
        cell = row * cols + col if 0 <= row < rows and 0 <= col < cols else -1
        taken.append(-1 if cell in taken else cell)
    return taken


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_footprints_are_those_of_a_plain_walk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    elevation = rng.normal(size=(9, 8)).astype(np.float32)
    sources = np.arange(72)
    for source, taken in zip(sources, footprints(elevation, sources), strict=True):
        assert taken.tolist() == plain_footprint(elevation, int(source))


def test_cells_are_covered_as_often_as_is_known(landscape: Landscape) -> None:
    elevation = landscape.elevation[:24, :24]
    mean = np.random.default_rng(0).gamma(0.5, 0.04, elevation.shape)
    known = coverage_probability(elevation, mean, CELL_M**2)
    draws = 600
    covered = sum(draw_slides(elevation, mean, CELL_M**2, seed).covered.astype(float) for seed in range(draws)) / draws
    error = (covered - known) / np.sqrt(np.maximum(known * (1.0 - known), 1e-3) / draws)
    assert np.abs(error).max() < 4.5
    assert np.mean(error**2) == pytest.approx(1.0, abs=0.25)
    assert covered.mean() == pytest.approx(known.mean(), rel=0.03)
    assert known.mean() > 0.02


def test_polygons_are_the_slides(study: Path) -> None:
    area = make_area(OPTIONS)
    _, _, geometries, fields = pyogrio.raw.read(study / "earthquake_landslides.gpkg", columns=["area_m2", "date"])
    shapes = shapely.from_wkb(geometries)
    assert set(shapely.get_type_id(shapes)) == {3}  # none in several parts
    np.testing.assert_allclose(shapely.area(shapes), [900.0 * cells.size for cells in area.slides.cells])
    np.testing.assert_allclose(shapely.area(shapes), fields[0])
    assert (fields[1] == np.datetime64("2022-01-15")).all()
    assert shapely.area(shapely.union_all(shapes)) == pytest.approx(900.0 * np.count_nonzero(area.slides.covered))
    truth = json.loads((study / "truth" / "earthquake.json").read_text())
    assert truth["landslides"] == shapes.size
    assert abs(shapes.size - truth["expected_landslides"]) < 5 * np.sqrt(truth["expected_landslides"])
    known = np.isfinite(area.terrain["slope"])
    assert truth["expected_landslides"] == pytest.approx(OPTIONS.slides_per_km2 * known.sum() * 9e-4)


def test_areal_density_of_the_package_is_the_share_of_covered_cells(study: Path) -> None:
    area = make_area(OPTIONS)
    grid = area.landscape.grid
    inventory = read_inventory(study / "earthquake_landslides.gpkg", str(grid.crs), kind=InventoryKind.POLYGONS)
    units = aggregate_units(np.ones(grid.shape, np.bool_), grid, 8)
    density = density_of_units(inventory, units).areal_density
    share = area.slides.covered.reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(density[units.labels[::8, ::8].ravel() - 1], share, atol=1e-9)
    assert share.max() > 0.25
    assert share.min() == 0.0


def test_sources_follow_slope_rock_and_shaking() -> None:
    area = make_area(OPTIONS)
    slope = area.terrain["slope"]
    known = np.isfinite(slope)
    rock = OPTIONS.rock_effect * (area.landscape.lithology[known] - 1.0) / 3.0
    design = np.stack([np.ones(known.sum()), standardised(slope[known]), standardised(np.log(area.pgv_cm_s[known]))])
    found = np.linalg.lstsq(design.T, np.log(area.slide_mean[known]) - rock, rcond=None)[0]
    np.testing.assert_allclose(found[1:], [OPTIONS.slope_effect, OPTIONS.shaking_effect], rtol=1e-6)
    assert (area.slide_mean[~known] == 0.0).all()


# Shaking


def test_shaking_is_that_of_joyner_and_boore() -> None:
    pga, pgv = Earthquake(0.0, 0.0, magnitude=6.5).shaking(np.array([0.0, 3000.0]), np.array([0.0, 4000.0]))
    # By hand: log10 PGA = -1.02 + 1.6185 - log10 r - 0.00255 r, r = 7.3 and sqrt(25 + 53.29).
    np.testing.assert_allclose(pga, [52.067, 42.568], rtol=2e-5)
    # log10 PGV = -0.67 + 3.1785 - log10 r - 0.00256 r, r = 4 and sqrt(41).
    np.testing.assert_allclose(pgv, [78.741, 48.497], rtol=2e-5)


def test_the_shakemap_is_read_back(landscape: Landscape, tmp_path: Path) -> None:
    earthquake = place_earthquake(landscape.grid, 5)
    path = tmp_path / "grid.xml"
    path.write_text(shakemap_xml(earthquake, landscape.grid))
    shakemap = read_shakemap(path)
    assert shakemap.units["PGA"] == "%g"
    assert shakemap.units["PGV"] == "cm/s"
    assert "magnitude 6.6" in shakemap.event
    pga, pgv = shaking_on(earthquake, landscape.grid)
    for name, expected in (("pga", pga), ("pgv", pgv)):
        written = write_shakemap(path, tmp_path, [name])[name]
        np.testing.assert_allclose(align_raster(written, landscape.grid), expected, rtol=0.02)
    np.testing.assert_allclose(
        shakemap.values("MMI"), 3.47 * np.log10(shakemap.values("PGV")) + 2.35, atol=0.006
    )  # fmt: skip


def test_the_usgs_model_runs_on_the_files(study: Path) -> None:
    result = usgs_landslide_map(study / "ground_failure")
    assert np.isfinite(result.probability).all()
    assert 0.2 < result.probability.mean() < 0.8
    _, grid, _ = read_layer(study / "dem.tif")
    x, y = result.grid.map_coordinates(*np.mgrid[0 : result.grid.rows : 4, 0 : result.grid.cols : 4] + 0.5)
    east, north = pyproj.Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(x, y)
    area = make_area(OPTIONS)
    _, pgv = area.earthquake.shaking(east, north)
    np.testing.assert_allclose(result.inputs["pgv"][::4, ::4], pgv, rtol=0.02)


# Climate


def test_coherence_tells_of_wet_soil_only_where_asked_to(landscape: Landscape) -> None:
    wet, blind = make_climate(landscape, 5, 0.1), make_climate(landscape, 5, 0.0)
    np.testing.assert_array_equal(wet.soil_moisture, blind.soil_moisture)
    change = wet.seasonal_coherence.astype(float) - blind.seasonal_coherence
    both = np.stack([wet.seasonal_coherence, blind.seasonal_coherence])
    inside = ((both > 0.0201) & (both < 0.9899)).all(axis=0)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(change[inside], -0.1 * standardised(wet.soil_moisture)[inside], atol=2e-6)
    np.testing.assert_allclose(
        wet.amplitude_mean - blind.amplitude_mean, 0.6 * standardised(wet.soil_moisture), atol=1e-4
    )
    moisture = standardised(blind.soil_moisture).ravel()
    assert np.corrcoef(moisture, standardised(np.log(wet.precipitation_mm)).ravel())[0, 1] > 0.4
    assert wet.precipitation_mm.min() > 200.0
    assert 0.05 <= wet.soil_moisture.min() < wet.soil_moisture.max() <= 0.5


@given(rows=st.integers(1, 23), cells=st.integers(1, 9))
def test_coarse_products_are_means(rows: int, cells: int) -> None:
    grid = Grid(rows, 17, Affine(30.0, 0.0, 4e5, 0.0, -30.0, 3e6), "EPSG:32645")
    values = np.random.default_rng(rows).normal(size=grid.shape).astype(np.float32)
    coarse, coarse_grid = coarse_product(values, grid, cells)
    for row in range(coarse_grid.rows):
        for col in range(coarse_grid.cols):
            block = values[row * cells : (row + 1) * cells, col * cells : (col + 1) * cells]
            assert coarse[row, col] == pytest.approx(block.mean(dtype=float), abs=1e-6)
    assert coarse_grid.resolution == (30.0 * cells, 30.0 * cells)
    assert coarse_grid.bounds[0] == grid.bounds[0]
    assert coarse_grid.bounds[3] == grid.bounds[3]


# InSAR


def test_event_layers_hang_together(landscape: Landscape) -> None:
    covered = np.zeros(landscape.grid.shape, np.bool_)
    covered[20:30, 20:30] = True
    layers = event_layers(landscape, covered, 0.7, 5)
    before, across, after = (layers[f"coherence_{when}"] for when in ("pre", "co", "post"))
    inner = np.zeros_like(covered)
    inner[21:29, 21:29] = True
    far = ~maximum_filter(covered, 3)
    for where, kept in ((inner, 0.3), (far, 1.0)):
        error = across[where] - kept * landscape.coherence_co[where].astype(float)
        expected = 0.12 * (1.0 - (kept * landscape.coherence_co[where]) ** 2)
        assert np.abs(error / expected).mean() == pytest.approx(np.sqrt(2.0 / np.pi), rel=0.25)
        assert np.abs(error.mean()) < 4.0 * expected.mean() / np.sqrt(error.size)
    np.testing.assert_array_equal(before, landscape.coherence_pre)
    np.testing.assert_allclose(layers["coherence_loss"], before - across, atol=1e-6)
    np.testing.assert_array_equal(layers["coherence_loss"], layers["damage_proxy"])
    np.testing.assert_allclose(layers["coherence_recovery"], after - across, atol=1e-6)
    both = layers["coherence_loss"], layers["coherence_recovery"]
    np.testing.assert_allclose(layers["coherence_change_sum"], both[0] + both[1], atol=1e-6)
    np.testing.assert_array_equal(layers["coherence_change_max"], np.maximum(*both))
    rim = covered.copy()
    rim[23:27, 23:27] = False
    assert layers["boxcar_sibling"][rim].mean() < layers["boxcar_sibling"][~covered].mean() - 0.05


def test_without_an_effect_no_layer_tells_of_slides(landscape: Landscape) -> None:
    blocks = np.random.default_rng(1).uniform(size=(8, 8)) < 0.3
    covered = np.kron(blocks, np.ones((8, 8))).astype(bool)
    some, none = event_layers(landscape, covered, 0.0, 5), event_layers(landscape, ~covered, 0.0, 5)
    for name, layer in some.items():
        np.testing.assert_array_equal(layer, none[name])
    told = event_layers(landscape, covered, 0.7, 5)["coherence_loss"]
    assert drawn_auc(told, np.flatnonzero(covered)) > 0.7
    blind = OPTIONS.without_insar()
    assert blind.effects["velocity_absolute"] == 0.0
    area = make_area(blind)
    assert np.abs(area.layers[STEP_LAYER]).max() < 0.1


def test_the_series_has_the_rates_of_the_layers(study: Path) -> None:
    series = read_timeseries(study / "insar" / "timeseries.h5")
    layer = {path.stem: read_layer(path)[0] for path in (study / "insar" / "layers").iterdir()}
    _, grid, _ = read_layer(study / "insar" / "layers" / "velocity.tif")
    assert series.grid == grid
    assert series.attributes["UNIT"] == "m"
    assert len(series.dates) == 48
    years = np.array([(day - series.dates[0]).days for day in series.dates]) / 365.25
    values = np.asarray(series.displacement_m, float).reshape(48, -1)
    assert (values[0] == 0.0).all()
    slope, _ = np.polyfit(years, values, 1)
    np.testing.assert_allclose(slope, layer["velocity"].ravel(), atol=2e-8)
    np.testing.assert_array_equal(series.displacement_m[-1], layer["cumulative_displacement"])
    left = values - np.polyval(np.polyfit(years, values, 1), years[:, None])
    sigma = np.sqrt((left**2).sum(axis=0) / 46 / ((years - years.mean()) ** 2).sum())
    np.testing.assert_allclose(sigma, layer["velocity_std"].ravel(), rtol=1e-4)
    recent = [(series.dates[-1] - day).days <= 60 for day in series.dates]
    np.testing.assert_allclose(
        np.polyfit(years[recent], values[recent], 1)[0], layer["velocity_recent"].ravel(), atol=1e-6
    )


def test_the_package_follows_the_series(study: Path) -> None:
    series = open_series(study / "insar")
    names = series.followed(("cumulative_displacement", "velocity", "velocity_std", "velocity_recent"))
    assert len(names) == 4
    epochs, _ = plan_epochs(series, names)
    values = np.asarray(read_timeseries(series.path).displacement_m).reshape(48, -1)
    told = layers_until(values, epochs[-1].fit, names)
    for name, found in zip(names, told, strict=True):
        written = read_layer(study / "insar" / "layers" / f"{name}.tif")[0].ravel()
        np.testing.assert_allclose(found, written, rtol=1e-3, atol=2e-6)


def test_one_patch_accelerates_before_the_end(study: Path) -> None:
    truth = json.loads((study / "truth" / "timeseries.json").read_text())
    change, _, _ = read_layer(study / "truth" / "rate_change.tif")
    assert np.abs(change).max() == pytest.approx(truth["rate_change_m_per_year"])
    patch = np.abs(change) > 0.0
    assert 0.01 < patch.mean() < 0.2
    series = read_timeseries(study / "insar" / "timeseries.h5")
    years = np.array([(day - series.dates[-1]).days for day in series.dates]) / 365.25
    start = date.fromisoformat(truth["change_day"])
    assert (series.dates[-1] - start).days == CHANGE_DAYS
    weight = change / np.sum(change.astype(float) ** 2)
    along = np.tensordot(np.asarray(series.displacement_m, float), weight, axes=2)
    since = np.maximum(years + CHANGE_DAYS / 365.25, 0.0)
    design = np.stack([np.ones_like(years), years, since], axis=1)
    # The patch's mean motion, weighted by the change, bends by exactly one times the change.
    fitted = np.linalg.lstsq(design, along, rcond=None)[0]
    left = along - design @ fitted
    error = np.sqrt((left**2).sum() / 45 * np.linalg.inv(design.T @ design)[2, 2])
    assert fitted[2] == pytest.approx(1.0, abs=4.0 * error)
    assert error < 0.1


def test_the_series_does_not_depend_on_what_is_read_first() -> None:
    wide = make_landscape(72, 2)
    plan = plan_series(wide, 0.2, 2)
    assert [rows.stop - rows.start for rows, _ in plan.blocks()] == [64, 8]
    again = plan_series(wide, 0.2, 2)
    for (_, one), (_, other) in zip(plan.blocks(), again.blocks(), strict=True):
        np.testing.assert_array_equal(one, other)
    fitted = layers_of_series(plan)
    outside = plan.rate_change == 0.0
    np.testing.assert_allclose(fitted.velocity_std[outside], wide.velocity_std[outside], rtol=1e-4)
    assert (fitted.velocity_std[~outside] > 0.9 * wide.velocity_std[~outside]).all()


# The inventories of a study


def test_rainfall_landslides_follow_their_probability(study: Path) -> None:
    truth = json.loads((study / "truth" / "rainfall_model.json").read_text())
    probability, grid, _ = read_layer(study / "truth" / "rainfall_probability.tif")
    moisture, _, layer = read_layer(study / "truth" / "soil_moisture.tif")
    assert layer.unit == "m3/m3"
    known = np.isfinite(probability)
    assert np.nansum(probability) == pytest.approx(OPTIONS.rainfall_share * known.sum(), rel=1e-3)
    assert truth["coefficients"]["soil_moisture"] == OPTIONS.soil_moisture_effect
    _, _, geometries, fields = pyogrio.raw.read(study / "rainfall_landslides.gpkg", columns=["date"])
    x, y = shapely.get_coordinates(shapely.from_wkb(geometries)).T
    row, col = (np.floor(place).astype(int) for place in grid.pixel_coordinates(x, y))
    drawn = np.zeros(grid.shape, np.bool_)
    drawn[row, col] = True
    assert drawn.sum() == truth["landslide_cells"] == len(geometries)
    assert score(drawn[known], probability[known])["auc_roc"] == pytest.approx(truth["drawn_auc"], abs=1e-5)
    assert fields[0].min() >= np.datetime64("2022-12-01")
    assert fields[0].max() <= np.datetime64("2023-02-28")
    assert moisture[drawn].mean() > moisture.mean()


def test_streams_of_one_seed_are_independent() -> None:
    p = np.full((100, 100), 0.3)
    one, other = draw_inventory(p, 1), draw_inventory(p, 1, stream=8)
    both = np.intersect1d(one, other).size
    assert both == pytest.approx(900, abs=5 * np.sqrt(900))


def test_a_study_without_slides_and_without_rain_is_one(tmp_path: Path) -> None:
    options = SimulationOptions(size=24, landslides=40, slides_per_km2=0.0, rainfall_share=0.0)
    simulate_study(tmp_path / "out", options)
    truth = json.loads((tmp_path / "out" / "truth" / "earthquake.json").read_text())
    assert truth["landslides"] == 0
    assert truth["drawn_auc"] is None
    assert pyogrio.read_info(tmp_path / "out" / "earthquake_landslides.gpkg")["features"] == 0


def test_the_recipes_of_the_papers_are_in_the_study(study: Path) -> None:
    for name in PAPER_RECIPES:
        recipe = read_recipe(study / f"{name}.toml")
        assert recipe.files()


def test_shares_beyond_reason_are_refused() -> None:
    with pytest.raises(OptionError, match="coherence_loss"):
        SimulationOptions(coherence_loss=1.5)
    with pytest.raises(OptionError, match="rainfall_share"):
        SimulationOptions(rainfall_share=0.7)
