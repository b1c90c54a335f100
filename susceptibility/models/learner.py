"""A model with everything that it needs to predict: preprocessing, estimator, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.models.calibration import CalibrationOptions, Calibrator, fit_calibrator
from susceptibility.models.definition import ModelDefinition, ModelOptions, Training
from susceptibility.models.folds import inner_folds, random_share
from susceptibility.models.parameters import Parameters
from susceptibility.models.preprocessing import PreprocessingOptions, Preprocessor, Scale, checked_features
from susceptibility.models.search import SearchOptions, SearchResult, search_options
from susceptibility.schema import FeatureSchema, Task


class SusceptibilityModel(Parameters):
    """A registered model that learns from rows of features, in the manner of scikit-learn.

    Preprocessing and calibration are learned together with the model, from the rows given to `fit` and from nothing
    else, so that validation by folds holds for all of them.

    Parameters
    ----------
    definition
        Of which kind, from `susceptibility.models.MODELS`.
    options
        Its hyperparameters.
    schema
        What each feature is, in the order of the columns of `X`.
    task
        What is predicted.
    seed
        Of everything random.
    preprocessing, calibration
        None for their defaults.
    search
        Hyperparameters to choose by folds of the training rows; None to take `options` as they are.
    upper
        Largest density that a regression may predict, such as 1 for a share of the ground; None for no bound.

    Attributes
    ----------
    options_ : ModelOptions
        Those that it was fitted with: `options`, and what the search has chosen.
    search_results_ : tuple of SearchResult
        Every combination that was tried; empty without a search.
    rows_given_, rows_used_ : int
        Training rows, and how many of them the estimator was fitted on: fewer where `options_.most_rows` says so.
    preprocessor_ : Preprocessor
        Made of all training rows.
    estimator_
        The fitted estimator, of the library that made it.
    calibrator_ : Calibrator or None
        Learned from scores that models of other training rows gave.
    """

    def __init__(
        self,
        definition: ModelDefinition,
        options: ModelOptions,
        schema: Sequence[FeatureSchema],
        task: Task = Task.CLASSIFICATION,
        seed: int = 0,
        preprocessing: PreprocessingOptions | None = None,
        calibration: CalibrationOptions | None = None,
        search: SearchOptions | None = None,
        upper: float | None = None,
    ) -> None:
        self.definition = definition
        self.options = options
        self.schema = tuple(schema)
        self.task = task
        self.seed = seed
        self.preprocessing = preprocessing
        self.calibration = calibration
        self.search = search
        self.upper = upper

    def fit(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        sample_weight: NDArray[np.float64] | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Learn from rows.

        Parameters
        ----------
        X
            (row, feature) float32; NaN where unknown, which is allowed only with imputation.
        y
            (row,) 0 or 1 for classification; the density, at least 0, for regression.
        sample_weight
            (row,) positive; None where all rows count the same.
        groups
            (row,) rows of one group, such as a spatial block, are kept together where the training rows are split for
            the search and the calibration; None to split them at random.

        Raises
        ------
        OptionError
            The model cannot do the task, lacks a feature that it needs, or an option does not suit it.
        InputError
            The rows cannot be learned from.
        """
        check_setting(self.definition, self.options, self.schema, self.task)
        X = checked_features(X, self.schema)
        target = _checked_target(y, len(X), self.task)
        weight = _checked_weight(sample_weight, len(X))
        method = self._calibration_method()
        self.options_, self.search_results_ = self._chosen_options(X, target, weight, groups)
        self.calibrator_: Calibrator | None = None
        if method != "none":
            folds = (self.calibration or CalibrationOptions()).folds
            fold = inner_folds(target, folds, task=self.task, seed=self.seed, groups=groups)
            scores = self._scores_out_of_fold(X, target, weight, fold)
            self.calibrator_ = fit_calibrator(
                method, scores, target, weight, of_probability=self.definition.gives_probability
            )
        most = getattr(self.options_, "most_rows", None)
        self.rows_given_ = len(target)
        self.rows_used_ = (
            len(target) if most is None else len(random_share(target, most, task=self.task, seed=self.seed))
        )
        self.preprocessor_, self.estimator_ = self._fit_once(self.options_, X, target, weight, self.seed)
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of a landslide, or the density, of each row of features.

        Returns
        -------
        (row,) float64
            NaN where a feature is unknown, unless it is imputed, or infinite. The same row has the same answer whatever
            rows come with it.
        """
        X = checked_features(X, self.schema)
        usable = self._usable(X)
        if usable is None:
            return self._predict_usable(np.ascontiguousarray(X))
        predicted = np.full(len(X), np.nan)
        if usable.any():
            predicted[usable] = self._predict_usable(X[usable])
        return predicted

    def native_importance(self) -> NDArray[np.float64]:
        """Return the importance of each feature by the model's own measure, (feature,).

        That of a class feature is summed over its columns. NaN where the model has no such measure.
        """
        values = self.definition.importance(self.estimator_)
        if self.definition.importance_is_slope:
            values = values * self.preprocessor_.column_sd_
        return self.preprocessor_.sum_by_feature(values)

    def _usable(self, X: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        """Return which rows can be predicted, None for all."""
        imputes = (self.preprocessing or PreprocessingOptions()).impute != "none"
        wrong = np.isinf(X) if imputes else ~np.isfinite(X)
        if not wrong.any():
            return None
        return np.asarray(~wrong.any(axis=1))

    def _predict_usable(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        score = self.definition.score(self.estimator_, self.preprocessor_.transform(X))
        if self.task is Task.REGRESSION:
            return np.clip(score, 0.0, self.upper)
        return score if self.calibrator_ is None else self.calibrator_.predict(score)

    def _chosen_options(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        weight: NDArray[np.float64] | None,
        groups: NDArray[Any] | None,
    ) -> tuple[ModelOptions, tuple[SearchResult, ...]]:
        if self.search is None:
            return self.options, ()

        def score(options: ModelOptions, train: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.float64]:
            own_weight = None if weight is None else weight[train]
            preprocessor, estimator = self._fit_once(options, X[train], y[train], own_weight, self.seed)
            scores = self.definition.score(estimator, preprocessor.transform(X[test]))
            return scores if self.task is Task.CLASSIFICATION else np.clip(scores, 0.0, self.upper)

        return search_options(
            self.definition, self.options, self.search, score, y, task=self.task, seed=self.seed, groups=groups
        )

    def _fit_once(
        self,
        options: ModelOptions,
        X: NDArray[np.float32],
        y: NDArray[Any],
        weight: NDArray[np.float64] | None,
        seed: int,
    ) -> tuple[Preprocessor, Any]:
        """Return preprocessor and estimator fitted on the given rows."""
        given = self.preprocessing or PreprocessingOptions()
        scale = self._scale(given)
        preprocessor = Preprocessor(
            self.schema,
            given.impute,
            scale,
            given.min_share,
            given.unseen,
            encode=not self.definition.reads_raw,
        )
        columns = preprocessor.fit_transform(X)
        most = getattr(options, "most_rows", None)
        if most is not None and most < len(y):
            kept = random_share(y, most, task=self.task, seed=seed)
            columns, y, weight = columns[kept], y[kept], None if weight is None else weight[kept]
        training = Training(columns, y, weight, preprocessor.columns_, self.task, seed)
        return preprocessor, self.definition.fit(options, training)

    def _scores_out_of_fold(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        weight: NDArray[np.float64] | None,
        fold: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """Return the score of each row by an estimator, and a preprocessing, fitted without the row's fold."""
        scores = np.empty(len(X))
        for number in range(int(fold.max()) + 1):
            train, test = fold != number, fold == number
            seed = int(np.random.default_rng([self.seed, number]).integers(2**31))
            own_weight = None if weight is None else weight[train]
            preprocessor, estimator = self._fit_once(self.options_, X[train], y[train], own_weight, seed)
            scores[test] = self.definition.score(estimator, preprocessor.transform(X[test]))
        return scores

    def _scale(self, given: PreprocessingOptions) -> Scale:
        if self.definition.reads_raw:
            return "none"
        if given.scale == "auto":
            return "standard" if self.definition.needs_scaling else "none"
        return given.scale

    def _calibration_method(self) -> Literal["none", "sigmoid", "isotonic"]:
        method = (self.calibration or CalibrationOptions()).method
        if self.task is Task.REGRESSION:
            if method in {"auto", "none"}:
                return "none"
            raise OptionError(
                "calibration", required="none for a regression", found=repr(method), remedy="Leave it out"
            )
        if method == "auto":
            return "none" if self.definition.gives_probability else "sigmoid"
        if method == "none" and not self.definition.gives_probability:
            raise OptionError(
                "calibration",
                required=f"sigmoid or isotonic for {self.definition.name}, whose scores are no probabilities",
                found=repr(method),
                remedy="Choose one of them, or auto",
            )
        return method


