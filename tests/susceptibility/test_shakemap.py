"""ShakeMap grids: read, placed, named with their units, written as rasters, refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from insar.grid import Grid, LonLat
from insar.layers import read_layer
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.shakemap import is_shakemap, read_shakemap, write_shakemap
from susceptibility.storage import align_raster

WEST, SOUTH, STEP = 10.0, 45.0, 0.05
Writer = Callable[..., Path]


@pytest.fixture
def write_grid(tmp_path: Path) -> Writer:
    """Write a ShakeMap of 3 rows x 4 columns whose PGV is 10 row + column, rows counted from the north."""

    def write(
        *,
        west: float = WEST,
        shuffled: bool = False,
        fields: str = '<grid_field index="3" name="PGV" units="cms"/><grid_field index="4" name="PSA03" units=""/>',
        specification: str = "",
        nodes: list[str] | None = None,
    ) -> Path:
        if nodes is None:
            nodes = [
                f"{(west + STEP * col + 180.0) % 360.0 - 180.0:.4f} {SOUTH + STEP * (2 - row):.4f} {10 * row + col} 7.5"
                for row in range(3)
                for col in range(4)
            ]
        if shuffled:
            nodes = [nodes[index] for index in np.random.default_rng(1).permutation(len(nodes))]
        east = (west + 3 * STEP + 180.0) % 360.0 - 180.0
        specification = specification or (
            f'lon_min="{west}" lat_min="{SOUTH}" lon_max="{east}" lat_max="{SOUTH + 2 * STEP}" '
            f'nominal_lon_spacing="0.05" nominal_lat_spacing="0.05" nlon="4" nlat="3"'
        )
        path = tmp_path / "grid.xml"
        path.write_text(
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<shakemap_grid xmlns="http://earthquake.usgs.gov/eqcenter/shakemap" event_id="us1">'
            '<event event_id="us1" magnitude="6.1" event_description="Nowhere" />'
            f"<grid_specification {specification} />"
            '<grid_field index="1" name="LON" units="dd" /><grid_field index="2" name="LAT" units="dd" />'
            f"{fields}<grid_data>\n" + "\n".join(nodes) + "\n</grid_data></shakemap_grid>",
            encoding="utf-8",
        )
        return path

    return write


@pytest.mark.parametrize("shuffled", [False, True])
def test_nodes_are_centres_of_pixels(write_grid: Writer, shuffled: bool) -> None:
    """Whatever the order of the nodes in the file."""
    shakemap = read_shakemap(write_grid(shuffled=shuffled))
    np.testing.assert_array_equal(shakemap.values("pgv"), 10 * np.arange(3)[:, None] + np.arange(4))
    assert shakemap.grid.crs == "EPSG:4326"
    np.testing.assert_allclose(
        shakemap.grid.bounds, (WEST - STEP / 2, SOUTH - STEP / 2, WEST + 3.5 * STEP, SOUTH + 2.5 * STEP)
    )
    pixel = shakemap.grid.rowcol(LonLat(WEST + 2 * STEP, SOUTH + STEP))
    assert shakemap.values("PGV")[pixel] == 12.0


def test_units_and_meanings(write_grid: Writer) -> None:
    """A unit that the file states is written in our way; where it states none it is that of every ShakeMap."""
    shakemap = read_shakemap(write_grid())
    assert shakemap.units == {"PGV": "cm/s", "PSA03": "%g"}
    definition = shakemap.definition("psa03")
    assert (definition.name, definition.unit) == ("psa03", "%g")
    assert definition.description == "Spectral acceleration at a period of 0.3 s: Nowhere, magnitude 6.1 (us1)"
    with pytest.raises(OptionError, match="PGV, PSA03"):
        shakemap.values("PGD")


def test_a_map_across_the_date_line(write_grid: Writer) -> None:
    shakemap = read_shakemap(write_grid(west=179.9))
    np.testing.assert_array_equal(shakemap.values("PGV"), 10 * np.arange(3)[:, None] + np.arange(4))
    assert shakemap.grid.bounds[0] == pytest.approx(179.875)


def test_unknown_values_stay_unknown(write_grid: Writer) -> None:
    nodes = [f"{WEST + STEP * col} {SOUTH + STEP * row} nan 1" for row in range(3) for col in range(4)]
    assert np.isnan(read_shakemap(write_grid(nodes=nodes)).values("PGV")).all()


def test_written_as_a_raster_that_aligns(write_grid: Writer, tmp_path: Path) -> None:
    """Interpolated linearly, the plane of the nodes is met anywhere within them."""
    paths = write_shakemap(write_grid(), tmp_path / "layers", ["PGV"])
    assert list(paths) == ["pgv"]
    _, grid, definition = read_layer(paths["pgv"])
    assert (definition.unit, definition.description) == ("cm/s", "Peak ground velocity: Nowhere, magnitude 6.1 (us1)")
    fine = Grid(
        20, 30, grid.transform.translation(WEST, SOUTH + 2 * STEP) @ grid.transform.scale(0.005, -0.005), grid.crs
    )
    rows, cols = np.mgrid[0:20, 0:30] + 0.5
    np.testing.assert_allclose(align_raster(paths["pgv"], fine), 10 * rows * 0.1 + cols * 0.1, atol=1e-4)


def test_recognised_by_content(write_grid: Writer, tmp_path: Path) -> None:
    assert is_shakemap(write_grid())
    (tmp_path / "other.xml").write_text("<metadata/>", encoding="utf-8")
    assert not is_shakemap(tmp_path / "other.xml")
    assert not is_shakemap(tmp_path / "absent.xml")


def test_damaged_files_are_refused(write_grid: Writer, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        read_shakemap(tmp_path / "absent.xml")
    path = write_grid()
    path.write_text(path.read_text(encoding="utf-8")[:-80], encoding="utf-8")
    with pytest.raises(InputError, match="whole ShakeMap"):
        read_shakemap(path)
    nodes = [f"{WEST + STEP * col} {SOUTH + STEP * row} 1 1" for row in range(3) for col in range(4)]
    for broken, message in (
        (nodes[:-1], "11 nodes"),
        ([*nodes[:-1], nodes[0]], "two values for one node"),
        ([*nodes[:-1], f"{WEST + 1.4 * STEP} {SOUTH} 1 1"], "off the regular grid"),
        ([*nodes[:-1], "10.0 45.0 high 1"], "words among the numbers"),
        ([*nodes[:-1], "10.0 45.0 1"], "47 numbers for 4 fields"),
    ):
        with pytest.raises(InputError, match=message):
            read_shakemap(write_grid(nodes=broken))
    with pytest.raises(InputError, match="bounds or its size"):
        read_shakemap(write_grid(specification='nlon="4"'))
    (tmp_path / "other.xml").write_text("<metadata/>", encoding="utf-8")
    with pytest.raises(InputError, match="no grid_specification"):
        read_shakemap(tmp_path / "other.xml")


def test_entities_are_refused(tmp_path: Path) -> None:
    """A file from a stranger must not expand to gigabytes."""
    path = tmp_path / "grid.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><shakemap_grid>&b;</shakemap_grid>', encoding="utf-8")
    with pytest.raises(InputError, match="whole ShakeMap"):
        read_shakemap(path)
