"""A recipe with its data: every sampling option reaches the samples, every splitting option the folds."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from scipy.spatial.distance import cdist

from susceptibility.errors import InputError, OptionError
from susceptibility.partitions import default_block_size
from susceptibility.recipe import dump_recipe, parse_recipe
from susceptibility.sampling import NegativeSource
from susceptibility.study import Study, negatives_of, prepare_study
from susceptibility.variogram import block_size_from_residuals

SIDE = 20
ROWS = SIDE * SIDE
WEST, SOUTH, STEP_M = 500_000.0, 4_000_000.0, 100.0
Prepare = Callable[..., Study]
Shapes = Callable[..., Path]


def columns() -> dict[str, np.ndarray]:
    """A square of places 100 m apart: 60 landslides, mostly on clay, of three events of 40, 15 and 5."""
    rng = np.random.default_rng(8)
    north, east = np.divmod(np.arange(ROWS), SIDE)
    rock = np.where(rng.random(ROWS) < 0.2, "clay", np.where(rng.random(ROWS) < 0.5, "marl", "granite"))
    event = np.where(east < 10, "Alor", np.where(north < 12, "Bura", "Cem"))
    slide = np.zeros(ROWS, int)
    for name, count in (("Alor", 40), ("Bura", 15), ("Cem", 5)):
        slide[rng.choice(np.flatnonzero(event == name), count, replace=False)] = 1
    return {
        "x": WEST + STEP_M * east,
        "y": SOUTH + STEP_M * north,
        "slide": slide,
        "slope": np.round(rng.uniform(2.0, 40.0, ROWS) + 8.0 * slide, 2),
        "rock": rock,
        "event": event,
        "area": np.full(ROWS, 1e4),
        "slid": slide * rng.integers(1, 6, ROWS) * 1e3,
    }


COLUMNS = columns()


def write_csv(path: Path, table: dict[str, Any]) -> Path:
    rows = zip(*(list(values) for values in table.values()), strict=True)
    text = "\n".join([",".join(table), *(",".join(map(str, row)) for row in rows)])
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A recipe of a table."""
    return {
        "table": {
            "path": str(write_csv(tmp_path / "t.csv", COLUMNS)),
            "crs": "EPSG:32633",
            "landslide": "slide",
            "event": "event",
            "area_m2": "area",
            "landslide_area_m2": "slid",
            "features": ["slope"],
            "classes": ["rock"],
        },
        "models": {"names": ["random_forest"]},
        "validation": {"folds": 2},
    }


@pytest.fixture
def prepare(content: dict[str, Any], tmp_path: Path) -> Prepare:
    """Prepare the recipe with some of its sections changed."""

    def call(**sections: dict[str, Any]) -> Study:
        return prepare_study(parse_recipe(changed(content, sections)), tmp_path / "work")

    return call


