"""Bundles: what is read predicts the same to the bit, and nothing but a whole bundle is read."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_rows import QUICK, SCHEMA, draw_rows

from susceptibility.applicability import ApplicabilityModel
from susceptibility.bundle import Bundle, range_of, read_bundle, write_bundle
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.models import MODELS, CalibrationOptions, PreprocessingOptions, SearchOptions, SusceptibilityModel
from susceptibility.models.archive import TRUSTED, pack, unpack
from susceptibility.models.storage import dump_estimator, load_estimator
from susceptibility.schema import Task

KINDS = [(name, task) for name, definition in MODELS.items() for task in sorted(definition.tasks)]
QUICK_FOREST = {"trees": 3, "depth": 3}


def fitted(name: str, task: Task, *, seed: int = 0, **kwargs: Any) -> SusceptibilityModel:
    X, y = draw_rows(120)
    definition = MODELS[name]
    options = definition.options(**({**QUICK.get(name, {}), **(QUICK_FOREST if name == "random_forest" else {})}))
    target = y if task is Task.CLASSIFICATION else y * 0.4
    return SusceptibilityModel(definition, options, SCHEMA, task, seed, **kwargs).fit(X, target)


def bundle_of(*models: SusceptibilityModel, **kwargs: Any) -> Bundle:
    X, _ = draw_rows(120)
    context = {"prevalence": 0.25, "origin": ["Gorkha", None], "units": {"pgv": "cm/s"}}
    return Bundle.of(models, title="a model", feature_set="all", training=X, context=context, **kwargs)


def checksums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(("name", "task"), KINDS)
def test_what_is_read_predicts_the_same_and_is_written_the_same(name: str, task: Task, tmp_path: Path) -> None:
    unseen, _ = draw_rows(300, seed=1)
    kwargs: dict[str, Any] = {"upper": 1.0} if task is Task.REGRESSION else {}
    models = tuple(fitted(name, task, seed=seed, **kwargs) for seed in (0, 1))
    write_bundle(tmp_path / "first", bundle_of(*models))
    read = read_bundle(tmp_path / "first")
    for before, after in zip(models, read.models, strict=True):
        assert after.predict(unseen).tobytes() == before.predict(unseen).tobytes()
        assert after.native_importance().tobytes() == before.native_importance().tobytes()
        assert after.get_params() == before.get_params()
    write_bundle(tmp_path / "second", read)
    again = tuple(fitted(name, task, seed=seed, **kwargs) for seed in (0, 1))
    write_bundle(tmp_path / "third", bundle_of(*again))
    assert checksums(tmp_path / "first") == checksums(tmp_path / "second") == checksums(tmp_path / "third")


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("name", ["logistic_regression", "rbf_svm", "random_forest", "xgboost", "lightgbm"])
def test_calibration_imputation_and_search_come_back(name: str, method: str, tmp_path: Path) -> None:
    unseen, _ = draw_rows(200, seed=1)
    unseen[::7, 0], unseen[::5, 5] = np.nan, np.nan
    option = {"random_forest": "depth", "xgboost": "depth", "lightgbm": "leaves"}.get(name, "inverse_regularisation")
    model = fitted(
        name,
        Task.CLASSIFICATION,
        preprocessing=PreprocessingOptions(impute="median", scale="minmax", unseen="other"),
        calibration=CalibrationOptions(method=method, folds=2),
        search=SearchOptions(parameters={option: (2, 3)}, folds=2),
    )
    write_bundle(tmp_path / "model", bundle_of(model))
    (read,) = read_bundle(tmp_path / "model").models
    assert np.isfinite(model.predict(unseen)).all()
    assert read.predict(unseen).tobytes() == model.predict(unseen).tobytes()
    assert read.search_results_ == model.search_results_
    assert read.options_ == model.options_


def test_what_belongs_to_the_models_comes_back(tmp_path: Path) -> None:
    model = fitted("logistic_regression", Task.CLASSIFICATION)
    X, _ = draw_rows(120)
    columns = model.preprocessor_.transform(X)
    area = ApplicabilityModel().fit(columns, np.ones(columns.shape[1]), np.arange(120) % 4)
    written = bundle_of(model, applicability=area)
    write_bundle(tmp_path / "model", written)
    read = read_bundle(tmp_path / "model")
    assert (read.schema, read.task, read.title, read.feature_set) == (SCHEMA, Task.CLASSIFICATION, "a model", "all")
    assert read.context == written.context
    unseen = model.preprocessor_.transform(draw_rows(50, seed=1)[0])
    assert read.applicability is not None
    np.testing.assert_array_equal(read.applicability.dissimilarity(unseen), area.dissimilarity(unseen))
    assert read.applicability.threshold_ == area.threshold_
    for name in ("lowest", "low", "high", "highest"):
        np.testing.assert_array_equal(getattr(read.ranges, name), getattr(written.ranges, name))
    assert {key: seen.tolist() for key, seen in read.ranges.classes.items()} == {5: [True, True, True]}


def test_ranges_by_hand() -> None:
    X = np.tile(np.arange(101, dtype=np.float32)[:, None], (1, 6))
    X[:, 5] = 3
    X[:4, 0] = np.nan
    X[:, 4] = np.nan
    ranges = range_of(X, SCHEMA)
    assert [ranges.lowest[0], ranges.low[1], ranges.high[1], ranges.highest[1]] == [4.0, 1.0, 99.0, 100.0]
    assert np.isnan([ranges.lowest[4], ranges.high[4], ranges.lowest[5]]).all()
    assert ranges.classes[5].tolist() == [False, False, True]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    for name in ("logistic_regression", "random_forest", "xgboost", "lightgbm", "frequency_ratio"):
        write_bundle(folder / name, bundle_of(fitted(name, Task.CLASSIFICATION)))
    return folder


def seal(folder: Path) -> None:
    """Make all checksums right again, as somebody would who means harm."""
    index = folder / "bundle.json"
    content = json.loads(index.read_text())
    content.pop("sha256", None)
    content["files"] = {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != "bundle.json"
    }
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    index.write_text(json.dumps({**content, "sha256": hashlib.sha256(plain.encode()).hexdigest()}))


def change_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / "bundle.json").read_text())
    change(content)
    (folder / "bundle.json").write_text(json.dumps(content))


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was loaded",))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


CARELESS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "changed estimator": (lambda folder: flip(folder / "model_000.skops"), r"model_000\.skops: .*changed after"),
    "changed index": (
        lambda folder: change_index(folder, lambda content: content.update(title="b")),
        r"bundle\.json: .*changed after",
    ),
    "no checksum": (lambda folder: change_index(folder, lambda content: content.pop("sha256")), "changed after"),
    "missing file": (lambda folder: (folder / "model_000.skops").unlink(), r"model_000\.skops: .*found no such file"),
    "another model": (lambda folder: (folder / "model_001.skops").write_bytes(b"PK"), "a file that it does not list"),
    "a note": (lambda folder: (folder / "notes.txt").write_text("hello"), r"notes\.txt: .*a file that no bundle has"),
    "a folder": (lambda folder: (folder / "more").mkdir(), "a link or a folder"),
    "a link": (lambda folder: (folder / "model_001.json").symlink_to("/etc/passwd"), "a link or a folder"),
    "a pickle": (lambda folder: (folder / "model.pkl").write_bytes(pickle.dumps(Harm())), r"model\.pkl: .*a pickle"),
    "a joblib": (lambda folder: (folder / "model.joblib").write_bytes(b"x"), "a pickle, which could run any code"),
    "later": (
        lambda folder: (change_index(folder, lambda content: content.update(version=2)), seal(folder)),
        r"version 1 or earlier; found version 2\. Update this package",
    ),
    "another format": (
        lambda folder: (change_index(folder, lambda content: content.update(format="model")), seal(folder)),
        "of another format",
    ),
    "no JSON": (lambda folder: (folder / "bundle.json").write_text("{"), "something else"),
}


@pytest.mark.parametrize("case", CARELESS)
def test_a_bundle_that_is_not_whole_is_refused(case: str, stored: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stored / "logistic_regression", folder)
    damage, message = CARELESS[case]
    damage(folder)
    with pytest.raises(InputError, match=message):
        read_bundle(folder)


def archive_with(
    change: Callable[[dict[str, Any]], None], content: bytes, arrays: dict[str, bytes] | None = None
) -> bytes:
    """A skops archive with another schema, and perhaps other arrays."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name == "schema.json":
                schema = json.loads(data)
                change(schema)
                data = json.dumps(schema).encode()
            archive.writestr(name, (arrays or {}).get(name, data))
    return target.getvalue()