def check_setting(
    definition: ModelDefinition, options: ModelOptions, schema: Sequence[FeatureSchema], task: Task
) -> None:
    """Refuse what a model cannot do, before any data are read.

    Raises
    ------
    OptionError
        The model cannot do the task, is given options of another one, or lacks a feature that it needs.
    InputError
        A feature is in another unit than the model needs.
    """
    if task not in definition.tasks:
        raise OptionError(
            f"model {definition.name}",
            required=" or ".join(sorted(definition.tasks)),
            found=str(task),
            remedy="Choose a model that can do it",
        )
    if not isinstance(options, definition.options):
        raise OptionError(
            f"options of {definition.name}",
            required=definition.options.__name__,
            found=type(options).__name__,
            remedy="Give those of this model",
        )
    quantities = {feature.name for feature in schema if not feature.is_class}
    missing = [name for name in definition.required_features(options) if name not in quantities]
    if missing:
        raise OptionError(
            f"features of {definition.name}",
            required=f"quantities called {', '.join(definition.required_features(options))}",
            found=f"none called {', '.join(missing)} among {', '.join(feature.name for feature in schema)}",
            remedy="Add them to the feature set, or name in the model's options which features they are",
        )
    units = definition.required_units(options)
    for feature in schema:
        if feature.unit and feature.unit not in units.get(feature.name, {feature.unit}):
            raise InputError(
                f"feature {feature.name} of {definition.name}",
                required=f"the unit {min(units[feature.name], key=len)}",
                found=feature.unit,
                remedy="Convert it",
            )


