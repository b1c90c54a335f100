"""The USGS model of the Loma Prieta earthquake as a baseline and as a feature of a recipe.

There is no inventory beside its inputs: landslides are drawn here from logistic models that are known. The study is in
UTM zone 10, on cells of 500 m, of which everything is known on 20,475:

| probability of the published model | lowest | median | mean | highest |
|---|---|---|---|---|
| 7.5 arc seconds, see `test_loma_prieta` | 0.008 | 0.350 | 0.389 | 0.994 |
| 500 m, of mean slopes | 0.010 | 0.350 | 0.387 | 0.990 |

1,661 cells are drawn to slide by slope, shaking and land cover, and as many others; AUC-ROC and Brier score, where that
of the true probabilities is 0.790:

| | random folds | spatial blocks |
|---|---|---|
| published model | 0.732, 0.211 | 0.732, 0.211 |
| its probability as the one feature of a logistic regression | 0.723, 0.213 | 0.722, 0.215 |
| logistic regression on its five inputs | 0.787, 0.188 | 0.785, 0.188 |
| logistic regression on both | 0.787, 0.188 | 0.785, 0.188 |
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from recipe_scores import Score, report_text, scores_of, validated, written_scores

from insar.grid import Grid
from insar.layers import LayerDefinition, read_layer, write_layer
from susceptibility.errors import InputError
from susceptibility.pipeline import run_study
from susceptibility.recipe import parse_recipe, read_recipe
from susceptibility.storage import align_raster, metric_grid_of, read_raster
from susceptibility.study import Study, prepare_study
from susceptibility.usgs import usgs_landslide_map, usgs_probability

ALL = slice(None)
BASELINE, TRAINED = "usgs_2018", "logistic_regression"
CRS = "EPSG:4326"
CELL_M = 500.0
INPUTS = ("pgv", "slope", "twi", "lithology_coefficient", "landcover_coefficient")
"""In the order of the arguments of `usgs_probability`."""

RASTERS = {
    "slope": ("global_grad.tif", "deg"),
    "twi": ("global_cti_fil.grd", "1"),
    "lithology_coefficient": ("GLIM_replace.tif", "1"),
    "landcover_coefficient": ("globcover_replace.tif", "1"),
}
TRUTH = {"pgv": 0.03, "slope": 0.15, "landcover_coefficient": 1.0}
"""What the logit of the drawn landslides rises by, for one more of each."""


@dataclass(frozen=True)
class Place:
    """Files of a study of the earthquake, and what it will find in them."""

    folder: Path
    ground_failure: Path
    grid: Grid
    features: Mapping[str, NDArray[np.float32]]

    @property
    def probability(self) -> NDArray[np.float64]:
        return usgs_probability(*(self.features[name] for name in INPUTS))

    def recipe(self, inventory: Path, **sets: list[str]) -> dict[str, Any]:
        return {
            "study": {"name": "Loma Prieta", "resolution": CELL_M},
            "factors": {
                # There is no terrain model beside the inputs, and no factor is made of one.
                "dem": str(self.folder / "slope.tif"),
                "terrain": [],
                "rasters": {name: source_of(self.folder, name) for name in RASTERS},
                "shaking": str(self.ground_failure / "grid.xml"),
                "ground_failure": {"path": str(self.ground_failure), "crs": CRS},
            },
            "inventory": {"path": str(inventory), "crs": str(self.grid.crs)},
            "sampling": {"repeats": 1},
            "models": {"names": [BASELINE, TRAINED], TRAINED: {"inverse_regularisation": math.inf}},
            "validation": {"folds": 4},
            "explain": {"permutations": 0, "shap": False, "dependence": False},
            "map": {"applicability": False},
            "feature_sets": sets,
        }

    def draw(self, probability: NDArray[np.float64], name: str, seed: int = 1) -> Path:
        """Write an inventory of points in the cells that are drawn."""
        cells = np.flatnonzero(np.random.default_rng(seed).random(probability.shape) < np.nan_to_num(probability))
        rows, cols = np.divmod(cells, self.grid.cols)
        x, y = self.grid.map_coordinates(rows + 0.5, cols + 0.5)
        path = self.folder / name
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("x", "y"), *zip(x.tolist(), y.tolist(), strict=True)])
        return path


def source_of(folder: Path, name: str) -> dict[str, str]:
    """Coefficients belong to classes: those between two classes are those of a third one."""
    return {"path": str(folder / f"{name}.tif"), **({"resampling": "nearest"} if "coefficient" in name else {})}


@pytest.fixture(scope="module")
def place(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder, source = tmp_path_factory.mktemp("loma_prieta"), shared_data / "loma_prieta"
    for name, (file, unit) in RASTERS.items():
        values, grid = read_raster(source / "model_inputs" / file)
        if name == "slope":
            values = np.degrees(np.arctan(values))
        write_layer(folder / f"{name}.tif", values, replace(grid, crs=CRS), LayerDefinition(name, unit, file))
    grid = metric_grid_of(folder / "slope.tif", resolution_m=CELL_M)
    assert str(grid.crs) == "EPSG:32610"
    shaking = usgs_landslide_map(source, crs=CRS)
    write_layer(folder / "pgv.tif", shaking.inputs["pgv"], shaking.grid, LayerDefinition("pgv", "cm/s", "PGV"))
    features = {
        name: align_raster(folder / f"{name}.tif", grid, resampling="nearest" if "coefficient" in name else None)
        for name in INPUTS
    }
    return Place(folder, source, grid, features)


@pytest.fixture(scope="module")
def truth(place: Place) -> NDArray[np.float64]:
    """Probability that a cell is drawn to slide: not that of the published model."""
    logit = sum(effect * place.features[name].astype(np.float64) for name, effect in TRUTH.items()) - 6.0
    return np.where(np.isfinite(place.probability), 1.0 / (1.0 + np.exp(-logit)), np.nan)


@pytest.fixture(scope="module")
def result(place: Place, truth: NDArray[np.float64]) -> Path:
    inventory = place.draw(truth, "drawn.csv")
    recipe = place.recipe(
        inventory,
        inputs=["shaking", "rasters"],
        probability=["ground_failure"],
        both=["shaking", "rasters", "ground_failure"],
    )
    run_study(parse_recipe(recipe), place.folder / "result", workers=1)
    return place.folder / "result"


@pytest.fixture(scope="module")
def study(place: Place, result: Path) -> Study:
    """What the result was made from."""
    return prepare_study(read_recipe(result / "recipe.toml"), place.folder / "study")


def published(study: Study, rows: slice | NDArray[np.intp] = ALL) -> NDArray[np.float64]:
    """The published equation on the features of the study, by its own function."""
    return usgs_probability(*study.data.matrix(rows, INPUTS).T)


def on_units(study: Study, plane: NDArray[Any], rows: slice | NDArray[np.intp] = ALL) -> NDArray[Any]:
    """Values of units, which are the cells where the slope is known."""
    return plane.ravel()[study.data.number(rows)]


def mapped(result: Path, study: Study, model: str, feature_set: str) -> NDArray[np.float64]:
    """Probability of each unit by the map of a candidate."""
    values, _, _ = read_layer(result / "maps" / f"{model}_{feature_set}" / "probability.tif")
    return on_units(study, values).astype(np.float64)


def test_the_baseline_is_the_published_equation(result: Path, study: Study) -> None:
    """On every cell, whatever the set and the landslides; to the rounding of the map."""
    expected = published(study)
    assert np.isfinite(expected).sum() > 20_000
    for feature_set in ("inputs", "both"):
        found = mapped(result, study, BASELINE, feature_set)
        known = np.isfinite(expected) & study.data.known(study.design.names(feature_set))
        np.testing.assert_array_equal(np.isfinite(found), known)
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-6)


def test_inputs_of_the_study_are_those_of_the_usgs(place: Place, study: Study) -> None:
    for name in INPUTS[1:]:
        np.testing.assert_array_equal(study.data.columns[name](ALL), on_units(study, place.features[name]), name)
    pgv, fine = study.data.columns["pgv"](ALL), on_units(study, place.features["pgv"])
    known = np.isfinite(fine)
    # Between nodes PGV is taken at the centre of the cell, or in the mean of it.
    np.testing.assert_allclose(pgv[known], fine[known], rtol=0.05)
    units = {feature.name: feature.unit for feature in study.data.schema}
    assert (units["pgv"], units["slope"]) == ("cm/s", "deg")


def test_the_probability_is_like_that_of_the_fine_grid(place: Place, study: Study) -> None:
    """Statistics beside those of `test_loma_prieta`: on cells of 500 m steep slopes are less steep."""
    p = published(study)
    p = p[np.isfinite(p)]
    assert p.min() == pytest.approx(0.009, abs=0.002)
    assert np.median(p) == pytest.approx(0.350, abs=0.01)
    assert p.mean() == pytest.approx(0.389, abs=0.01)
    assert p.max() == pytest.approx(0.990, abs=0.005)


def test_the_feature_is_the_mean_of_the_fine_grid(place: Place, study: Study) -> None:
    """Against means of the pixels whose centres lie in each cell: some six, where footprints take parts of others."""
    from pyproj import Transformer

    fine = usgs_landslide_map(place.ground_failure, crs=CRS)
    row, col = np.mgrid[: fine.grid.rows, : fine.grid.cols]
    lon, lat = fine.grid.map_coordinates(row + 0.5, col + 0.5)
    x, y = Transformer.from_crs(CRS, place.grid.crs, always_xy=True).transform(lon, lat)
    down, right = place.grid.pixel_coordinates(x, y)
    cell = np.floor(down).astype(int) * place.grid.cols + np.floor(right).astype(int)
    known = np.isfinite(fine.probability)
    size = place.grid.rows * place.grid.cols
    pixels = np.bincount(cell[known], minlength=size)
    total = np.bincount(cell[known], fine.probability[known], minlength=size)
    feature = np.full(size, np.nan)
    feature[study.data.number(ALL)] = study.data.columns["usgs_probability"](ALL)
    is_whole = (pixels == np.bincount(cell.ravel(), minlength=size)) & (pixels >= 4) & np.isfinite(feature)
    assert is_whole.sum() > 18_000
    difference = feature[is_whole] - total[is_whole] / pixels[is_whole]
    assert abs(difference.mean()) < 0.001
    assert np.abs(difference).mean() < 0.02
    # The equation of means is not the mean of the equation, and takes the coefficients at the cell's centre alone.
    assert np.corrcoef(feature[is_whole], place.probability.ravel()[is_whole])[0, 1] > 0.95


def test_the_baseline_stands_beside_the_trained_model(result: Path, study: Study, truth: NDArray[np.float64]) -> None:
    """Its scores are those of the equation on the tested rows; a model that learns the truth beats it."""
    from sklearn.metrics import brier_score_loss, roc_auc_score

    scores, (sample,) = written_scores(result), study.samples
    p = published(study, sample.cells)
    for partition in study.partitions:
        tested = [partition.test_rows(fold) for fold in range(partition.folds)]
        for metric, function in (("auc_roc", roc_auc_score), ("brier", brier_score_loss)):
            expected = np.mean([function(sample.target[rows], p[rows]) for rows in tested])
            for feature_set in ("inputs", "both"):
                found = scores[Score(BASELINE, partition.scheme, metric, feature_set)]
                assert found == pytest.approx(expected, abs=1e-9)
    best = roc_auc_score(sample.target, on_units(study, truth, sample.cells))
    for scheme in ("random", "spatial-blocks"):
        trained, fixed = (scores[Score(model, scheme, "auc_roc", "inputs")] for model in (TRAINED, BASELINE))
        assert trained == pytest.approx(best, abs=0.01)
        assert trained > fixed + 0.03
    text = report_text(result)
    for model in (TRAINED, BASELINE):
        assert f" {scores[Score(model, 'spatial-blocks', 'auc_roc', 'inputs')]:.3f} " in text


def test_the_truth_is_learned(result: Path, study: Study) -> None:
    """Logits of the map are linear in the features, as the truth is; the sample of half landslides moves all alike."""
    p = mapped(result, study, TRAINED, "inputs")
    known = np.isfinite(p)
    X = np.column_stack([np.ones(known.sum()), study.data.matrix(ALL, INPUTS)[known].astype(np.float64)])
    effects, *_ = np.linalg.lstsq(X, np.log(p[known] / (1.0 - p[known])), rcond=None)
    np.testing.assert_allclose(X @ effects, np.log(p[known] / (1.0 - p[known])), atol=1e-3)
    found = dict(zip(INPUTS, effects[1:], strict=True))
    # Three standard errors of coefficients that 3,400 rows tell.
    for name, tolerance in (
        ("pgv", 0.008),
        ("slope", 0.03),
        ("landcover_coefficient", 0.25),
        ("lithology_coefficient", 0.25),
    ):
        assert found[name] == pytest.approx(TRUTH.get(name, 0.0), abs=tolerance), name


def test_alone_the_feature_orders_places_as_it_does_untrained(result: Path, study: Study) -> None:
    """One feature and a logistic curve: the same order, and nothing that the equation did not know."""
    from sklearn.metrics import roc_auc_score

    scores, (sample,) = written_scores(result), study.samples
    feature = study.data.columns["usgs_probability"](sample.cells)
    assert scores[Score(TRAINED, "training", "auc_roc", "probability")] == pytest.approx(
        roc_auc_score(sample.target, feature), abs=1e-9
    )
    for partition in study.partitions:
        tested = [partition.test_rows(fold) for fold in range(partition.folds)]
        expected = np.mean([roc_auc_score(sample.target[rows], feature[rows]) for rows in tested])
        assert scores[Score(TRAINED, partition.scheme, "auc_roc", "probability")] == pytest.approx(expected, abs=1e-9)


def test_that_the_baseline_is_fixed_is_told(result: Path) -> None:
    text = report_text(result)
    assert "USGS 2018 as published learns nothing from the rows: its equation is fixed" in text
    assert "USGS 2018 as published needs features that these sets lack, and is left out there: probability." in text


def test_no_model_beats_the_baseline_where_it_is_the_truth(place: Place) -> None:
    """One cell in five times its probability slides, so that the best AUC follows from the probabilities alone."""
    from sklearn.metrics import roc_auc_score

    slides = 0.2 * place.probability
    inventory = place.draw(slides, "published.csv", seed=2)
    recipe = place.recipe(inventory, inputs=["shaking", "rasters"], both=["shaking", "rasters", "ground_failure"])
    _, evaluation = validated(recipe, place.folder / "published")
    scores = scores_of(evaluation)
    chance = slides[np.isfinite(slides)]
    best = roc_auc_score(
        np.repeat([1, 0], chance.size), np.tile(chance, 2), sample_weight=np.concatenate([chance, 1.0 - chance])
    )
    for scheme in ("random", "spatial-blocks"):
        trained, fixed = (scores[Score(model, scheme, "auc_roc", "inputs")] for model in (TRAINED, BASELINE))
        assert fixed == pytest.approx(best, abs=0.03)
        assert trained < fixed + 0.005


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("1", "feature slope of usgs_2018: required the unit deg; found 1"),
        (None, "feature slope of usgs_2018: required slopes in degrees, some of them above 2"),
    ],
)
def test_gradients_are_no_degrees(place: Place, truth: NDArray[np.float64], unit: str | None, message: str) -> None:
    """The slope that the USGS gives is rise over run: taken for degrees, all ground would be flat."""
    # A set without its features must not hide what is wrong with them.
    sets = {"inputs": ["shaking", "rasters"], "probability": ["ground_failure"]}
    recipe = place.recipe(place.draw(truth, "gradients.csv"), **sets)
    path = place.folder / "gradient.tif"
    if not path.is_file():
        with rasterio.open(place.ground_failure / "model_inputs" / "global_grad.tif") as source:
            values, profile = source.read(1), source.profile
        with rasterio.open(path, "w", **profile | {"crs": CRS, "driver": "GTiff"}) as target:
            target.write(values, 1)
    recipe["factors"]["rasters"]["slope"] = {"path": str(path)} | ({"unit": unit} if unit else {})
    with pytest.raises(InputError, match=message):
        validated(recipe, place.folder / f"gradient_{unit}")