def call_system(schema: dict[str, Any]) -> None:
    schema["content"]["content"]["C"] = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "__id__": 7,
        "content": {"module_path": "os", "function": "system"},
    }


def hold_another_estimator(schema: dict[str, Any]) -> None:
    schema["content"]["content"]["C"]["__class__"] = "SGDClassifier"
    schema["content"]["content"]["C"]["__module__"] = "sklearn.linear_model._stochastic_gradient"


def pickled_array() -> bytes:
    target = io.BytesIO()
    np.save(target, np.array([Harm()], object), allow_pickle=True)
    return target.getvalue()


def with_pickled_arrays(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        names = [name for name in source.namelist() if name.endswith(".npy")]
    return archive_with(lambda schema: None, content, dict.fromkeys(names, pickled_array()))


def edit_first_tree(content: bytes, part: str, value: int, node: int = 0) -> bytes:
    model = json.loads(content)
    model["learner"]["gradient_booster"]["model"]["trees"][0][part][node] = value
    return json.dumps(model).encode()


def edit_first_line(content: bytes, name: str, value: int) -> bytes:
    edited = re.sub(rf"\n{name}=-?\d+".encode(), f"\n{name}={value}".encode(), content, count=1)
    longer = len(edited) - len(content)
    return re.sub(rb"tree_sizes=(\d+)", lambda found: b"tree_sizes=%d" % (int(found[1]) + longer), edited)


def other_columns(content: dict[str, Any]) -> None:
    content["schema"][0]["name"] = "pga"
    content["schema"].append({**content["schema"][0], "name": "one more"})


WICKED: dict[str, tuple[str, str, Callable[[bytes], bytes], str]] = {
    "function": (
        "logistic_regression",
        "model_000.skops",
        lambda content: archive_with(call_system, content),
        r"type os\.system \(FunctionNode\), which no LogisticRegression has",
    ),
    "type that skops trusts": (
        "logistic_regression",
        "model_000.skops",
        lambda content: archive_with(hold_another_estimator, content),
        r"type sklearn\.linear_model\._stochastic_gradient\.SGDClassifier",
    ),
    "pickle for an archive": (
        "logistic_regression",
        "model_000.skops",
        lambda content: pickle.dumps(Harm()),
        "a pickle under another name",
    ),
    "old pickle for an archive": (
        "logistic_regression",
        "model_000.skops",
        lambda content: pickle.dumps(Harm(), protocol=0),
        r"model_000\.skops: .*no skops archive",
    ),
    "pickles in an archive": ("logistic_regression", "model_000.skops", with_pickled_arrays, "allow_pickle=False"),
    "archive of another class": (
        "random_forest",
        "model_000.skops",
        lambda content: pack(fitted("logistic_regression", Task.CLASSIFICATION).estimator_),
        "no RandomForestClassifier",
    ),
    "forest of densities": (
        "random_forest",
        "model_000.skops",
        lambda content: pack(fitted("random_forest", Task.REGRESSION).estimator_),
        "no RandomForestClassifier",
    ),
    "XGBoost of another task": (
        "xgboost",
        "model_000.json",
        lambda content: content.replace(b"binary:logistic", b"reg:squarederror"),
        "objective reg:squarederror for classification",
    ),
    "XGBoost of nothing": ("xgboost", "model_000.json", lambda content: b"[1]", "no XGBoost"),
    "XGBoost that reads past its rows": (
        "xgboost",
        "model_000.json",
        lambda content: edit_first_tree(content, "split_indices", 500),
        "a split by a column that is not there",
    ),
    "XGBoost that leaves its memory": (
        "xgboost",
        "model_000.json",
        lambda content: edit_first_tree(content, "right_children", 100_000),
        "nodes lead nowhere",
    ),
    "XGBoost that never ends": (
        "xgboost",
        "model_000.json",
        lambda content: edit_first_tree(content, "left_children", 0, node=1),
        "in circles",
    ),
    "LightGBM that reads past its rows": (
        "lightgbm",
        "model_000.txt",
        lambda content: edit_first_line(content, "split_feature", 500),
        "a split by a column that is not there",
    ),
    "LightGBM that leaves its memory": (
        "lightgbm",
        "model_000.txt",
        lambda content: edit_first_line(content, "left_child", 100_000),
        "nodes lead nowhere",
    ),
    "LightGBM that never ends": (
        "lightgbm",
        "model_000.txt",
        lambda content: edit_first_line(content, "right_child", 0),
        "nodes lead nowhere",
    ),
    "LightGBM of nothing": ("lightgbm", "model_000.txt", lambda content: b"tree\n", "no LightGBM"),
    "ratios of nothing": ("frequency_ratio", "model_000.json", lambda content: b"{}", "no frequency ratio"),
}


@pytest.mark.parametrize("case", WICKED)
def test_a_bundle_that_means_harm_is_refused(case: str, stored: Path, tmp_path: Path) -> None:
    name, file, forge, message = WICKED[case]
    folder = tmp_path / "model"
    shutil.copytree(stored / name, folder)
    (folder / file).write_bytes(forge((folder / file).read_bytes()))
    seal(folder)
    with pytest.raises(InputError, match=message):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_columns, "a bundle of models"),
        (lambda content: content.update(task="regression"), "a bundle of models"),
        (lambda content: content["models"][0].update(name="network"), "network"),
        (lambda content: content["models"][0].update(file="../model_000.skops"), "an estimator in"),
        (lambda content: content["models"].clear(), "files that belong to no model"),
        (lambda content: content["models"][0]["options"].update(depth=3), "depth"),
        (lambda content: content["models"][0]["preprocessor"]["centre"].pop(), "as many features"),
        (lambda content: content["ranges"]["low"].pop(), "ranges of other features"),
        (lambda content: content.pop("ranges"), "ranges"),
    ],
)
def test_an_index_whose_parts_do_not_fit_is_refused(change: Any, message: str, stored: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stored / "logistic_regression", folder)
    change_index(folder, change)
    seal(folder)
    with pytest.raises(InputError, match=message):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["logistic_regression", "random_forest", "xgboost", "lightgbm", "frequency_ratio"])
