"""Sensor and baselines of ISCE2 stacks."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from insar.errors import InputError, MissingInputError
from insar.readers import open_stack
from insar.readers.isce_metadata import read_baselines, read_sensor

from .builders import IsceBuilder


def _swath(path: Path, number: int, **changes: str) -> None:
    first = {
        "radarwavelength": "0.05546576",
        "passdirection": "DESCENDING",
        "startingrange": str(800000.0 + 1000 * number),
        "rangepixelsize": "2.3",
        "azimuthtimeinterval": "0.002",
        "sensingstart": f"2021-07-23 01:49:4{number}.000000",
        "sensingstop": f"2021-07-23 01:49:4{number + 1}.000000",
        **changes,
    }
    last = first | {"sensingstop": f"2021-07-23 01:50:0{number}.000000"}

    def body(properties: dict[str, str]) -> str:
        return "".join(f"<property name='{k}'><value>{v}</value></property>" for k, v in properties.items())

    orbit = (
        "<component name='orbit'><component name='state_vectors'><component name='statevector1'>"
        + body(
            {
                "time": "2021-07-23 01:49:50",
                "position": "[7078137.0, 0.0, 0.0]",
                "velocity": "[0.0, 0.0, -7500.0]",
            }
        )
        + "</component></component></component>"
    )
    # burst10 before burst2, as text sorts them
    bursts = "".join(
        f"<component name='burst{index}'>{body(values)}{orbit}</component>"
        for index, values in ((10, last), (1, first), (2, first))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "<productmanager_name><component name='instance'><property name='mission'><value>S1A</value></property>"
        f"<component name='bursts'>{bursts}</component></component></productmanager_name>"
    )


@pytest.mark.parametrize("folder", ["reference", "master", "secondarys/20180118", "slaves/20180118"])
def test_swaths_are_found_under_all_names(tmp_path: Path, folder: str) -> None:
    for number in (1, 2):
        _swath(tmp_path / folder / f"IW{number}.xml", number)
    wavelength_m, acquisition = read_sensor([tmp_path], None)
    assert wavelength_m == 0.05546576
    assert acquisition.platform == "S1A"
    assert acquisition.orbit_direction == "descending"
    assert acquisition.antenna_side == "right"
    assert acquisition.starting_range_m == 801000.0
    assert acquisition.range_pixel_size_m == 2.3
    # from 01:49:41 of the first burst of swath 1 to 01:50:02 of the last of swath 2
    assert acquisition.center_line_utc_s == 3600 + 49 * 60 + 51.5
    assert abs(acquisition.heading_deg or 0.0) == pytest.approx(180.0)
    assert acquisition.platform_height_m == pytest.approx(7e5)
    assert acquisition.earth_radius_m == pytest.approx(6_378_137.0)
    assert acquisition.azimuth_pixel_size_m == pytest.approx(7500.0 * 0.002 * 6_378_137 / 7_078_137)
    assert acquisition.looks is None


def test_looks_scale_the_pixels(tmp_path: Path) -> None:
    _swath(tmp_path / "reference/IW1.xml", 1)
    _, acquisition = read_sensor([tmp_path], (19, 7))
    assert acquisition.range_pixel_size_m == pytest.approx(19 * 2.3)
    assert acquisition.azimuth_pixel_size_m == pytest.approx(7 * 7500.0 * 0.002 * 6_378_137 / 7_078_137)
    assert acquisition.looks == 133


def test_text_file_fills_what_swaths_leave_open(tmp_path: Path) -> None:
    _swath(tmp_path / "reference/IW1.xml", 1)
    (tmp_path / "data.rsc").write_text("Wavelength 0.2\nrlooks 9\nALOOKS 3\nPLATFORM Sen\n")
    wavelength_m, acquisition = read_sensor([tmp_path], None)
    assert wavelength_m == 0.05546576
    assert acquisition.platform == "S1A"
    assert acquisition.looks == 27


@pytest.mark.parametrize("line", ["WAVELENGTH 0.2424", "wavelength    0.2424", "Wavelength = 0.2424"])
def test_text_file_in_any_letter_case(tmp_path: Path, line: str) -> None:
    (tmp_path / "data.rsc").write_text(
        f"# a comment\n{line}\nHEADING 192.0\nANTENNA_SIDE -1\norbit_direction DESCENDING\nSTARTING_RANGE None\n"
    )
    wavelength_m, acquisition = read_sensor([tmp_path], None)
    assert wavelength_m == 0.2424
    assert acquisition.heading_deg == pytest.approx(-168.0)
    assert acquisition.antenna_side == "right"
    assert acquisition.orbit_direction == "descending"
    assert acquisition.starting_range_m is None


def test_no_wavelength_says_where_to_put_it(isce: IsceBuilder) -> None:
    (isce.root / "data.rsc").unlink()
    # the shelf of the SLCs would say, but is a pickle
    (isce.root / "reference").mkdir()
    (isce.root / "reference/data").write_bytes(b"\x80\x04N.")
    with pytest.raises(MissingInputError) as caught:
        open_stack(isce.root)
    message = str(caught.value)
    for part in ("reference/IW*.xml", f"{isce.root}/data.rsc", "WAVELENGTH 0.0554657646"):
        assert part in message


def test_wavelength_that_is_no_number(isce: IsceBuilder) -> None:
    isce.add_wavelength("WAVELENGTH five\n")
    with pytest.raises(InputError, match=r"data\.rsc: required a number as WAVELENGTH; found five"):
        open_stack(isce.root)


def test_wavelength_in_centimetres_is_refused(isce: IsceBuilder) -> None:
    isce.add_wavelength("WAVELENGTH 5.5\n")
    with pytest.raises(InputError, match=r"5\.5 m"):
        open_stack(isce.root)


@pytest.mark.parametrize("changes", [{"radarwavelength": "long"}, {"sensingstart": "yesterday"}])
def test_swath_that_cannot_be_used(tmp_path: Path, changes: dict[str, str]) -> None:
    _swath(tmp_path / "reference/IW1.xml", 1, **changes)
    with pytest.raises(InputError, match=rf"IW1\.xml: .*{next(iter(changes.values()))}"):
        read_sensor([tmp_path], None)


def test_swath_without_bursts(tmp_path: Path) -> None:
    path = tmp_path / "reference/IW1.xml"
    path.parent.mkdir()
    path.write_text("<productmanager_name/>")
    with pytest.raises(InputError, match=r"IW1\.xml: required the components"):
        read_sensor([tmp_path], None)


def test_baselines_are_averaged_over_swaths_and_differenced(isce: IsceBuilder) -> None:
    stack = open_stack(isce.root)
    assert stack.perpendicular_baselines_m.tolist() == [11.0, -16.0]


def test_baselines_follow_chains_of_files(isce: IsceBuilder) -> None:
    shutil.rmtree(isce.root / "baselines")
    isce.add_baseline("20180118_20180106", 7.0)
    isce.add_baseline("20180118_20180130", float("nan"), 2.0)
    isce.add_baseline("20190101_20190113", 100.0)
    baselines = read_baselines([isce.root])
    assert baselines[date(2018, 1, 18)] - baselines[date(2018, 1, 6)] == -7.0
    assert baselines[date(2018, 1, 30)] - baselines[date(2018, 1, 18)] == 2.0
    assert date(2019, 1, 13) not in baselines, "nothing connects it with the others"


def test_unknown_baseline_is_nan_not_zero(isce: IsceBuilder) -> None:
    shutil.rmtree(isce.root / "baselines/20180106_20180130")
    stack = open_stack(isce.root)
    assert stack.perpendicular_baselines_m[0] == 11.0
    assert stack.perpendicular_baselines_m[1] != stack.perpendicular_baselines_m[1]
    assert stack.notes == ("perpendicular baseline unknown for 1 of 2 pairs",)


def test_baseline_that_is_no_number(isce: IsceBuilder) -> None:
    file = isce.root / "baselines/20180106_20180118/20180106_20180118.txt"
    file.write_text("swath: IW1\nBperp (average): far\n")
    with pytest.raises(InputError, match=r"20180106_20180118\.txt: required numbers"):
        open_stack(isce.root)
