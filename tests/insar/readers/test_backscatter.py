"""Backscatter images as SNAP, HyP3 and others write them: dates, passes, units, no data, extents."""

from __future__ import annotations

import pickle
import struct
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio

from insar.backscatter import Scale
from insar.backscatter_stack import MaskCoding, Orbit
from insar.errors import InputError, MissingInputError, OptionError
from insar.readers.backscatter import open_backscatter, open_incidence
from insar.readers.backscatter_names import date_in, facts_of_name, orbit_in, polarisation_in, scale_in
from insar.readers.tiff_text import read_snap_header

from .builders import SnapBuilder
from .geotiffs import write_tif

HYP3 = "S1A_IW_20240106T{time}_DVP_RTC30_G_{code}_1A2F"


def power(seed=0, rows=6, cols=5):
    """Power with a pixel of no data."""
    values = np.random.default_rng(seed).gamma(4.0, 0.02, (rows, cols)).astype(np.float32)
    values[1, 2] = 0.0
    return values


def decibels(seed=0, rows=6, cols=5):
    values = 10 * np.log10(np.random.default_rng(seed).gamma(4.0, 0.02, (rows, cols)))
    return values.astype(np.float32)


def read(image, grid):
    return image.source.read_window(slice(0, grid.rows), slice(0, grid.cols))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("S1A_IW_GRDH_1SDV_20230511T171420_20230511T171445_048493_05D5B2_E6F5_Orb_Cal_TC", date(2023, 5, 11)),
        ("20230511_asc_VV", date(2023, 5, 11)),
        ("VV-2023-05-11", date(2023, 5, 11)),
        ("Sigma0_VV_11May2023", date(2023, 5, 11)),
        ("Gamma0_VH_mst_07apr2024", date(2024, 4, 7)),
        ("orbit_99999999_VV", None),
        ("tile_12345678_20230511", date(2023, 5, 11)),
        ("VV", None),
    ],
)
def test_date_in_a_name(text, day):
    assert date_in(text) == day


@pytest.mark.parametrize(
    ("text", "polarisation"),
    [("Sigma0_VV_db", "VV"), ("vh", "VH"), ("Sigma0_IW1_HH", "HH"), ("S1A_1SDV_DVP", None), ("VVP012", None)],
)
def test_polarisation_in_a_name(text, polarisation):
    assert polarisation_in(text) == polarisation


@pytest.mark.parametrize(
    ("text", "orbit"),
    [
        ("s1asc_4120", Orbit.ASCENDING),
        ("20230511_dsc_VV", Orbit.DESCENDING),
        ("DESC", Orbit.DESCENDING),
        ("ascending", Orbit.ASCENDING),
        ("cascade_desk", None),
        ("descriptor", None),
    ],
)
def test_orbit_in_a_name(text, orbit):
    assert orbit_in(text) is orbit


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("Sigma0_VV_db", Scale.DECIBEL),
        ("Gamma0_VH", Scale.POWER),
        ("20230511_VV_dB", Scale.DECIBEL),
        ("VV_amplitude", Scale.AMPLITUDE),
        ("VV_linear", Scale.POWER),
        ("dbase_VV", None),
        ("VV", None),
    ],
)
def test_scale_in_a_name(text, scale):
    assert scale_in(text) is scale


@pytest.mark.parametrize(
    ("code", "scale", "quantity"),
    [
        ("gpuned", Scale.POWER, "gamma0"),
        ("saunem", Scale.AMPLITUDE, "sigma0"),
        ("gdufcd", Scale.DECIBEL, "gamma0"),
        ("gpwned", Scale.POWER, "gamma0"),
    ],
)
def test_letters_of_hyp3(code, scale, quantity):
    facts = facts_of_name(Path(HYP3.format(time="103252", code=code) + "_VV.tif"))
    assert (facts.scale, facts.quantity, facts.polarisation, facts.day) == (scale, quantity, "VV", date(2024, 1, 6))
    assert facts.is_hyp3
    assert facts.is_sentinel1