def changed(content: dict[str, Any], sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return content | {name: content.get(name, {}) | keys for name, keys in sections.items()}


def places_of(rows: np.ndarray) -> np.ndarray:
    return np.stack([COLUMNS["x"], COLUMNS["y"]], axis=1)[rows]


def free_of(study: Study, draw: int = 0) -> np.ndarray:
    sample = study.samples[draw]
    return sample.cells[~sample.positive]


@pytest.mark.parametrize(("ratio", "free"), [(1.0, 60), (2.5, 150), (0.5, 30)])
def test_the_ratio_reaches_the_samples(prepare: Prepare, ratio: float, free: int) -> None:
    study = prepare(sampling={"negatives": "drawn", "ratio": ratio, "repeats": 3, "seed": 5})
    assert len(study.samples) == 3
    for sample in study.samples:
        assert (int(sample.positive.sum()), int((~sample.positive).sum())) == (60, free)
        np.testing.assert_array_equal(sample.cells[sample.positive], np.flatnonzero(COLUMNS["slide"]))
        # Drawn rows stand for all the 340 without landslides.
        assert sample.weight[~sample.positive].sum() == pytest.approx(340.0)
        assert sample.weight[sample.positive].sum() == pytest.approx(60.0)
    assert not np.array_equal(free_of(study, 0), free_of(study, 1))
    again = prepare(sampling={"negatives": "drawn", "ratio": ratio, "repeats": 1, "seed": 5})
    np.testing.assert_array_equal(free_of(again), free_of(study))
    other = prepare(sampling={"negatives": "drawn", "ratio": ratio, "repeats": 1, "seed": 6})
    assert not np.array_equal(free_of(other), free_of(study))


@pytest.mark.parametrize("equal", [True, False])
def test_strata_reach_the_samples(prepare: Prepare, equal: bool) -> None:
    study = prepare(sampling={"strata": "rock", "equal_strata": equal, "repeats": 1})
    classes, counts = np.unique(COLUMNS["rock"][free_of(study)], return_counts=True)
    assert list(classes) == ["clay", "granite", "marl"]
    if equal:
        assert list(counts) == [20, 20, 20]
    else:
        there = np.array([((COLUMNS["rock"] == name) & (COLUMNS["slide"] == 0)).sum() for name in classes])
        np.testing.assert_allclose(counts, 60.0 * there / there.sum(), atol=1.0)


def test_strata_are_classes(prepare: Prepare) -> None:
    with pytest.raises(OptionError, match=r"strata.*factor of classes; found 'slope', a quantity"):
        prepare(sampling={"strata": "slope"})
    with pytest.raises(OptionError, match=r"one of slope, rock; found 'soil'"):
        prepare(sampling={"strata": "soil"})


def test_strata_of_units_are_their_dominant_classes(
    quick_recipe: dict[str, Any], simulated: Path, tmp_path: Path
) -> None:
    quick_recipe["factors"] |= {
        "categories": {"lithology": {"path": str(simulated / "lithology.gpkg"), "field": "name"}}
    }
    quick_recipe["units"] = {"kind": "aggregate", "size_m": 120.0}
    quick_recipe["inventory"]["path"] = str(simulated / "inventory_polygons.gpkg")
    quick_recipe["sampling"] = {"strata": "lithology", "repeats": 1, "ratio": 0.3}
    study = prepare_study(parse_recipe(quick_recipe), tmp_path / "work")
    numbers = study.data.columns["lithology_dominant"](free_of(study))
    counts = np.unique(numbers, return_counts=True)[1]
    assert counts.size == len(study.data.feature("lithology_dominant").classes)
    assert np.ptp(counts) <= 1


def test_the_ring_reaches_the_samples(prepare: Prepare) -> None:
    study = prepare(sampling={"ring": {"inner_m": 150.0, "outer_m": 350.0}, "repeats": 1, "ratio": 0.5})
    distance = cdist(places_of(free_of(study)), places_of(np.flatnonzero(COLUMNS["slide"]))).min(axis=1)
    assert distance.min() > 150.0
    assert distance.max() <= 350.0
    assert any("150 to 350 m from the nearest landslide" in note for note in study.samples[0].notes)
    without = prepare(sampling={"negatives": "drawn", "repeats": 1, "ratio": 0.5})
    distance = cdist(places_of(free_of(without)), places_of(np.flatnonzero(COLUMNS["slide"]))).min(axis=1)
    assert distance.min() == 100.0


def test_events_each_have_their_rows(prepare: Prepare) -> None:
    study = prepare(sampling={"by_event": True, "negatives": "drawn", "ratio": 2.0, "repeats": 1})
    sample = study.samples[0]
    for name, count in (("Alor", 40), ("Bura", 15), ("Cem", 5)):
        own = COLUMNS["event"][sample.cells] == name
        assert (int((own & sample.positive).sum()), int((own & ~sample.positive).sum())) == (count, 2 * count)
    with pytest.raises(OptionError, match=r"by_event.*table with events"):
        prepare(sampling={"by_event": True}, table={"event": None, "leave_out": ["event"]})


def test_at_most_so_many_landslides_of_each_event(prepare: Prepare) -> None:
    study = prepare(sampling={"by_event": True, "most_landslides": 10, "repeats": 2})
    assert study.recipe.sampling.negatives is NegativeSource.DRAWN
    for sample in study.samples:
        events, counts = np.unique(COLUMNS["event"][sample.cells[sample.positive]], return_counts=True)
        assert dict(zip(events, counts, strict=True)) == {"Alor": 10, "Bura": 10, "Cem": 5}
        assert sample.weight[sample.positive].sum() == pytest.approx(60.0)
    first, second = (sample.cells[sample.positive] for sample in study.samples)
    assert not np.array_equal(first, second)
    # All rows without landslides can stand beside some of those with: then draws differ, too.
    whole = prepare(sampling={"negatives": "all", "most_landslides": 10, "repeats": 2})
    assert [int(sample.positive.sum()) for sample in whole.samples] == [10, 10]
    assert all(free_of(whole, draw).size == 340 for draw in range(2))


def test_weights_reach_the_design(prepare: Prepare) -> None:
    assert prepare(sampling={"weighted": True}).design.weighted
    assert not prepare().design.weighted


def test_a_density_counts_as_a_landslide_above_a_bound(prepare: Prepare) -> None:
    study = prepare(study={"target": "areal_density"}, sampling={"landslide_above": 0.25})
    sample = study.samples[0]
    density = COLUMNS["slid"] / COLUMNS["area"]
    assert sample.cells.size == ROWS
    np.testing.assert_allclose(sample.target, density)
    np.testing.assert_array_equal(sample.positive, density > 0.25)
    drawn = prepare(study={"target": "areal_density"}, sampling={"landslide_above": 0.25, "ratio": 2.0, "repeats": 1})
    assert free_of(drawn).size == 2 * int((density > 0.25).sum())


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, "all"),
        ({"sampling": {"ratio": 1.0}}, "drawn"),
        ({"sampling": {"most_landslides": 5}}, "drawn"),
        ({"sampling": {"negatives": "all", "ratio": 2.0}}, "all"),
        ({"sampling": {"seed": 3, "repeats": 2}}, "all"),
        ({"study": {"target": "areal_density"}}, "all"),
    ],
)
def test_rows_without_landslides_of_a_table(content: dict[str, Any], sections: dict[str, Any], expected: str) -> None:
    assert negatives_of(parse_recipe(changed(content, sections))) == expected


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, "drawn"),
        ({"inventory": {"presence_field": "slide"}}, "inventory"),
        ({"inventory": {"presence_field": "slide"}, "sampling": {"ratio": 3.0}}, "drawn"),
        ({"inventory": {"presence_field": "slide"}, "study": {"target": "areal_density"}}, "all"),
        ({"study": {"target": "number_density"}}, "all"),
        ({"study": {"target": "number_density"}, "sampling": {"strata": "rock"}}, "drawn"),
    ],
)
def test_rows_without_landslides_of_an_inventory(
    quick_recipe: dict[str, Any], sections: dict[str, Any], expected: str
) -> None:
    quick_recipe["sampling"] = {}
    assert negatives_of(parse_recipe(changed(quick_recipe, sections))) == expected