def test_what_is_cut_short_or_scribbled_on_is_refused_or_predicts(name: str) -> None:
    """Whatever the bytes, there is an error that says so or numbers, and never a crash."""
    model = fitted(name, Task.CLASSIFICATION)
    X, _ = draw_rows(20)
    columns = model.preprocessor_.transform(X)
    content = dump_estimator(model.definition, model.estimator_)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 15):
        with pytest.raises(ValueError, match=f"no {model.definition.title}"):
            load_estimator(model.definition, content[:place], model.preprocessor_.columns_, model.task)
        scribbled = bytearray(content)
        scribbled[place] = rng.integers(32, 127)
        try:
            read = load_estimator(model.definition, bytes(scribbled), model.preprocessor_.columns_, model.task)
        except ValueError:
            continue
        assert model.definition.score(read, columns).shape == (20,)


def test_a_tree_that_never_ends_or_asks_for_another_feature_is_refused() -> None:
    """Compiled code would follow such indices out of its memory."""
    forest = fitted("random_forest", Task.CLASSIFICATION).estimator_
    columns = forest.n_features_in_
    content = pack(forest)
    assert unpack(content, "RandomForestClassifier", columns).n_features_in_ == columns
    with pytest.raises(ValueError, match="columns where the schema has"):
        unpack(content, "RandomForestClassifier", columns + 1)
    for field, wrong in (("left_child", 0), ("right_child", 10_000), ("feature", columns)):
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            arrays = {name: source.read(name) for name in source.namelist() if name.endswith(".npy")}
        for name, data in arrays.items():
            nodes = np.load(io.BytesIO(data), allow_pickle=False)
            if nodes.dtype.names and len(nodes) > 1:
                nodes[field][0] = wrong
                target = io.BytesIO()
                np.save(target, nodes)
                arrays[name] = target.getvalue()
        forged = archive_with(lambda schema: None, content, arrays)
        with pytest.raises(ValueError, match="parts do not fit together"):
            unpack(forged, "RandomForestClassifier", columns)