def write_hyp3(folder, *, time="103252", code="gpuned", values=None, mask=True):
    stem = HYP3.format(time=time, code=code)
    place = folder / stem
    for polarisation, seed in (("VV", 1), ("VH", 2)):
        write_tif(place / f"{stem}_{polarisation}.tif", power(seed) if values is None else values, nodata=0.0)
    if mask:
        codes = np.ones((6, 5), np.uint8)
        codes[2] = 5
        codes[3, :2] = 17
        codes[0, 0] = 0
        write_tif(place / f"{stem}_ls_map.tif", codes)
    write_tif(place / f"{stem}_inc_map.tif", np.full((6, 5), 0.7, np.float32))
    write_tif(place / f"{stem}_dem.tif", np.full((6, 5), 100, np.int16))
    write_tif(place / f"{stem}_rgb.tif", np.ones((6, 5), np.uint8))
    return place / f"{stem}_VV.tif"


def test_hyp3_folder(tmp_path):
    write_hyp3(tmp_path)
    stack = open_backscatter([tmp_path])
    assert [(each.polarisation, each.scale) for each in stack.images] == [("VH", Scale.POWER), ("VV", Scale.POWER)]
    expected = np.where(power(1) == 0, np.nan, power(1))
    np.testing.assert_array_equal(read(stack.images[1], stack.grid), expected)
    assert [mask.coding for mask in stack.masks] == [MaskCoding.HYP3]
    # longitude 104 east: 10:32 UTC is 17:28 local
    assert stack.orbits == (Orbit.ASCENDING,)
    assert any("local solar time" in note for note in stack.notes)
    assert any("local incidence angle" in note for note in stack.notes)


def test_mask_beside_an_image_of_hyp3_is_found(tmp_path):
    image = write_hyp3(tmp_path, time="223252")
    stack = open_backscatter([image])
    assert stack.orbits == (Orbit.DESCENDING,)
    codes = stack.masks[0].source.read_window(slice(0, 6), slice(0, 5))
    assert codes[0, 0] == 0
    assert codes[2, 0] == 5


def test_time_of_day_that_tells_no_pass(tmp_path):
    write_hyp3(tmp_path, time="053252", mask=False)
    stack = open_backscatter([tmp_path])
    assert stack.orbits == (None,)
    assert any("no image states its orbit direction" in note for note in stack.notes)


def test_decibels_of_zero_are_data_where_something_else_is_declared(tmp_path):
    values = decibels()
    values[2, 2] = 0.0
    write_tif(tmp_path / "20230511_VV_db.tif", values, nodata=float("nan"))
    stack = open_backscatter([tmp_path])
    np.testing.assert_array_equal(read(stack.images[0], stack.grid), values)
    write_tif(tmp_path / "20230511_VV_db.tif", values)
    stack = open_backscatter([tmp_path])
    assert np.isnan(read(stack.images[0], stack.grid)[2, 2])


def test_negative_values_are_decibels(tmp_path):
    write_tif(tmp_path / "20230511_asc_VV.tif", decibels())
    stack = open_backscatter([tmp_path])
    assert stack.images[0].scale is Scale.DECIBEL
    assert any("most of its values are negative" in note for note in stack.notes)


def test_positive_values_need_a_unit(tmp_path):
    path = write_tif(tmp_path / "20230511_asc_VV.tif", power())
    with pytest.raises(InputError, match="--scale power or --scale amplitude"):
        open_backscatter([path])
    for scale in (Scale.POWER, Scale.AMPLITUDE):
        assert open_backscatter([path], scale=scale).images[0].scale is scale
    with pytest.raises(OptionError, match="--scale db"):
        open_backscatter([path], scale=Scale.DECIBEL)


