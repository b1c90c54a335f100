"""Many models over rows: known quantiles, errors by the delta method, blocks and workers, going on after a stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from susceptibility import ensemble
from susceptibility.ensemble import predict_rows
from susceptibility.errors import InputError, OptionError
from susceptibility.perturbation import FeatureErrors, scene_normals, standard_normals

ROWS = 1000


class Linear:
    """Offset plus weighted features, through a logistic curve if asked for."""

    def __init__(self, offset: float, weights: list[float], *, logistic: bool = False) -> None:
        self.offset, self.weights, self.logistic = offset, np.array(weights), logistic
        self.calls = 0

    def predict(self, X: np.ndarray) -> np.ndarray:
        self.calls += 1
        value = self.offset + (X.astype(np.float64) * self.weights).sum(axis=1)
        return 1.0 / (1.0 + np.exp(-value)) if self.logistic else value


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "_ROWS_AT_ONCE", 130)


@pytest.fixture
def features() -> np.ndarray:
    values = np.random.default_rng(2).normal(size=(ROWS, 3)).astype(np.float32)
    values[17] = np.nan
    values[200:210, 1] = np.nan
    return values


def constant(*sigma: float) -> Callable[[slice], np.ndarray]:
    return lambda rows: np.tile(np.array(sigma, np.float32), (rows.stop - rows.start, 1))


@pytest.mark.usefixtures("_small_blocks")
def test_median_and_quantiles_of_known_models(features: np.ndarray, tmp_path: Path) -> None:
    models = [Linear(float(offset), [1.0, 0.0, 2.0]) for offset in [7, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10]]
    told: list[tuple[int, int]] = []
    found = predict_rows(
        models, features.__getitem__, ROWS, tmp_path, quantiles=(0.1, 0.8), progress=lambda *done: told.append(done)
    )
    known = np.isfinite(features).all(axis=1)
    base = features[known].astype(np.float64) @ [1.0, 0.0, 2.0]
    np.testing.assert_allclose(found.probability[known], base + 5.0, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.mean[known], base + 5.0, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.lower[known], base + 1.0, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.upper[known], base + 8.0, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.std[known], np.std(np.arange(11.0), ddof=1), rtol=1e-6)
    assert found.insar_std is None
    for array in (found.probability, found.mean, found.std, found.lower, found.upper):
        assert array.dtype == np.float32
        assert np.isnan(array[~known]).all()
    assert told[-1] == (ROWS, ROWS)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_single_model_has_no_spread(features: np.ndarray, tmp_path: Path) -> None:
    found = predict_rows([Linear(0.5, [1.0, 1.0, 1.0])], features.__getitem__, ROWS, tmp_path)
    assert found.std is found.lower is found.upper is None
    np.testing.assert_array_equal(found.mean, found.probability)


@pytest.mark.usefixtures("_small_blocks")
def test_a_row_of_which_nothing_is_known_is_not_asked_for(features: np.ndarray, tmp_path: Path) -> None:
    class Filling:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.where(np.isnan(X), 0.0, X).sum(axis=1)

    found = predict_rows([Filling()], features.__getitem__, ROWS, tmp_path)
    assert np.flatnonzero(np.isnan(found.probability)).tolist() == [17]


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.floats(0, 0.49), st.floats(0.51, 1))
def test_the_quantiles_enclose_the_median(offsets: list[float], lower: float, upper: float) -> None:
    import tempfile

    values = np.zeros((3, 1), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        models = [Linear(offset, [0.0]) for offset in offsets]
        found = predict_rows(models, values.__getitem__, 3, Path(folder), quantiles=(lower, upper))
        assert (found.lower <= found.probability).all()
        assert (found.probability <= found.upper).all()
        assert found.probability[0] == pytest.approx(np.median(offsets), rel=1e-6, abs=1e-9)


def test_errors_of_a_linear_model_are_in_closed_form(features: np.ndarray, tmp_path: Path) -> None:
    model = Linear(0.0, [0.3, 5.0, -0.4])
    errors = FeatureErrors((0, 2), constant(0.2, 0.1), perturbations=400)
    found = predict_rows([model], features.__getitem__, ROWS, tmp_path, errors=errors, seed=4)
    expected = np.hypot(0.3 * 0.2, 0.4 * 0.1)
    known = np.isfinite(features).all(axis=1)
    # A standard deviation over n draws is itself off by 1/sqrt(2n), and over all rows by far less.
    assert found.insar_std[known].mean() == pytest.approx(expected, rel=0.005)
    assert found.insar_std[known].std() == pytest.approx(expected / np.sqrt(800), rel=0.1)
    assert np.isnan(found.insar_std[~known]).all()


def test_small_errors_of_a_logistic_model_follow_the_delta_method(features: np.ndarray, tmp_path: Path) -> None:
    models = [Linear(offset, [1.5, 0.5, 0.0], logistic=True) for offset in (-1.0, 0.0, 2.0)]
    errors = FeatureErrors((0,), constant(0.01), perturbations=300)
    found = predict_rows(models, features.__getitem__, ROWS, tmp_path, errors=errors)
    known = np.isfinite(features).all(axis=1)
    p = np.stack([model.predict(features[known]) for model in models])
    each = 1.5 * 0.01 * p * (1.0 - p)
    delta = np.sqrt((each**2).mean(axis=0))
    ratio = found.insar_std[known] / delta
    assert ratio.mean() == pytest.approx(1.0, abs=0.005)
    assert np.abs(ratio - 1.0).max() < 0.25
    assert (found.std[known] > 3.0 * found.insar_std[known]).all()  # another thing altogether


def test_errors_of_an_absolute_value_act_before_it_is_taken(tmp_path: Path) -> None:
    signed = np.concatenate([np.zeros(ROWS), np.full(ROWS, -5.0)]).astype(np.float32)[:, np.newaxis]
    errors = FeatureErrors((0,), constant(1.0), perturbations=200, is_absolute=(True,))
    for given_signs in (None, signed.__getitem__):
        chosen = replace(errors, signed=given_signs)
        found = predict_rows(
            [Linear(0.0, [1.0])], np.abs(signed).__getitem__, 2 * ROWS, tmp_path, errors=chosen, seed=1
        )
        # The absolute value of a standard normal has the variance 1 - 2/pi; far from zero nothing is folded.
        assert found.insar_std[:ROWS].mean() == pytest.approx(np.sqrt(1.0 - 2.0 / np.pi), rel=0.01)
        assert found.insar_std[ROWS:].mean() == pytest.approx(1.0, rel=0.01)


def test_shared_errors_move_the_whole_map_and_no_row_more(tmp_path: Path) -> None:
    values = np.zeros((ROWS, 1), np.float32)
    spread = {}
    for correlation in (0.0, 0.5, 1.0):
        errors = FeatureErrors((0,), constant(0.3), perturbations=400, correlation=correlation)
        found = predict_rows([Linear(0.0, [2.0])], values.__getitem__, ROWS, tmp_path, errors=errors, seed=9)
        spread[correlation] = found.insar_means.std(ddof=1)
        assert found.insar_std.mean() == pytest.approx(0.6, rel=0.08)
    assert spread[0.0] == pytest.approx(0.6 / np.sqrt(ROWS), rel=0.15)
    assert spread[0.5] == pytest.approx(0.6 * np.sqrt(0.5 + 0.5 / ROWS), rel=0.1)
    scene = np.array([scene_normals(9, number, 1)[0] for number in range(400)])
    assert spread[1.0] == pytest.approx(0.6 * scene.std(ddof=1), rel=1e-5)


def test_a_shared_error_moves_opposite_signs_apart(tmp_path: Path) -> None:
    signed = np.where(np.arange(ROWS) % 2, 3.0, -3.0).astype(np.float32)[:, np.newaxis]
    errors = FeatureErrors((0,), constant(0.1), correlation=1.0, is_absolute=(True,))
    without = predict_rows([Linear(0.0, [1.0])], np.abs(signed).__getitem__, ROWS, tmp_path / "a", errors=errors)
    assert without.insar_means is None  # without signs nobody knows
    errors = replace(errors, signed=signed.__getitem__)
    found = predict_rows([Linear(0.0, [1.0])], np.abs(signed).__getitem__, ROWS, tmp_path / "b", errors=errors)
    np.testing.assert_allclose(found.insar_means, 3.0, atol=1e-6)
    np.testing.assert_allclose(found.insar_std, found.insar_std[0], rtol=1e-4)


def test_columns_of_one_measurement_share_its_errors(tmp_path: Path) -> None:
    values = np.ones((ROWS, 2), np.float32)
    model = Linear(0.0, [1.0, -1.0])
    shared = FeatureErrors((0, 1), constant(0.2, 0.2), sources=(5, 5))
    found = predict_rows([model], values.__getitem__, ROWS, tmp_path / "a", errors=shared)
    assert found.insar_std.max() < 1e-6
    own = replace(shared, sources=(5, 6), perturbations=100)
    found = predict_rows([model], values.__getitem__, ROWS, tmp_path / "b", errors=own)
    assert found.insar_std.mean() == pytest.approx(0.2 * np.sqrt(2.0), rel=0.01)


@pytest.mark.usefixtures("_small_blocks")
def test_an_unknown_sigma_is_no_sigma_of_zero(tmp_path: Path) -> None:
    values = np.ones((ROWS, 1), np.float32)
    sigma = np.full((ROWS, 1), 0.1, np.float32)
    sigma[3] = np.nan
    sigma[4] = 0.0
    errors = FeatureErrors((0,), sigma.__getitem__)
    found = predict_rows([Linear(0.0, [1.0])], values.__getitem__, ROWS, tmp_path, errors=errors)
    assert np.isnan(found.insar_std[3])
    assert np.isfinite(found.probability[3])
    assert found.insar_std[4] == 0.0
    assert np.isfinite(found.insar_std).sum() == ROWS - 1


@pytest.mark.usefixtures("_small_blocks")
def test_errors_may_be_carried_through_some_of_the_models(tmp_path: Path) -> None:
    values = np.ones((ROWS, 1), np.float32)
    models = [Linear(0.0, [1.0]) for _ in range(6)]
    errors = FeatureErrors((0,), constant(0.1), perturbations=5, models=2)
    predict_rows(models, values.__getitem__, ROWS, tmp_path, errors=errors)
    assert [model.calls for model in models] == [8 + 40, 8, 8, 8 + 40, 8, 8]


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("kind", ["workers", "blocks"])
def test_neither_workers_nor_blocks_change_a_byte(
    kind: str, features: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [Linear(offset, [1.0, 0.1, 0.3], logistic=True) for offset in (0.0, 0.4, 0.5)]
    errors = FeatureErrors((0, 2), constant(0.1, 0.3), perturbations=4, correlation=0.4)
    results = []
    for number in (1, 3):
        if kind == "blocks":
            monkeypatch.setattr(ensemble, "_ROWS_AT_ONCE", 77 * number)
        workers = number if kind == "workers" else 1
        results.append(
            predict_rows(
                models, features.__getitem__, ROWS, tmp_path / str(number), errors=errors, workers=workers, seed=3
            )
        )
    first, second = results
    for name in ("probability", "mean", "std", "lower", "upper", "insar_std"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes(), name
    np.testing.assert_allclose(first.insar_means, second.insar_means, rtol=1e-12)


class Stopping(Linear):
    """Fails at one call."""

    def __init__(self, stop: int | None) -> None:
        super().__init__(0.0, [1.0, 0.0, 0.0])
        self.stop = stop

    def predict(self, X: np.ndarray) -> np.ndarray:
        if self.calls == self.stop:
            raise KeyboardInterrupt
        return super().predict(X)


@pytest.mark.usefixtures("_small_blocks")
def test_a_stopped_prediction_goes_on(features: np.ndarray, tmp_path: Path) -> None:
    whole = predict_rows([Stopping(None)], features.__getitem__, ROWS, tmp_path / "whole")
    stopped = Stopping(5)
    with pytest.raises(KeyboardInterrupt):
        predict_rows([stopped], features.__getitem__, ROWS, tmp_path / "map", key="a", workers=1)
    assert np.load(tmp_path / "map" / "done.npy").tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    again = Stopping(None)
    told: list[int] = []
    found = predict_rows(
        [again], features.__getitem__, ROWS, tmp_path / "map", key="a", workers=1, progress=lambda n, _: told.append(n)
    )
    assert again.calls == 3
    assert told[0] == 5 * 130
    assert found.probability.tobytes() == whole.probability.tobytes()
    third = Stopping(None)
    predict_rows([third], features.__getitem__, ROWS, tmp_path / "map", key="a")
    assert third.calls == 0


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("changed", [{"key": "b"}, {"quantiles": (0.1, 0.9)}, {"key": None}])
def test_another_key_starts_over(changed: dict[str, Any], features: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        predict_rows([Stopping(5)], features.__getitem__, ROWS, tmp_path, key="a", workers=1)
    again = Stopping(None)
    predict_rows([again], features.__getitem__, ROWS, tmp_path, **({"key": "a"} | changed))
    assert again.calls == 8


@pytest.mark.usefixtures("_small_blocks")
def test_maps_of_a_former_call_stay_what_they_were(features: np.ndarray, tmp_path: Path) -> None:
    first = predict_rows([Linear(0.0, [1.0, 0.0, 0.0])], features.__getitem__, ROWS, tmp_path)
    before = first.probability.tobytes()
    predict_rows([Linear(9.0, [1.0, 0.0, 0.0])], features.__getitem__, ROWS, tmp_path)
    assert first.probability.tobytes() == before


def test_draws_are_normal_and_belong_to_their_row() -> None:
    whole = standard_normals(5, 2, slice(0, 20_000), 5)
    np.testing.assert_array_equal(whole[777:1234], standard_normals(5, 2, slice(777, 1234), 5))
    assert np.abs(whole.mean(axis=0)).max() < 0.03
    np.testing.assert_allclose(np.cov(whole.T), np.eye(5), atol=0.04)
    ordered = np.sort(whole[:, 0])
    from scipy.special import ndtr

    assert np.abs(ndtr(ordered) - (np.arange(20_000) + 0.5) / 20_000).max() < 1.36 / np.sqrt(20_000)
    for other in (standard_normals(5, 3, slice(0, 20_000), 5), standard_normals(6, 2, slice(0, 20_000), 5)):
        assert abs(np.corrcoef(whole[:, 0], other[:, 0])[0, 1]) < 0.03
    assert abs(np.corrcoef(whole[:-1, 0], whole[1:, 0])[0, 1]) < 0.03
    scene = np.array([scene_normals(5, number, 2) for number in range(2000)])
    np.testing.assert_allclose(np.cov(scene.T), np.eye(2), atol=0.12)


@pytest.mark.usefixtures("_small_blocks")
def test_wrong_input_is_refused(features: np.ndarray, tmp_path: Path) -> None:
    class Wide:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.zeros((len(X), 2))

    model = Linear(0.0, [1.0, 0.0, 0.0])
    with pytest.raises(InputError, match="one value for each"):
        predict_rows([Wide()], features.__getitem__, ROWS, tmp_path)
    with pytest.raises(InputError, match="130 rows"):
        predict_rows([model], lambda rows: features[:5], ROWS, tmp_path)
    with pytest.raises(OptionError, match="at least one model"):
        predict_rows([], features.__getitem__, ROWS, tmp_path)
    with pytest.raises(OptionError, match="quantiles"):
        predict_rows([model], features.__getitem__, ROWS, tmp_path, quantiles=(0.6, 0.9))
    for sigma, message in ((constant(0.1, 0.1), "columns"), (constant(-1.0), "at least 0")):
        with pytest.raises(InputError, match=message):
            predict_rows([model], features.__getitem__, ROWS, tmp_path, errors=FeatureErrors((0,), sigma))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ()}, "columns"),
        ({"columns": (1, 1)}, "columns"),
        ({"perturbations": 1}, "at least 2"),
        ({"correlation": 1.5}, "0 to 1"),
        ({"models": 0}, "at least one"),
        ({"is_absolute": (True, False)}, "one entry"),
        ({"columns": (0, 1), "is_absolute": (True, False), "sources": (1, 1)}, "sign"),
    ],
)
def test_errors_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        FeatureErrors(**({"columns": (0,), "sigma": constant(0.1)} | options))
    with pytest.raises(OptionError, match="seed"):
        standard_normals(-1, 0, slice(0, 1), 1)