def test_what_an_archive_may_hold_is_listed_without_any_function() -> None:
    loaders = {loader for kinds in TRUSTED.values() for _, _, loader in kinds}
    assert loaders == {
        "DictNode",
        "ListNode",
        "TupleNode",
        "JsonNode",
        "TypeNode",
        "NdArrayNode",
        "ObjectNode",
        "TreeNode",
    }


def test_a_later_library_is_told_of(stored: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stored / "xgboost", folder)
    change_index(folder, lambda content: content["versions"].update(xgboost="99.1"))
    seal(folder)
    read_bundle(folder)
    assert "written with xgboost 99.1, read with" in caplog.text


def test_what_does_not_belong_together_is_not_written(tmp_path: Path) -> None:
    model = fitted("xgboost", Task.CLASSIFICATION)
    whole = bundle_of(model)
    for wrong, message in (
        (replace(whole, task=Task.REGRESSION), "another task"),
        (replace(whole, models=()), "found none"),
        (replace(whole, context={"place": (1, 2)}), "does not come back as it was"),
        (replace(whole, context={"prevalence": np.nan}), "context of the bundle"),
        (replace(whole, context={"path": tmp_path}), "context of the bundle"),
        (replace(whole, ranges=range_of(np.zeros((2, 5), np.float32), SCHEMA[:5])), "ranges of other features"),
    ):
        with pytest.raises(OptionError, match=message):
            write_bundle(tmp_path / "model", wrong)
        assert not list(tmp_path.iterdir())
    with pytest.raises(OptionError, match="at least one model"):
        bundle_of()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(OptionError, match="a new or an empty folder"):
        write_bundle(tmp_path / "taken", whole)
    with pytest.raises(MissingInputError, match="a bundle of models"):
        read_bundle(tmp_path / "taken")