def test_unit_that_the_numbers_contradict(tmp_path):
    write_tif(tmp_path / "20230511_VV_db.tif", power())
    with pytest.raises(InputError, match="in dB, as its name"):
        open_backscatter([tmp_path])
    path = write_tif(tmp_path / "20230511_VV_power.tif", decibels())
    with pytest.raises(OptionError, match="--scale amplitude"):
        open_backscatter([path], scale=Scale.AMPLITUDE)


def test_unit_in_a_tag(tmp_path):
    path = write_tif(tmp_path / "20230511_VV.tif", power())
    with rasterio.open(path, "r+") as sink:
        sink.update_tags(UNITS="amplitude", ORBIT_PASS="DESCENDING")
    stack = open_backscatter([path])
    assert stack.images[0].scale is Scale.AMPLITUDE
    assert stack.orbits == (Orbit.DESCENDING,)


def test_bands_by_their_names(tmp_path):
    path = tmp_path / "20230511_asc.tif"
    write_tif(path, power(1), count=3)
    with rasterio.open(path, "r+") as sink:
        for number, (name, seed) in enumerate((("Sigma0_VV", 1), ("Sigma0_VH", 2), ("Intensity_VV", 3)), start=1):
            sink.write(power(seed), number)
            sink.set_band_description(number, name)
    stack = open_backscatter([path])
    found = {image.polarisation: read(image, stack.grid) for image in stack.images}
    for polarisation, seed in (("VV", 1), ("VH", 2)):
        np.testing.assert_array_equal(found[polarisation], np.where(power(seed) == 0, np.nan, power(seed)))
    assert any("not calibrated" in note for note in stack.notes)


def test_bands_without_names_are_not_guessed(tmp_path):
    write_tif(tmp_path / "20230511_VV_VH_power.tif", power(), count=2)
    with pytest.raises(MissingInputError, match="bands without a polarisation"):
        open_backscatter([tmp_path])


def add_text_tag(path, tag, text):
    """Append an ASCII tag to a classic little-endian TIFF: its directory is written anew at the end."""
    content = bytearray(path.read_bytes())
    assert content[:4] == b"II*\x00"
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    entries = [bytes(content[first + 2 + 12 * n : first + 14 + 12 * n]) for n in range(count)]
    data = text.encode() + b"\x00"
    entries.append(struct.pack("<HHII", tag, 2, len(data), len(content)))
    content += data + b"\x00" * (len(data) % 2)
    struct.pack_into("<I", content, 4, len(content))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    content += struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    path.write_bytes(content)


SNAP_XML = """<?xml version="1.0" encoding="ISO-8859-1"?><Dimap_Document><Image_Interpretation>
<Spectral_Band_Info><BAND_NAME>Sigma0_VH</BAND_NAME><PHYSICAL_UNIT>intensity</PHYSICAL_UNIT></Spectral_Band_Info>
<Spectral_Band_Info><BAND_NAME>Sigma0_VV_db</BAND_NAME><VIRTUAL_BAND>true</VIRTUAL_BAND></Spectral_Band_Info>
<Spectral_Band_Info><BAND_NAME>layover_shadow_mask</BAND_NAME></Spectral_Band_Info>
</Image_Interpretation><Dataset_Sources><MDElem name="metadata"><MDElem name="Abstracted_Metadata">
<MDATTR name="PASS">DESCENDING</MDATTR><MDATTR name="first_line_time">11-MAY-2023 05:14:20.421</MDATTR>
<MDATTR name="incidence_near">30.0</MDATTR><MDATTR name="incidence_far">46.0</MDATTR>
<MDATTR name="centre_heading">190.25</MDATTR><MDATTR name="MISSION">SENTINEL-1A</MDATTR>
<MDATTR name="antenna_pointing">right</MDATTR></MDElem></MDElem></Dataset_Sources></Dimap_Document>"""


