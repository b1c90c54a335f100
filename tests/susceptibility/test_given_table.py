"""Tables that others have made: what is read from them, what is refused, and what a reader is told."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest

from insar.layers import read_layer
from susceptibility.dataset import Dataset
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.factors.relief import ASPECT_CLASSES
from susceptibility.given_table import read_given_table
from susceptibility.inventory import ABSENCE, LANDSLIDE, UNLABELLED
from susceptibility.join import join_dataset
from susceptibility.recipe import TableSection, parse_recipe
from susceptibility.table_files import read_table
from susceptibility.unit_table import write_unit_table

UTM = "EPSG:32633"
COLUMNS: dict[str, list[Any]] = {
    "x": [500_000.0, 500_100.0, 500_200.0, 500_300.0],
    "y": [4_000_000.0, 4_000_000.0, 4_000_100.0, 4_000_100.0],
    "slide": [1, 0, 1, 0],
    "slope": [30.5, 4.0, 3.0, None],
    "rock": ["granite", "clay", None, "clay"],
    "area": [1e6, 2e6, 5e5, 1e6],
    "slid": [1e5, 0.0, 6e5, 0.0],
    "count": [3, 0, 2, 0],
    "event": ["a", "b", None, "b"],
}
READER = Callable[..., Dataset]
ALL = slice(None)


def write_csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    lines = [",".join(columns)]
    for row in zip(*columns.values(), strict=True):
        lines.append(",".join("" if value is None else str(value) for value in row))
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture
def read(tmp_path: Path) -> READER:
    """Write columns as CSV and read them as a dataset."""

    def call(columns: dict[str, list[Any]] | None = None, **keys: Any) -> Dataset:
        path = write_csv(tmp_path / "t.csv", COLUMNS if columns is None else COLUMNS | columns)
        named = {"crs": UTM, "landslide": "slide", "features": ("slope",)}
        return read_given_table(TableSection(path=path, **named | keys))

    return call


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.CSV", "t.parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.table(COLUMNS), path)
    else:
        write_csv(path, COLUMNS)
    source = TableSection(
        path=path, crs=UTM, landslide="slide", area_m2="area", landslide_area_m2="slid", number="count", event="event",
        classes=("rock",), groups={"terrain": ("slope",)}, units={"slope": "deg"},
    )  # fmt: skip
    data = read_given_table(source)
    assert data.kind == "table"
    assert data.crs == UTM
    assert data.names == ("slope", "rock")
    np.testing.assert_array_equal(data.places(ALL), np.stack([COLUMNS["x"], COLUMNS["y"]], axis=1))
    np.testing.assert_array_equal(data.columns["slope"](ALL), np.array([30.5, 4.0, 3.0, np.nan], np.float32))
    np.testing.assert_array_equal(data.columns["rock"](ALL), np.array([2.0, 1.0, np.nan, 1.0], np.float32))
    assert data.feature("rock").classes == ("clay", "granite")
    assert (data.feature("slope").group, data.feature("slope").unit) == ("terrain", "deg")
    np.testing.assert_array_equal(data.targets.labels, [LANDSLIDE, ABSENCE, LANDSLIDE, ABSENCE])
    np.testing.assert_allclose(data.targets.areal_density, [0.1, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(data.targets.number_density, [3.0, 0.0, 4.0, 0.0])
    assert list(data.targets.events) == ["a", "b", None, "b"]
    np.testing.assert_array_equal(data.area_m2(ALL), COLUMNS["area"])
    np.testing.assert_array_equal(data.number(ALL), [1, 2, 3, 4])
    assert [point.coords[0] for point in data.geometry(ALL)] == list(zip(COLUMNS["x"], COLUMNS["y"], strict=True))
    np.testing.assert_array_equal(data.known(["slope", "rock"]), [True, True, False, False])


def test_columns_of_numbers_are_features_unless_they_are_something_else(read: READER) -> None:
    data = read(features=(), area_m2="area", leave_out=("slid", "count"))
    assert data.names == ("slope",)
    assert read(features=(), leave_out=("slid",)).names == ("slope", "area", "count")


def test_densities_above_one_are_clipped_and_told_of(read: READER) -> None:
    data = read(area_m2="area", landslide_area_m2="slid")
    np.testing.assert_allclose(data.targets.areal_density, [0.1, 0.0, 1.0, 0.0])
    (note,) = data.notes
    assert note.startswith("1 of 4 units have an areal density above 1, up to 1.2")
    assert not read({"slid": [1e5, 0, 5e5, 0]}, area_m2="area", landslide_area_m2="slid").notes


def test_presence_follows_from_a_density(read: READER) -> None:
    density = {"lad": [0.2, 0.0, 0.4, None]}
    labels = read(density, landslide=None, areal_density="lad").targets.labels
    np.testing.assert_array_equal(labels, [LANDSLIDE, ABSENCE, LANDSLIDE, UNLABELLED])
    labels = read(landslide=None, area_m2="area", number="count").targets.labels
    np.testing.assert_array_equal(labels, [LANDSLIDE, ABSENCE, LANDSLIDE, ABSENCE])


@pytest.mark.parametrize(
    "values",
    [[1, 0, 1, None], [1.0, 0.0, 1.0, None], ["TRUE", "False", "true", None], ["yes", "N", "Y", None]],
)
def test_presence_as_numbers_booleans_and_words(read: READER, values: list[Any]) -> None:
    labels = read({"slide": values}).targets.labels
    np.testing.assert_array_equal(labels, [LANDSLIDE, ABSENCE, LANDSLIDE, UNLABELLED])


def test_rows_of_unknown_presence_are_no_rows_without_landslides(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", COLUMNS | {"slide": [1, 0, None, 0]})
    content = {"table": {"path": str(path), "crs": UTM, "landslide": "slide", "features": ["slope"]}}
    np.testing.assert_array_equal(join_dataset(parse_recipe(content), tmp_path).observed, [True, True, False, True])
    content |= {"study": {"target": "areal_density"}}
    content["table"] |= {"area_m2": "area", "landslide_area_m2": "slid"}
    assert join_dataset(parse_recipe(content), tmp_path).observed.all()


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    # The last two lie half a degree from the border of a zone and of a hemisphere.
    [(103.8, 31.7, 32648), (-78.9, -4.1, 32717), (5.7, 45.0, 32631), (12.2, -0.3, 32733)],
)
def test_degrees_become_metres_of_the_zone(read: READER, lon: float, lat: float, expected: int) -> None:
    lons, lats = [lon, lon + 0.01, lon, lon - 0.01], [lat, lat, lat + 0.02, lat]
    data = read({"x": lons, "y": lats}, crs="EPSG:4326")
    assert data.crs == f"EPSG:{expected}"
    back = pyproj.Transformer.from_crs(expected, 4326, always_xy=True).transform(*data.places(ALL).T)
    np.testing.assert_allclose(back, [lons, lats], atol=1e-9)


@pytest.mark.parametrize(
    ("columns", "crs"),
    [({}, "EPSG:3857"), ({}, "EPSG:4326"), ({"x": [10.0] * 4, "y": [100.0] * 4}, "EPSG:4326"), ({}, "EPSG:2263")],
)
def test_places_that_are_no_degrees_and_no_metres_are_refused(
    read: READER, columns: dict[str, list[Any]], crs: str
) -> None:
    with pytest.raises(InputError, match="Web Mercator"):
        read(columns, crs=crs)


def test_places_must_be_known(read: READER) -> None:
    with pytest.raises(InputError, match="1 rows without"):
        read({"x": [500_000.0, None, 500_200.0, 500_300.0]})
    with pytest.raises(OptionError, match="EPSG:0"):
        read(crs="EPSG:0")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"features": ("steepness",)}, "steepness"),
        ({"classes": ("soil",)}, "soil"),
        ({"landslide": "slides"}, "slides"),
        ({"x": "easting"}, "easting"),
        ({"leave_out": ("fid",), "features": ()}, "fid"),
        ({"groups": {"terrain": ("relief",)}}, "relief"),
        ({"units": {"relief": "m"}}, "relief"),
        ({"sigma": {"slope": "slope_sigma"}}, "slope_sigma"),
        ({"sigma": {"relief": "area"}}, "relief"),
        ({"event": "quake"}, "quake"),
    ],
)
def test_columns_that_are_not_there_are_named_with_those_that_are(
    read: READER, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message) as refused:
        read(**keys)
    assert "slope" in str(refused.value)


@pytest.mark.parametrize("key", ["landslide", "number", "landslide_area_m2", "areal_density", "event"])
def test_an_answer_is_no_feature(read: READER, key: str) -> None:
    column = {"landslide": "slide", "number": "count", "event": "event"}.get(key, "slid")
    with pytest.raises(OptionError, match=f"other than those to be predicted; found {column}"):
        read({"slid": [0.1, 0.0, 0.2, 0.0]}, area_m2="area", features=("slope", column), **{key: column})


def test_what_parts_landslides_from_others_without_a_miss_is_told_of(read: READER) -> None:
    data = read(features=("slope", "count", "area"))
    (note,) = [note for note in data.notes if "without a miss" in note]
    assert "miss: count." in note


def test_a_table_without_target_or_features_is_refused(read: READER) -> None:
    with pytest.raises(OptionError, match="to be predicted; found none"):
        read(landslide=None)
    with pytest.raises(OptionError, match="at least one column of numbers"):
        read(features=(), leave_out=("slope", "area", "slid", "count"))


@pytest.mark.parametrize("value", [0.0, -1.0, None, "inf"])
def test_areas_are_above_zero(read: READER, value: Any) -> None:
    with pytest.raises(InputError, match=r"'area'.*area above 0 in every row; found 1 rows without"):
        read({"area": [1e6, value, 1e6, 1e6]}, area_m2="area")


@pytest.mark.parametrize("key", ["landslide_area_m2", "number", "areal_density"])
def test_densities_are_not_below_zero(read: READER, key: str) -> None:
    with pytest.raises(InputError, match=r"numbers from 0 on; found 1 below 0 or infinite, such as -0.1"):
        read({"slid": [0.1, -0.1, 0.1, None]}, area_m2="area", **{key: "slid"})


@pytest.mark.parametrize("key", ["landslide_area_m2", "number"])
def test_what_is_divided_by_areas_needs_them(read: READER, key: str) -> None:
    with pytest.raises(OptionError, match="'area_m2' beside it"):
        read(landslide=None, **{key: "count"})


@pytest.mark.parametrize(
    ("values", "message"), [([1, 0, 2, 0], "1 for a landslide"), (["yes", "no", "maybe", "no"], "'maybe'")]
)
def test_presence_that_is_neither_is_refused(read: READER, values: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read({"slide": values})


def test_words_are_no_numbers(read: READER) -> None:
    with pytest.raises(InputError, match=r"'rock'.*numbers"):
        read(features=("rock",))


def test_files_that_cannot_be_read(tmp_path: Path, read: READER) -> None:
    def from_file(path: Path) -> Dataset:
        return read_given_table(TableSection(path=path, crs=UTM, landslide="slide"))

    with pytest.raises(MissingInputError):
        from_file(tmp_path / "nothing.csv")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(OptionError, match=r"ends in \.csv"):
        from_file(tmp_path / "t.xlsx")
    (tmp_path / "t.parquet").write_bytes(b"no Parquet")
    (tmp_path / "ragged.csv").write_text("x,y,slide\n1,2\n")
    (tmp_path / "twice.csv").write_text("x,y,slide,x\n1,2,1,3\n")
    (tmp_path / "empty.csv").write_text("x,y,slide\n")
    for name, message in (
        ("t.parquet", "a header"), ("ragged.csv", "a header"), ("twice.csv", "'x' twice"), ("empty.csv", "no row"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            from_file(tmp_path / name)


def test_numbered_classes_have_labels_and_unknown_is_unknown(read: READER) -> None:
    data = read({"rock": [10.0, 2.0, None, 10.0]}, classes=("rock",))
    assert data.feature("rock").classes == ("2", "10")
    np.testing.assert_array_equal(data.columns["rock"](ALL), np.array([2.0, 1.0, np.nan, 2.0], np.float32))


def test_standard_deviations_belong_to_their_features(read: READER) -> None:
    data = read({"error": [1.0, 2.0, None, 0.5]}, sigma={"slope": "error"}, features=())
    assert "error" not in data.names
    np.testing.assert_array_equal(data.errors(ALL, ["area", "slope"])[:, 1], np.array([1, 2, np.nan, 0.5], np.float32))
    np.testing.assert_array_equal(data.errors(ALL, ["area"]), np.zeros((4, 1)))
    with pytest.raises(InputError, match=r"numbers from 0 on"):
        read({"error": [1.0, -2.0, None, 0.5]}, sigma={"slope": "error"})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, simulated: Path) -> tuple[Path, dict[str, Any]]:
    """A table that the package has written, as both kinds of file, and its recipe."""
    content = {
        "units": {"kind": "aggregate", "size_m": 180.0},
        "factors": {
            "dem": str(simulated / "dem.tif"),
            "terrain": ["slope", "aspect_class", "profile_curvature"],
            "categories": {"lithology": {"path": str(simulated / "lithology.tif")}},
            "insar": {"path": str(simulated / "insar"), "absolute": ["velocity"]},
        },
        "inventory": {"path": str(simulated / "inventory_polygons.gpkg")},
    }
    folder = tmp_path_factory.mktemp("own")
    for name in ("t.parquet", "t.csv"):
        write_unit_table(parse_recipe(content), folder / name, with_report=False)
    return folder, content


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_a_table_of_our_own_says_what_its_columns_are(
    own: tuple[Path, dict[str, Any]], simulated: Path, name: str
) -> None:
    folder, _ = own
    _, grid, _ = read_layer(simulated / "dem.tif")
    table = read_table(folder / "t.parquet")
    data = read_given_table(TableSection(path=folder / name, crs=str(grid.crs), landslide="landslide"))
    assert {"lad", "number_density", "landslide", "unit", "area_m2", "x", "y"} & set(data.names) == set()
    assert "velocity_absolute_sigma" in table.names
    assert not {"velocity_absolute_sigma", "velocity_absolute_count", "velocity_absolute_valid_share"} & set(data.names)
    assert {"slope_mean", "velocity_absolute_mean", "aspect_class_dominant"} <= set(data.names)
    for column in data.names:
        if not data.feature(column).is_class:
            np.testing.assert_allclose(data.columns[column](ALL), table.read(column), rtol=1e-6)
            feature = table.column(column)
            assert data.feature(column).unit == feature.unit
            assert data.feature(column).group == feature.group
    assert data.feature("aspect_class_dominant").is_class
    aspects = np.array(["", *data.feature("aspect_class_dominant").classes])
    found = aspects[np.nan_to_num(data.columns["aspect_class_dominant"](ALL)).astype(int)]
    numbers = np.nan_to_num(table.read("aspect_class_dominant")).astype(int)
    np.testing.assert_array_equal(found, np.array(["", *ASPECT_CLASSES.values()])[numbers])
    assert data.is_absolute == {column for column in data.names if column.startswith("velocity_absolute")}
    np.testing.assert_allclose(data.sigma["velocity_absolute_mean"](ALL), table.read("velocity_absolute_sigma"), 1e-6)
    np.testing.assert_array_equal(data.number(ALL), table.read("unit"))
    np.testing.assert_array_equal(data.area_m2(ALL), table.read("area_m2"))
    np.testing.assert_array_equal(data.targets.labels == LANDSLIDE, table.read("landslide") == 1.0)


def test_a_table_of_our_own_guards_its_answers(own: tuple[Path, dict[str, Any]], simulated: Path) -> None:
    folder, _ = own
    _, grid, _ = read_layer(simulated / "dem.tif")
    named = {"path": folder / "t.parquet", "landslide": "landslide"}
    with pytest.raises(OptionError, match="found lad"):
        read_given_table(TableSection(**named, crs=str(grid.crs), features=("slope_mean", "lad")))
    with pytest.raises(OptionError, match=r"\[table\] crs.*EPSG:32645"):
        read_given_table(TableSection(**named, crs="EPSG:32633"))


def test_a_class_without_a_label_is_refused(own: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Of a table whose numbers were changed after its labels were written."""
    folder, _ = own
    rows = (folder / "t.csv").read_text().splitlines()
    place = rows[0].split(",").index("aspect_class_dominant")
    fields = rows[1].split(",")
    fields[place] = "0"
    (tmp_path / "t.csv").write_text("\n".join([rows[0], ",".join(fields), *rows[2:]]) + "\n")
    (tmp_path / "t.csv.json").write_bytes((folder / "t.csv.json").read_bytes())
    with pytest.raises(InputError, match=r"class numbers from 1 to 9 in column 'aspect_class_dominant'.*found 0"):
        read_given_table(TableSection(path=tmp_path / "t.csv", crs="EPSG:32645", landslide="landslide"))


def test_a_broken_description_is_refused(own: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = own
    (tmp_path / "t.csv").write_bytes((folder / "t.csv").read_bytes())
    (tmp_path / "t.csv.json").write_text('{"format": 1}')
    with pytest.raises(InputError, match="a broken one"):
        read_given_table(TableSection(path=tmp_path / "t.csv", crs="EPSG:32645", landslide="landslide"))