@pytest.mark.parametrize("target", ["areal_density", "number_density"])
def test_places_that_are_free_have_no_density(content: dict[str, Any], target: str) -> None:
    sections = {"study": {"target": target}, "sampling": {"negatives": "inventory"}}
    with pytest.raises(OptionError, match=r"negatives.*'drawn' or 'all' where a density is predicted"):
        negatives_of(parse_recipe(changed(content, sections)))


def test_what_is_drawn_is_said_in_vain_where_nothing_is(prepare: Prepare) -> None:
    study = prepare(sampling={"negatives": "all", "ratio": 2.0, "strata": "rock"})
    (note,) = [note for note in study.notes if "[sampling]" in note]
    assert note.startswith("'ratio' and 'strata' of [sampling]")
    assert not [note for note in prepare(sampling={"negatives": "all"}).notes if "[sampling]" in note]
    assert not [note for note in prepare(sampling={"ratio": 2.0}).notes if "[sampling]" in note]


@pytest.mark.parametrize(
    "sections", [{}, {"study": {"target": "areal_density"}}, {"sampling": {"ratio": 2.0}}, {"sampling": {"repeats": 2}}]
)
def test_a_recipe_written_out_gives_the_same_study(
    prepare: Prepare, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    """All defaults are written out, and none of them may read as a wish."""
    study = prepare(**sections)
    again = prepare_study(parse_recipe(tomllib.loads(dump_recipe(study.recipe))), tmp_path / "again")
    assert again.recipe == study.recipe
    assert again.notes == study.notes
    assert again.design == study.design
    assert len(again.samples) == len(study.samples)
    for one, other in zip(again.samples, study.samples, strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
    for first, second in zip(again.partitions, study.partitions, strict=True):
        np.testing.assert_array_equal(first.fold, second.fold)


def test_a_density_that_nothing_tells_is_refused(prepare: Prepare) -> None:
    with pytest.raises(InputError, match=r"found none to tell the number density by"):
        prepare(study={"target": "number_density"})


def test_points_have_no_areal_density(quick_recipe: dict[str, Any], tmp_path: Path) -> None:
    quick_recipe["study"]["target"] = "areal_density"
    quick_recipe["models"] = {"names": ["random_forest"]}
    quick_recipe["units"] = {"kind": "aggregate", "size_m": 240.0}
    with pytest.raises(InputError, match=r"inventory of polygons for 'areal_density'.*found none to tell"):
        prepare_study(parse_recipe(quick_recipe), tmp_path / "work")


def test_rows_of_unknown_features_are_not_drawn_unless_imputed(
    prepare: Prepare, tmp_path: Path, content: dict[str, Any]
) -> None:
    gaps = COLUMNS | {"slope": np.where(np.arange(ROWS) % 4 == 0, "", COLUMNS["slope"].astype(str))}
    content["table"]["path"] = str(write_csv(tmp_path / "gaps.csv", gaps))
    study = prepare()
    np.testing.assert_array_equal(study.usable, np.arange(ROWS) % 4 != 0)
    np.testing.assert_array_equal(study.samples[0].cells, np.flatnonzero(study.usable))
    assert prepare(models={"impute": "median"}).samples[0].cells.size == ROWS
    # What is in no feature set need not be known.
    assert prepare(feature_sets={"rocks": ["rock"]}).samples[0].cells.size == ROWS


def test_blocks_are_of_the_size_that_is_asked_for(prepare: Prepare) -> None:
    study = prepare(validation={"block_size_m": 300.0})
    (spatial,) = [partition for partition in study.partitions if partition.scheme == "spatial-blocks"]
    assert study.block_size_m == 300.0
    assert spatial.groups is not None
    places = places_of(study.samples[0].cells)
    for group in np.unique(spatial.groups):
        inside = spatial.groups == group
        assert (np.ptp(places[inside], axis=0) < 300.0).all()
        assert np.unique(spatial.fold[inside]).size == 1
    assert prepare().block_size_m == default_block_size(places) == 1900.0 / 5.0


def test_blocks_are_as_large_as_the_range_of_residuals(
    prepare: Prepare, tmp_path: Path, content: dict[str, Any]
) -> None:
    """Landslides in patches of five places, that slope does not tell of."""
    rng = np.random.default_rng(2)
    north, east = np.divmod(np.arange(ROWS), SIDE)
    patch = rng.random((4, 4)) < 0.5
    slide = patch[north // 5, east // 5].astype(int)
    table = COLUMNS | {"slide": slide, "slid": slide * 1e3}
    content["table"]["path"] = str(write_csv(tmp_path / "patches.csv", table))
    study = prepare(validation={"block_size_m": "variogram"})
    sample = study.samples[0]
    expected = block_size_from_residuals(
        study.data.matrix(sample.cells, ["slope", "rock"]), sample.target, places_of(sample.cells),
        schema=study.data.features(["slope", "rock"]), seed=42, folds=2,
    )  # fmt: skip
    assert study.block_size_m == expected.block_size_m
    assert 300.0 < study.block_size_m < 900.0
    assert expected.note in study.notes
    assert "residuals of a quick model are alike up to" in expected.note


def test_areas_are_those_of_the_polygons(prepare: Prepare, write_shapes: Shapes) -> None:
    """A western and an eastern area that overlap by two columns, which are of the first; and none in the north."""
    width, height = STEP_M * SIDE, STEP_M * 15
    west = shapely.box(WEST - 50.0, SOUTH - 50.0, WEST + width / 2.0 + 50.0, SOUTH + height - 50.0)
    east = shapely.box(WEST + width / 2.0 - 150.0, SOUTH - 50.0, WEST + width, SOUTH + height - 50.0)
    path = write_shapes([west, east], name="areas.gpkg")
    study = prepare(validation={"schemes": ["random", "areas"], "areas": {"path": str(path)}, "repeats": 3})
    of_areas = [partition for partition in study.partitions if partition.scheme == "areas"]
    assert len(of_areas) == 1
    assert len([partition for partition in study.partitions if partition.scheme == "random"]) == 3
    north, column = np.divmod(study.samples[0].cells, SIDE)
    expected = np.where(north >= 15, -1, np.where(column <= 10, 0, 1))
    np.testing.assert_array_equal(of_areas[0].fold, expected)
    assert any("100 of 400 rows lie outside all areas" in note for note in study.notes)


def test_events_are_left_out_in_turn(prepare: Prepare) -> None:
    study = prepare(validation={"schemes": ["random", "events"]})
    (partition,) = [each for each in study.partitions if each.scheme == "events"]
    assert partition.names == ("event Alor", "event Bura", "event Cem")
    for fold, name in enumerate(("Alor", "Bura", "Cem")):
        assert set(COLUMNS["event"][study.samples[0].cells[partition.test_rows(fold)]]) == {name}
        assert name not in COLUMNS["event"][study.samples[0].cells[partition.train_rows(fold)]]


def test_splits_have_their_options(prepare: Prepare) -> None:
    study = prepare(
        validation={"schemes": ["random", "north-south", "buffered"], "direction": "west", "share": 0.25,
                    "buffer_m": 250.0, "block_size_m": 500.0}
    )  # fmt: skip
    by_scheme = {partition.scheme: partition for partition in study.partitions}
    place = places_of(study.samples[0].cells)
    tested = by_scheme["north-south"].test_rows(0)
    np.testing.assert_array_equal(tested, np.flatnonzero(place[:, 0] < WEST + 0.25 * STEP_M * SIDE))
    buffered = by_scheme["buffered"]
    for fold in range(2):
        gaps = cdist(place[buffered.train_rows(fold)], place[buffered.test_rows(fold)])
        assert 250.0 <= gaps.min() <= 300.0


def test_the_target_is_that_of_all_units(prepare: Prepare) -> None:
    np.testing.assert_array_equal(prepare().target, COLUMNS["slide"])
    np.testing.assert_allclose(prepare(study={"target": "areal_density"}).target, COLUMNS["slid"] / COLUMNS["area"])