def test_header_of_snap_in_a_geotiff(tmp_path):
    path = tmp_path / "subset_of_product.tif"
    write_tif(path, power(1), count=2, compress=None)
    with rasterio.open(path, "r+") as sink:
        sink.write(np.where(power(2) > 0.08, 2.0, 0.0).astype(np.float32), 2)
    add_text_tag(path, 65000, SNAP_XML)
    stack = open_backscatter([path])
    (image,) = stack.images
    assert (image.day, image.polarisation, image.orbit) == (date(2023, 5, 11), "VH", Orbit.DESCENDING)
    assert image.scale is Scale.POWER
    assert image.view.incidence_deg == 38.0
    assert image.view.heading_deg == pytest.approx(-169.75)
    assert image.view.looks_left is False
    assert [mask.coding for mask in stack.masks] == [MaskCoding.SNAP]
    assert set(np.unique(stack.masks[0].source.read_window(slice(0, 6), slice(0, 5)))) == {0.0, 2.0}


def test_geotiff_without_the_tag(tmp_path):
    assert read_snap_header(write_tif(tmp_path / "a.tif", power())) is None
    assert read_snap_header(write_tif(tmp_path / "b.tif", power(), BIGTIFF="YES")) is None
    (tmp_path / "c.tif").write_bytes(b"II*\x00\xff\xff")
    assert read_snap_header(tmp_path / "c.tif") is None


def test_tag_that_is_no_xml(tmp_path):
    path = write_tif(tmp_path / "20230511_VV_db.tif", decibels())
    add_text_tag(path, 65000, "<Dimap_Document><unclosed>")
    with pytest.raises(InputError, match="XML of SNAP"):
        open_backscatter([path])


def snap(tmp_path, **metadata):
    builder = SnapBuilder(tmp_path)
    builder.metadata |= {"incidence_near": "30.5", "incidence_far": "45.5", **metadata}
    return builder


def test_dimap_product(tmp_path):
    builder = snap(tmp_path)
    bands = {
        "Gamma0_VH": power(1, 5, 4),
        "Gamma0_VV": power(2, 5, 4),
        "Sigma0_VV": power(3, 5, 4),
        "incidenceAngleFromEllipsoid": np.full((5, 4), 38.5, np.float32),
        "localIncidenceAngle": np.full((5, 4), 20.0, np.float32),
        "layover_shadow_mask": np.eye(5, 4, dtype=np.float32),
        "elevation": np.full((5, 4), 100.0, np.float32),
    }
    builder.add_product("S1A_tc", bands, virtual=("Gamma0_VV_db", "Intensity_VV"))
    stack = open_backscatter([tmp_path])
    assert [(each.polarisation, each.day, each.orbit) for each in stack.images] == [
        ("VH", date(2018, 1, 6), Orbit.ASCENDING),
        ("VV", date(2018, 1, 6), Orbit.ASCENDING),
    ]
    vv = power(2, 5, 4)
    np.testing.assert_array_equal(read(stack.images[1], stack.grid), np.where(vv == 0, np.nan, vv))
    assert stack.images[0].view.incidence_deg == 38.0
    np.testing.assert_array_equal(stack.masks[0].source.read_window(slice(0, 5), slice(0, 4)), np.eye(5, 4))
    assert stack.incidences[0].source.read_window(slice(0, 1), slice(0, 1))[0, 0] == np.float32(38.5)
    pickle.loads(pickle.dumps(stack))


def test_dimap_in_decibels(tmp_path):
    builder = snap(tmp_path)
    builder.add_product("S1A_tc", {"Sigma0_VV_db": decibels(1, 5, 4)}, units={"Sigma0_VV_db": "intensity_db"})
    (image,) = open_backscatter([tmp_path / "S1A_tc.dim"]).images
    assert image.scale is Scale.DECIBEL


def test_dimap_in_radar_geometry(tmp_path):
    builder = snap(tmp_path)
    builder.add_product("S1A", {"Sigma0_VV": power(1, 5, 4)}, geoposition="")
    with pytest.raises(InputError, match="Terrain Correction"):
        open_backscatter([tmp_path])


