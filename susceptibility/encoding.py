"""One-hot columns of classes, the same at prediction as at training."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.categories import CategoryMap, ClassShares, is_number, label_of, sorted_labels
from susceptibility.errors import InputError, OptionError

logger = logging.getLogger(__name__)

OTHER = "other"
"""Name of the column of merged classes, after that of the factor."""

_UNSEEN = ("zeros", OTHER)
_FORMAT = "susceptibility category encoder 1"


class CategoryEncoder:
    """One column per class, 1 where a sample belongs to it and else 0, in the manner of scikit-learn.

    Rare classes share one column, since a class of a handful of samples is learned by heart. A class that was not there
    at fitting has no column of its own at prediction either: it is either in none (`unseen` ``zeros``, as in
    scikit-learn) or among the rare ones (``other``); each time how many there were is logged as a warning, and
    `count_unseen` tells. A class that is not known is NaN in all columns.

    Parameters
    ----------
    name
        Of the factor; columns are called ``<name>_<class>``, in small letters and digits.
    min_share
        Classes with a smaller share of the samples (or of the area) at fitting are merged; 0 for none.
    unseen
        ``zeros`` or ``other``. With ``other`` there is a column for it even if no class is rare, which then is 0 in
        training.

    Attributes
    ----------
    classes_ : tuple of str
        Classes that have a column of their own, numbers by size and then words.
    merged_ : tuple of str
        Those that share one.
    shares_ : dict
        Share of each class at fitting.
    feature_names_ : tuple of str
        Of the columns; that of the merged ones is the last.
    """

    def __init__(self, name: str = "class", min_share: float = 0.01, unseen: str = "zeros") -> None:
        self.name = name
        self.min_share = min_share
        self.unseen = unseen

    def fit(self, X: Iterable[Any], y: object = None) -> CategoryEncoder:  # noqa: ARG002  (scikit-learn's name)
        """Learn the classes of samples.

        Parameters
        ----------
        X : (sample,) or (sample, 1)
            Labels or whole numbers; NaN, None and empty text are unknown and count for nothing.
        y
            Not looked at.

        Raises
        ------
        OptionError
            A parameter is out of its bounds, or every class is rare.
        InputError
            No class is known, or a value is no class.
        """
        counts = Counter(label for label in _labels(X) if label is not None)
        return self._learn({label: float(count) for label, count in counts.items()})

    def fit_shares(self, shares: ClassShares) -> CategoryEncoder:
        """Learn the classes of mapping units from the shares that they cover; errors as `fit`."""
        totals = shares.shares.sum(axis=0)
        return self._learn({label: float(total) for label, total in zip(shares.labels, totals, strict=True) if total})

    def transform(self, X: Iterable[Any]) -> NDArray[np.float32]:
        """Return the columns (sample, column) of samples: 1, 0, or NaN where the class is unknown."""
        labels = _labels(X)
        self._warn_of(_counted(labels, self._known()))
        rows = {label: self._row(label) for label in set(labels)}
        columns = [rows[label] for label in labels]
        return np.array(columns, np.float32).reshape(len(labels), len(self.feature_names_))

    def fit_transform(self, X: Iterable[Any], y: object = None) -> NDArray[np.float32]:
        """Return the columns of the samples that are learned from."""
        labels = _labels(X)
        return self.fit(labels, y).transform(labels)

    def transform_shares(self, shares: ClassShares) -> NDArray[np.float32]:
        """Return the columns (unit, column) as shares of the known area of each unit; NaN where nothing is known."""
        known = shares.known
        missing = [label not in self._known() for label in shares.labels]
        self._warn_of(
            {
                label: int((shares.shares[:, number] > 0.0).sum())
                for number, label in enumerate(shares.labels)
                if missing[number] and shares.shares[:, number].any()
            }
        )
        of_class = np.array([self._row(label) for label in shares.labels]).reshape(-1, len(self.feature_names_))
        columns = np.full((len(known), len(self.feature_names_)), np.nan, np.float32)
        columns[known > 0.0] = (shares.shares[known > 0.0] / known[known > 0.0, None]) @ of_class
        return columns

    def planes(self, categories: CategoryMap) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield name and (row, col) of each column of a map, one at a time; NaN where the class is unknown."""
        counts = np.bincount(categories.codes.reshape(-1), minlength=len(categories.labels) + 1)[1:]
        here = dict(zip(categories.labels, counts.tolist(), strict=True))
        self._warn_of({label: count for label, count in here.items() if count and label not in self._known()})
        of_code = np.array([self._row(None), *(self._row(label) for label in categories.labels)], np.float32)
        for column, name in enumerate(self.feature_names_):
            yield name, of_code[:, column][categories.codes]

    def count_unseen(self, X: Iterable[Any]) -> dict[str, int]:
        """Return how many samples belong to each class that was not there at fitting."""
        return _counted(_labels(X), self._known())

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002  (scikit-learn's name)
        """Return the names of the columns, for scikit-learn."""
        self._known()
        return np.array(self.feature_names_, object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  (scikit-learn's name)
        """Return the parameters by name, for scikit-learn."""
        return {"name": self.name, "min_share": self.min_share, "unseen": self.unseen}

    def set_params(self, **parameters: Any) -> CategoryEncoder:
        """Set parameters by name, for scikit-learn; raises `OptionError` for one that is unknown."""
        for name, value in parameters.items():
            if name not in self.get_params():
                raise OptionError(
                    "parameter of CategoryEncoder",
                    required=f"one of {', '.join(self.get_params())}",
                    found=repr(name),
                    remedy="Correct the name",
                )
            setattr(self, name, value)
        return self

    def to_json(self) -> str:
        """Return everything that was learned as JSON, the same bytes for the same encoder."""
        self._known()
        content = {"format": _FORMAT, **self.get_params(), "shares": self.shares_, "merged": self.merged_}
        return json.dumps(content, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, subject: str | Path = "category encoder") -> CategoryEncoder:
        """Return the encoder that `to_json` wrote; raises `InputError` where it is something else."""
        try:
            content = json.loads(text)
            encoder = cls(str(content["name"]), float(content["min_share"]), str(content["unseen"]))
            shares = {str(label): float(share) for label, share in content["shares"].items()}
            merged = {str(label) for label in content["merged"]}
            if content["format"] != _FORMAT or not merged <= shares.keys() or encoder.unseen not in _UNSEEN:
                raise ValueError(f"format {content['format']!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                subject, required=_FORMAT, found=f"something else ({error})", remedy="Train the model again"
            ) from error
        encoder._remember(shares, merged)
        return encoder

    def _learn(self, weights: dict[str, float]) -> CategoryEncoder:
        if not 0.0 <= self.min_share < 1.0:
            raise OptionError(
                "min_share", required="a share from 0, below 1", found=str(self.min_share), remedy="Correct it"
            )
        if self.unseen not in _UNSEEN:
            raise OptionError("unseen", required=" or ".join(_UNSEEN), found=repr(self.unseen), remedy="Correct it")
        total = sum(weights.values())
        if not weights:
            raise InputError(
                f"classes of {self.name!r}", required="at least one that is known", found="none", remedy="Check the map"
            )
        shares = {label: weights[label] / total for label in sorted_labels(weights)}
        merged = {label for label, share in shares.items() if share < self.min_share}
        if len(merged) == len(shares):
            raise OptionError(
                "min_share",
                required=f"at most {max(shares.values()):.4f}, the share of the most frequent class of {self.name!r}",
                found=str(self.min_share),
                remedy="Lower it, or leave the factor out",
            )
        self._remember(shares, merged)
        return self

    def _remember(self, shares: dict[str, float], merged: set[str]) -> None:
        self.shares_ = shares
        self.classes_ = tuple(label for label in shares if label not in merged)
        self.merged_ = tuple(label for label in shares if label in merged)
        has_other = bool(merged) or self.unseen == OTHER
        self.feature_names_ = _column_names(self.name, self.classes_, has_other=has_other)
        self._column_of = {label: column for column, label in enumerate(self.classes_)}
        if has_other:
            self._column_of.update(dict.fromkeys(self.merged_, len(self.classes_)))

    def _known(self) -> dict[str, float]:
        if not hasattr(self, "shares_"):
            raise OptionError(
                "CategoryEncoder", required="one that was fitted", found="one that was not", remedy="Call fit first"
            )
        return self.shares_

    def _row(self, label: str | None) -> NDArray[np.float64]:
        """Return the columns of one class."""
        if label is None:
            return np.full(len(self.feature_names_), np.nan)
        row = np.zeros(len(self.feature_names_))
        column = self._column_of.get(label, len(self.classes_) if self.unseen == OTHER else None)
        if column is not None:
            row[column] = 1.0
        return row

    def _warn_of(self, unseen: dict[str, int]) -> None:
        if unseen:
            logger.warning(
                "%s: classes that were not there in training, taken as %s: %s",
                self.name,
                "none of those known" if self.unseen == "zeros" else OTHER,
                ", ".join(f"{label} ({count} times)" for label, count in unseen.items()),
            )


def _labels(X: Iterable[Any]) -> list[str | None]:
    """Return the label of each sample, None where it is unknown."""
    values = X if isinstance(X, list) else np.asarray(X)
    if isinstance(values, np.ndarray):
        values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        if values.ndim != 1:
            raise InputError(
                "classes",
                required="one column of samples",
                found=" x ".join(map(str, values.shape)) + " values",
                remedy="Use one encoder for each factor",
            )
        if values.dtype.kind in "iufb":
            different, place = np.unique(values, return_inverse=True)
            labels = [label_of(value) for value in different.tolist()]
            return [labels[index] for index in place.tolist()]
        values = values.tolist()
    return [label_of(value) for value in values]


def _counted(labels: Sequence[str | None], known: dict[str, float]) -> dict[str, int]:
    counts = Counter(label for label in labels if label is not None and label not in known)
    return {label: counts[label] for label in sorted_labels(counts)}


def _column_names(name: str, classes: Sequence[str], *, has_other: bool) -> tuple[str, ...]:
    """Return names that every model library takes, numbered where two classes would have the same."""
    # The name is taken, so that a class that is called so cannot be confused with the merged ones.
    used = Counter({f"{name}_{OTHER}": 1})
    names = []
    for label in classes:
        words = label.replace("-", "minus ") if is_number(label) else label.lower()
        plain = f"{name}_{re.sub(r'[^0-9a-z]+', '_', words).strip('_')}".rstrip("_")
        used[plain] += 1
        names.append(plain if used[plain] == 1 else f"{plain}_{used[plain]}")
    return (*names, f"{name}_{OTHER}") if has_other else tuple(names)
