"""Coregistered images of SNAP: one product of all dates or one for each, in radar geometry or on a map."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from insar.constants import SPEED_OF_LIGHT_M_PER_S
from insar.errors import InputError, MissingInputError, OptionError
from insar.readers.slc import looks_like_slcs, open_slcs
from insar.readers.tie_points import read_tie_points

from .builders import SnapBuilder, plane
from .slc_builders import COLS, ROWS, SNAP_DAYS, speckle

SIZE = (ROWS, COLS)
WHOLE = (slice(0, ROWS), slice(0, COLS))
EXPECTED = np.stack([speckle(seed) for seed in range(3)])

_TIES = {"latitude": (19.0, -0.001, 0.0001), "longitude": (-99.0, 0.0002, 0.002), "incident_angle": (30.0, 0.0, 0.5)}
_OFFSET, _STEP = (-2.0, -1.0), (4.0, 3.0)
"""Of tie points, in rows and columns."""


def parts(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"i_{name}": values.real, f"q_{name}": values.imag}


def add_stack(snap: SnapBuilder, *, roles: tuple[str, ...] = ("mst", "slv1", "slv2"), **options: object) -> Path:
    bands: dict[str, np.ndarray] = {}
    for seed, (role, day) in enumerate(zip(roles, SNAP_DAYS, strict=True)):
        bands |= parts(f"IW1_VV_{role}_{day}", speckle(seed))
    virtual = tuple(f"Intensity_IW1_VV_{role}_{day}" for role, day in zip(roles, SNAP_DAYS, strict=True))
    return snap.add_product("stack", bands, virtual=virtual, size=SIZE, **options)


def in_radar(snap: SnapBuilder, *, ties: bool = True) -> Path:
    """A stack in radar geometry, with tie points that are linear in row and column."""
    path = add_stack(snap, geoposition="<Geoposition_Points/>")
    if not ties:
        return path
    folder = path.with_suffix(".data") / "tie_point_grids"
    folder.mkdir()
    tie_row, tie_col = np.mgrid[0:4, 0:3]
    declared = files = ""
    for index, (name, (start, down, across)) in enumerate(_TIES.items()):
        row, col = _OFFSET[0] + _STEP[0] * tie_row, _OFFSET[1] + _STEP[1] * tie_col
        (start + down * row + across * col).astype(">f4").tofile(folder / f"{name}.img")
        (folder / f"{name}.hdr").write_text(
            "ENVI\nsamples = 3\nlines = 4\nbands = 1\ndata type = 4\ninterleave = bsq\nbyte order = 1\n"
        )
        declared += (
            f"<Tie_Point_Grid_Info><TIE_POINT_GRID_INDEX>{index}</TIE_POINT_GRID_INDEX><TIE_POINT_GRID_NAME>{name}"
            f"</TIE_POINT_GRID_NAME><NCOLS>3</NCOLS><NROWS>4</NROWS><OFFSET_X>{_OFFSET[1]}</OFFSET_X><OFFSET_Y>"
            f"{_OFFSET[0]}</OFFSET_Y><STEP_X>{_STEP[1]}</STEP_X><STEP_Y>{_STEP[0]}</STEP_Y></Tie_Point_Grid_Info>"
        )
        files += (
            f"<Tie_Point_Grid_File><TIE_POINT_GRID_FILE_PATH href='old.data/tie_point_grids/{name}.hdr'/>"
            f"<TIE_POINT_GRID_INDEX>{index}</TIE_POINT_GRID_INDEX></Tie_Point_Grid_File>"
        )
    text = path.read_text("latin-1").replace(
        "</Data_Access>", f"{files}</Data_Access><Tie_Point_Grids>{declared}</Tie_Point_Grids>"
    )
    path.write_text(text, "latin-1")
    return path


@pytest.mark.parametrize("roles", [("mst", "slv1", "slv2"), ("ref", "sec1", "sec2"), ("ref", "slv1", "slv2")])
def test_one_product_on_a_map(snap: SnapBuilder, roles: tuple[str, ...]) -> None:
    path = add_stack(snap, roles=roles)
    assert looks_like_slcs([snap.root])
    for place in (snap.root, path, path.with_suffix(".data")):
        slc = open_slcs([place])
        assert (slc.processor, slc.shape, slc.polarisation, slc.grid.crs) == ("snap", SIZE, "VV", "EPSG:4326")
        assert slc.dates == (date(2018, 1, 6), date(2018, 1, 18), date(2018, 1, 30))
        np.testing.assert_array_equal(slc.read(np.arange(3), *WHOLE), EXPECTED)
    np.testing.assert_array_equal(slc.read(np.array([2]), slice(2, 5), slice(1, 3))[0], EXPECTED[2, 2:5, 1:3])
    assert slc.wavelength_m == SPEED_OF_LIGHT_M_PER_S / 5405.0005e6
    assert slc.acquisition.orbit_direction == "ascending"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(slc)).read(np.arange(3), *WHOLE), EXPECTED)


def test_a_product_for_each_date(snap: SnapBuilder) -> None:
    for seed, (day, name) in enumerate(zip(SNAP_DAYS, ("20180106", "20180118", "20180130"), strict=True)):
        # dates in the bands of the first, in the product's name, and in its first line alone
        band = (f"VV_{day}", "IW1_VV", "VV")[seed]
        snap.metadata["first_line_time"] = f"{day[:2]}-JAN-2018 00:00:10.5"
        snap.add_product(
            f"{(name, name, 'third')[seed]}/x{(name, name, '')[seed]}", parts(band, speckle(seed)), size=SIZE
        )
    slc = open_slcs([snap.root])
    assert slc.dates == (date(2018, 1, 6), date(2018, 1, 18), date(2018, 1, 30))
    np.testing.assert_array_equal(slc.read(np.arange(3), *WHOLE), EXPECTED)
    two = open_slcs(sorted(snap.root.glob("2018*")))
    assert len(two.dates) == 2


def test_radar_geometry_by_tie_points(snap: SnapBuilder) -> None:
    slc = open_slcs([in_radar(snap)])
    assert slc.in_radar_coordinates
    row, col = np.mgrid[0:ROWS, 0:COLS] + 0.5
    for name, found in (
        ("latitude", slc.geometry.latitude),
        ("longitude", slc.geometry.longitude),
        ("incident_angle", slc.geometry.incidence_angle),
    ):
        start, down, across = _TIES[name]
        assert found is not None
        np.testing.assert_allclose(np.asarray(found), start + down * row + across * col, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(found.read(slice(2, 5), slice(3, 6)), np.asarray(found)[2:5, 3:6])
    assert any("tie points, which know no terrain" in note for note in slc.notes)
    assert any("no height" in note for note in slc.notes)


def test_tie_points_across_the_180th_meridian(snap: SnapBuilder) -> None:
    path = in_radar(snap)
    file = path.with_suffix(".data") / "tie_point_grids/longitude.img"
    np.tile(np.array([179.9, -180.0, -179.9], ">f4"), 4).tofile(file)
    points = read_tie_points(path, "longitude")["longitude"]
    found = points.read_window(slice(0, 1), slice(0, 5))[0]
    np.testing.assert_allclose(found, 179.9 + 0.1 * (np.arange(5) + 1.5) / 3.0, atol=1e-4)


def test_tie_points_that_cannot_be_read(snap: SnapBuilder) -> None:
    path = in_radar(snap)
    text = path.read_text("latin-1")
    path.write_text(text.replace("<NROWS>4</NROWS>", "<NROWS>5</NROWS>"), "latin-1")
    with pytest.raises(InputError, match=r"latitude\.hdr: .*5 rows x 3 columns; found 4 rows x 3 columns"):
        open_slcs([path])
    path.write_text(text.replace("<STEP_X>3.0</STEP_X>", "<STEP_X>0</STEP_X>"), "latin-1")
    with pytest.raises(InputError, match=r"stack\.dim: required NROWS, NCOLS, OFFSET_X"):
        open_slcs([path])


def test_no_tie_points(snap: SnapBuilder) -> None:
    slc = open_slcs([in_radar(snap, ties=False)])
    assert slc.geometry.latitude is None
    assert any("no place" in note for note in slc.notes)


def test_places_that_know_the_terrain_go_before_tie_points(snap: SnapBuilder) -> None:
    in_radar(snap)
    latitude = np.full(SIZE, 19.25)
    latitude[0, 0] = 0.0
    snap.add_product(
        "places",
        {"orthorectifiedLat": latitude, "orthorectifiedLon": latitude - 118.0, "elevation": np.zeros(SIZE)},
        size=SIZE,
        geoposition="",
        no_data=None,
    )
    slc = open_slcs([snap.root])
    found = np.asarray(slc.geometry.latitude)
    assert np.isnan(found[0, 0])
    assert found[1, 1] == 19.25
    np.testing.assert_array_equal(np.asarray(slc.geometry.height), 0.0)
    assert not any("tie points" in note for note in slc.notes)


def test_geometry_on_a_map(snap: SnapBuilder) -> None:
    add_stack(snap)
    angle = np.full(SIZE, 39.0, np.float32)
    snap.add_product("dem", {"elevation": angle * 0.0, "incidenceAngleFromEllipsoid": angle}, size=SIZE)
    slc = open_slcs([snap.root])
    np.testing.assert_array_equal(np.asarray(slc.geometry.incidence_angle), 39.0)
    assert slc.geometry.height is not None


def test_integers_and_little_endian(snap: SnapBuilder) -> None:
    path = add_stack(snap, order="<")
    for seed, (role, day) in enumerate(zip(("mst", "slv1"), SNAP_DAYS, strict=False)):
        for letter, part in (("i", speckle(seed).real), ("q", speckle(seed).imag)):
            image = path.with_suffix(".data") / f"{letter}_IW1_VV_{role}_{day}.img"
            np.round(part * 1000).astype(">i2").tofile(image)
            header = image.with_suffix(".hdr")
            text = header.read_text().replace("data type = 4", "data type = 2")
            header.write_text(text.replace("byte order = 0", "byte order = 1"))
    block = open_slcs([snap.root]).read(np.arange(3), *WHOLE)
    np.testing.assert_array_equal(block[2], EXPECTED[2])
    np.testing.assert_array_equal(block[:2].real, np.round(EXPECTED[:2].real * 1000))
    np.testing.assert_array_equal(block[:2].imag, np.round(EXPECTED[:2].imag * 1000))


def test_no_data_is_what_both_parts_declare(snap: SnapBuilder) -> None:
    values = speckle(0)
    values[3, 3], values[4, 4] = -999 - 999j, -999 + 1j
    for day in SNAP_DAYS[:2]:
        snap.add_product(f"a{day}", parts(f"VV_{day}", values), size=SIZE, no_data="-999.0")
    block = open_slcs([snap.root]).read(np.array([0]), *WHOLE)[0]
    assert block[3, 3] == 0.0
    assert block[4, 4] == -999 + 1j
    assert block[2, 2] == 0.5j


def test_polarisations_and_subswaths(snap: SnapBuilder) -> None:
    bands: dict[str, np.ndarray] = {}
    for seed, day in enumerate(SNAP_DAYS):
        for number, name in enumerate(("IW1_VV", "IW1_VH", "IW2_VV", "IW2_VH")):
            bands |= parts(f"{name}_{day}", speckle(seed + 10 * number))
    snap.add_product("all", bands, size=SIZE)
    with pytest.raises(OptionError, match="--subswath: required one of IW1, IW2, which the images are of; found none"):
        open_slcs([snap.root])
    with pytest.raises(OptionError, match="--subswath: required one of IW1, IW2; found IW3"):
        open_slcs([snap.root], subswath="IW3")
    slc = open_slcs([snap.root], subswath="iw2")
    assert slc.polarisation == "VV"
    assert any("polarisation VV is taken, and VH left out" in note for note in slc.notes)
    np.testing.assert_array_equal(slc.read(np.array([1]), *WHOLE)[0], speckle(21))
    crossed = open_slcs([snap.root], subswath="IW1", polarisation="VH")
    np.testing.assert_array_equal(crossed.read(np.array([1]), *WHOLE)[0], speckle(11))
    with pytest.raises(OptionError, match="--polarisation: required one of VH, VV; found HH"):
        open_slcs([snap.root], subswath="IW1", polarisation="HH")


def test_interferograms_are_no_images(whole_snap: SnapBuilder) -> None:
    assert not looks_like_slcs([whole_snap.root])
    with pytest.raises(InputError, match="required complex bands such as i_IW1_VV_06Jan2018"):
        open_slcs([whole_snap.root], processor="snap")
    whole_snap.add_product("ifg", parts("ifg_IW1_VV_06Jan2018_18Jan2018", speckle(0)), size=SIZE)
    with pytest.raises(InputError, match="required complex bands"):
        open_slcs([whole_snap.root], processor="snap")


def test_imaginary_part_that_is_absent(snap: SnapBuilder) -> None:
    snap.add_product("half", {"i_VV_06Jan2018": plane(0)})
    with pytest.raises(InputError, match=r"half\.dim: required the imaginary part q_VV_06Jan2018 of band i_VV"):
        open_slcs([snap.root])


def test_sizes_and_georeference_that_differ(snap: SnapBuilder) -> None:
    snap.add_product("a", parts("VV_06Jan2018", speckle(0)), size=SIZE)
    snap.add_product("b", parts("VV_18Jan2018", speckle(0, rows=9)), size=(9, COLS))
    with pytest.raises(InputError, match=r"b\.dim: .*a\.dim: 7 rows x 6 columns; found 9 rows x 6 columns.*Coregister"):
        open_slcs([snap.root])
    snap.transform = "0.001,0.0,0.0,-0.001,-99.1,19.5"
    snap.add_product("c", parts("VV_30Jan2018", speckle(0)), size=SIZE)
    with pytest.raises(InputError, match=r"c\.dim: .*west -99\.2.*found .*west -99\.1"):
        open_slcs([snap.root / "a.dim", snap.root / "c.dim"])


def test_truncated_band_one_date_and_date_twice(snap: SnapBuilder) -> None:
    path = snap.add_product("a", parts("VV_06Jan2018", speckle(0)), size=SIZE)
    with pytest.raises(InputError, match=r"at least two dates; found .*a\.dim, of 20180106"):
        open_slcs([snap.root])
    snap.add_product("b", parts("VV_06Jan2018", speckle(0)), size=SIZE)
    with pytest.raises(InputError, match=r"b\.dim: required one image for each date; .*20180106, as is .*a\.dim"):
        open_slcs([snap.root])
    image = path.with_suffix(".data") / "q_VV_06Jan2018.img"
    image.write_bytes(image.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"q_VV_06Jan2018\.img: required 168 bytes"):
        open_slcs([snap.root])


def test_no_product(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"required SNAP products \(\*\.dim\)"):
        open_slcs([tmp_path], processor="snap")


def test_real_tie_points(shared_data: Path, tmp_path: Path) -> None:
    header = shared_data / "format_samples/snap/IW1_VV_07Apr2024_19Apr2024.trimmed.dim"
    path = tmp_path / "real.dim"
    path.write_bytes(header.read_bytes())
    folder = tmp_path / "real.data/tie_point_grids"
    folder.mkdir(parents=True)
    for name in ("latitude", "longitude"):
        np.arange(12, dtype=">f4").tofile(folder / f"{name}.img")
        (folder / f"{name}.hdr").write_text(
            "ENVI\nsamples = 4\nlines = 3\nbands = 1\ndata type = 4\ninterleave = bsq\nbyte order = 1\n"
        )
    points = read_tie_points(path, "latitude", "longitude")
    assert points["latitude"].offset == (-1044.0, -320.0)
    assert points["latitude"].step == (2448.0, 1152.0)
    found = points["longitude"].read_window(slice(300, 301), slice(500, 502))
    expected = 4.0 * (300.5 + 1044.0) / 2448.0 + (np.array([500.5, 501.5]) + 320.0) / 1152.0
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


def test_scaled_parts_whose_zeros_are_no_data(snap: SnapBuilder) -> None:
    for day in SNAP_DAYS[:2]:
        path = snap.add_product(f"a{day}", parts(f"VV_{day}", speckle(0)), size=SIZE)
        text = path.read_text("latin-1")
        extra = "<SCALING_FACTOR>2.0</SCALING_FACTOR><SCALING_OFFSET>1.0</SCALING_OFFSET></Spectral_Band_Info>"
        path.write_text(text.replace("</Spectral_Band_Info>", extra), "latin-1")
    block = open_slcs([snap.root]).read(np.array([0]), *WHOLE)[0]
    expected = speckle(0) * np.float32(2.0) + np.complex64(1 + 1j)
    expected[1, 2] = 0.0
    np.testing.assert_array_equal(block, expected)


def test_the_same_product_named_twice(snap: SnapBuilder) -> None:
    path = add_stack(snap)
    assert len(open_slcs([path, path.with_suffix(".data"), snap.root]).dates) == 3