def test_extents_differ_on_one_lattice(tmp_path):
    first, second = power(1), power(2, 4, 6)
    write_tif(tmp_path / "20230511_VV_power.tif", first, row=2, col=1)
    write_tif(tmp_path / "20230523_VV_power.tif", second, row=0, col=3)
    stack = open_backscatter([tmp_path])
    assert stack.grid.shape == (8, 8)
    one, other = (read(image, stack.grid) for image in stack.images)
    np.testing.assert_array_equal(one[2:, :5], np.where(first == 0, np.nan, first))
    assert np.isnan(one[:2]).all()
    assert np.isnan(one[:, 5:]).all()
    np.testing.assert_array_equal(other[:4, 2:], np.where(second == 0, np.nan, second))
    part = stack.images[1].source.read_window(slice(1, 5), slice(0, 4))
    np.testing.assert_array_equal(part, other[1:5, :4])


def test_lattices_that_differ_are_refused(tmp_path):
    write_tif(tmp_path / "20230511_VV_power.tif", power())
    write_tif(tmp_path / "20230523_VV_power.tif", power(), origin=(400_040.0, 3_400_000.0))
    with pytest.raises(InputError, match="nothing is resampled"):
        open_backscatter([tmp_path])


def test_quantities_are_not_mixed(tmp_path):
    write_tif(tmp_path / "20230511_Sigma0_VV.tif", power())
    write_tif(tmp_path / "20230523_Gamma0_VV.tif", power())
    with pytest.raises(InputError, match=r"as .*Sigma0_VV.tif|as .*Gamma0_VV.tif"):
        open_backscatter([tmp_path])


def test_one_image_of_unknown_pass_among_others(tmp_path):
    write_tif(tmp_path / "20230511_asc_VV_power.tif", power())
    path = write_tif(tmp_path / "20230523_VV_power.tif", power())
    with pytest.raises(InputError, match="orbit direction") as caught:
        open_backscatter([tmp_path])
    assert caught.value.subject == str(path)
    assert open_backscatter([tmp_path], orbit=Orbit.ASCENDING).orbits == (Orbit.ASCENDING,)


def test_option_that_contradicts_the_metadata(tmp_path):
    snap(tmp_path).add_product("S1A_tc", {"Sigma0_VV": power(1, 5, 4)})
    with pytest.raises(OptionError, match="--orbit descending"):
        open_backscatter([tmp_path], orbit=Orbit.DESCENDING)


def test_integers_are_no_calibrated_backscatter(tmp_path):
    write_tif(tmp_path / "20230511_VV.tif", np.full((6, 5), 300, np.uint16))
    with pytest.raises(InputError, match="without calibration"):
        open_backscatter([tmp_path])


def test_name_without_a_date(tmp_path):
    write_tif(tmp_path / "after_VV_power.tif", power())
    with pytest.raises(InputError, match="date of acquisition"):
        open_backscatter([tmp_path])


@pytest.mark.parametrize("what", ["missing.tif", "empty"])
def test_nothing_there(tmp_path, what):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError):
        open_backscatter([tmp_path / what])


def test_other_kinds_of_files_are_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(InputError, match="another kind of file"):
        open_backscatter([tmp_path / "a.zip"])


def test_incidence_angles_on_the_lattice(tmp_path):
    write_tif(tmp_path / "20230511_VV_power.tif", power())
    grid = open_backscatter([tmp_path]).grid
    path = write_tif(tmp_path / "angles.tif", np.full((3, 5), 39.0, np.float32), row=1)
    angles = open_incidence(path, grid).read_window(slice(0, 6), slice(0, 5))
    assert np.isfinite(angles).sum() == 15
    path = write_tif(tmp_path / "angles.tif", np.full((3, 5), 139.0, np.float32), row=1)
    with pytest.raises(InputError, match="0 to 90"):
        open_incidence(path, grid).read_window(slice(0, 6), slice(0, 5))