def _checked_target(y: NDArray[Any], rows: int, task: Task) -> NDArray[Any]:
    target = np.asarray(y)
    if target.shape != (rows,):
        raise InputError(
            "target of the training rows",
            required=f"one value for each of {rows} rows",
            found=" x ".join(map(str, target.shape)) + " values",
            remedy="Give both of the same rows",
        )
    if task is Task.REGRESSION:
        density = target.astype(np.float64)
        if rows == 0 or not np.isfinite(density).all() or density.min() < 0.0:
            raise InputError(
                "target of the training rows",
                required="densities, known and at least 0",
                found="no rows" if rows == 0 else "unknown or negative ones",
                remedy="Leave out the rows whose density is not known",
            )
        return density
    landslides, others = int(np.count_nonzero(target == 1)), int(np.count_nonzero(target == 0))
    if landslides + others < rows or not landslides or not others:
        raise InputError(
            "target of the training rows",
            required="1 for landslides and 0 for others, and rows of both",
            found=f"{landslides} of 1, {others} of 0, {rows - landslides - others} of something else",
            remedy="Check the inventory and the sample",
        )
    return target.astype(np.uint8)


def _checked_weight(weight: NDArray[np.float64] | None, rows: int) -> NDArray[np.float64] | None:
    if weight is None:
        return None
    values = np.asarray(weight, np.float64)
    if values.shape != (rows,) or not np.isfinite(values).all() or not (values > 0.0).all():
        raise InputError(
            "weights of the training rows",
            required=f"a positive number for each of {rows} rows",
            found="others",
            remedy="Leave out rows that do not count",
        )
    return values
