"""From a recipe to the joined table, on every kind of unit, as a user types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from susceptibility.cli import main
from susceptibility.simulate import SimulationOptions, simulate_study
from susceptibility.storage import read_raster
from susceptibility.table_files import read_table
from susceptibility.units import read_units

FACTORS = """
[factors]
dem = "dem.tif"
terrain = ["elevation", "slope", "aspect", "relief", "twi", "ksn", "drainage_density", "distance_to_river"]
[factors.drainage]
stream_area_m2 = 100000.0
[factors.distances]
road = "roads.gpkg"
fault = {path = "faults.gpkg"}
[factors.categories]
lithology = {path = "lithology.gpkg", field = "name"}
[factors.insar]
path = "insar"
layers = ["damage_proxy"]
absolute = ["velocity"]
[inventory]
path = "inventory_polygons.gpkg"
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A simulated study."""
    folder = tmp_path_factory.mktemp("study") / "study"
    simulate_study(folder, SimulationOptions(size=96, landslides=60))
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command; its exit code, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["susceptibility", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


def table_of(run, study, tmp_path, units):
    recipe = study / "units.toml"
    recipe.write_text(FACTORS + units)
    code, out, error = run("table", recipe, "-o", tmp_path / "t.parquet")
    assert code == 0, error
    assert out.split() == [str(tmp_path / "t.parquet"), str(tmp_path / "t_report" / "report.html")]
    return read_table(tmp_path / "t.parquet")


def test_cells(run, study, tmp_path):
    table = table_of(run, study, tmp_path, "")
    assert table.rows == 96 * 96
    slope = read_raster(study / "dem.tif")[0]
    np.testing.assert_array_equal(table.read("elevation"), slope.ravel())
    shares = np.stack([table.read(name) for name in table.names if name.startswith("lithology_")], axis=1)
    np.testing.assert_array_equal(shares.sum(axis=1), 1.0)
    assert table.column("velocity_absolute").unit == "m/yr"
    assert set(np.unique(table.read("landslide"))) == {0.0, 1.0}
    assert (table.read("lad") > 0).sum() == (table.read("landslide") > 0).sum()
    provenance = table.provenance
    assert provenance["inputs"]["factors.dem"]["name"] == "dem.tif"
    assert "[factors]" in provenance["recipe"]


def test_aggregates_are_means_of_their_cells(run, study, tmp_path):
    table = table_of(
        run, study, tmp_path, '[units]\nkind = "aggregate"\nsize_m = 120.0\nstatistics = ["mean", "max"]\n'
    )
    elevation, grid = read_raster(study / "dem.tif")
    side = round(120.0 / grid.resolution[0])
    blocks = elevation.reshape(96 // side, side, 96 // side, side).swapaxes(1, 2).reshape(-1, side * side)
    np.testing.assert_allclose(table.read("elevation_mean"), blocks.mean(axis=1, dtype=np.float64), rtol=1e-6)
    np.testing.assert_array_equal(table.read("elevation_max"), blocks.max(axis=1))
    assert table.column("aspect_circular_mean").is_angle
    velocity = np.abs(read_raster(study / "insar" / "layers" / "velocity.tif")[0])
    blocks = velocity.reshape(96 // side, side, 96 // side, side).swapaxes(1, 2).reshape(-1, side * side)
    np.testing.assert_allclose(table.read("velocity_absolute_mean"), np.nanmean(blocks, axis=1), rtol=1e-5)
    assert {"velocity_absolute_sigma", "velocity_absolute_moving_share"} <= set(table.names)
    assert "damage_proxy_extreme" in table.names


def test_slope_units_from_a_file_are_those_made_on_the_way(run, study, tmp_path):
    options = ("--least-area", 20_000, "--channel-area", 100_000)
    code, out, error = run("units", study / "dem.tif", "-o", tmp_path / "units.gpkg", *options)
    assert code == 0, error
    units = read_units(tmp_path / "units.gpkg")
    assert out.strip() == f"{tmp_path / 'units.gpkg'}: {units.count} units"
    sizes = "least_area_m2 = 20000.0\nchannel_area_m2 = 100000.0\n"
    made = table_of(run, study, tmp_path / "made", f'[units]\nkind = "slope"\n{sizes}')
    read = table_of(run, study, tmp_path / "read", f'[units]\nkind = "slope"\npath = "{tmp_path / "units.gpkg"}"\n')
    assert made.rows == read.rows == units.count
    for name in made.names:
        np.testing.assert_array_equal(made.read(name), read.read(name))
    np.testing.assert_allclose(made.read("area_m2"), units.area_m2)


def test_polygons_of_the_user(run, study, tmp_path):
    table = table_of(run, study, tmp_path, '[units]\nkind = "polygons"\npath = "lithology.gpkg"\n')
    assert table.rows > 3
    shares = np.stack([table.read(name) for name in table.names if name.startswith("lithology_")], axis=1)
    assert np.all(shares.max(axis=1) > 0.95)  # each polygon is of one rock
    assert table.geometry is not None


def test_factors_with_lines(run, study, tmp_path):
    names = "slope,twi,ksn,relief"
    lines = ("--roads", study / "roads.gpkg", "--faults", study / "faults.gpkg")
    code, out, error = run("factors", study / "dem.tif", "-o", tmp_path, "--names", names, "--stream-area", 0.1, *lines)
    assert code == 0, error
    written = {Path(line).stem for line in out.split()}
    assert written == {"slope", "twi", "ksn", "relief", "distance_to_road", "distance_to_fault"}
    assert (tmp_path / "streams.gpkg").is_file()
    assert np.isfinite(read_raster(tmp_path / "ksn.tif")[0]).mean() > 0.5


def test_the_report_names_what_says_the_same(run, study, tmp_path):
    table_of(run, study, tmp_path, '[units]\nkind = "aggregate"\nsize_m = 120.0\n')
    folder = tmp_path / "t_report"
    page = (folder / "report.html").read_text()
    assert "each follows from the others" in page  # shares of rocks add up to 1
    assert {path.name for path in folder.iterdir()} >= {"correlation.csv", "vif.csv", "loadings.csv", "vif.png"}


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ('[units]\nkind = "polygons"\n', "'path' of the polygons"),
        ('[units]\nkind = "aggregate"\npath = "roads.gpkg"\n', "no 'path'"),
        ('[units]\nkind = "hexagons"\n', "units.kind"),
        ('[units]\nkind = "aggregate"\nstatistics = ["modus"]\n', "modus"),
        ('[units]\nkind = "slope"\npath = "nothing.gpkg"\n', "nothing.gpkg"),
    ],
)
def test_units_that_cannot_be_are_refused(run, study, tmp_path, units, message):
    recipe = study / "wrong.toml"
    recipe.write_text(FACTORS + units)
    code, _, error = run("table", recipe, "-o", tmp_path / "t.parquet")
    assert code == 2
    assert message in error
    assert not (tmp_path / "t.parquet").exists()


def test_other_suffixes_are_refused_before_any_work(run, study, tmp_path):
    (study / "cells.toml").write_text(FACTORS)
    code, _, error = run("table", study / "cells.toml", "-o", tmp_path / "t.xlsx")
    assert code == 2
    assert ".parquet or .csv" in error


def test_classes_and_distances_are_features_of_a_run(run, study, tmp_path):
    recipe = study / "run.toml"
    settings = '[models]\nnames = ["logistic_regression"]\n[validation]\nfolds = 2\n[sampling]\nrepeats = 1\n'
    recipe.write_text(FACTORS + settings)
    code, _, error = run("run", recipe, "-o", tmp_path / "out", "-q")
    assert code == 0, error
    sets = json.loads((tmp_path / "out" / "manifest.json").read_text())["feature_sets"]
    assert "distance_to_fault" in sets["static"]
    assert "lithology" in sets["static"]
    assert "velocity_absolute" not in sets["static"]
    assert "velocity_absolute" in sets["static_insar"]
