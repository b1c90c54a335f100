"""The fit of a model of time to blocks of series: rates, what else the model says, and how uncertain it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.acceleration import (
    FALSE_ALARM_RATE,
    LEAST_RECENT_DATES,
    RECENT_DAYS,
    AccelerationTest,
    plan_acceleration_test,
    recent_dates,
)
from insar.dem_error import dem_error_design
from insar.errors import OptionError
from insar.series import Rate
from insar.timefunctions import DEFAULT_MODEL, TimeModel, parse_model
from insar.uncertainty import BOOTSTRAP_DRAWS, NetworkNoise, Uncertainty, bootstrap_forms


class RateFitter:
    """Fits a model of time to blocks of series; can be pickled, and used from several threads at once.

    Parameters
    ----------
    dates
        Of the series.
    model
        Of time; a straight line where None.
    uncertainty
        What standard deviations are made of.
    baselines_m
        (date,) perpendicular baselines of the dates, positive at the smaller look angle: height errors of the DEM are
        fitted with the model and taken out of the series. None leaves them alone.
    recent_days
        Length of the trailing window of the recent rate and of the test for a change of rate; None for neither.
    false_alarm_rate
        Of that test.
    bootstrap_draws, seed
        Number of samples of the bootstrap, and where its random numbers start.

    Raises
    ------
    OptionError
        If the dates do not tell the terms apart.
    """

    def __init__(
        self,
        dates: tuple[date, ...],
        *,
        model: TimeModel | None = None,
        uncertainty: Uncertainty = Uncertainty.RESIDUAL,
        baselines_m: NDArray[np.float64] | None = None,
        recent_days: float | None = RECENT_DAYS,
        false_alarm_rate: float = FALSE_ALARM_RATE,
        bootstrap_draws: int = BOOTSTRAP_DRAWS,
        seed: int = 0,
    ) -> None:
        if not 0.0 < false_alarm_rate < 1.0:
            raise OptionError(
                "false_alarm_rate",
                required="a share between 0 and 1",
                found=f"{false_alarm_rate:g}",
                remedy="0.01 is one stable pixel of a hundred",
            )
        self.dates = dates
        self.model = model or parse_model(DEFAULT_MODEL)
        self.uncertainty = uncertainty
        self.recent_days = recent_days
        self._draws = bootstrap_draws
        design = self.model.design(dates)
        self._disturbance = np.empty(0)
        if baselines_m is not None:
            design = dem_error_design(design, self.model, np.asarray(baselines_m, dtype=np.float64))
            # A series is relative to its first date, and so is what is taken out of it.
            self._disturbance = design[:, -1] - design[0, -1]
        self._design = np.ascontiguousarray(design)
        self._solution = np.linalg.pinv(design)
        self._spread = np.linalg.inv(design.T @ design)
        self._annihilator = np.eye(len(dates)) - design @ self._solution
        self._rows = np.ascontiguousarray(self._solution)
        self._test: AccelerationTest | str = "no trailing window is asked for"
        self._recent_reason = "no trailing window is asked for"
        if recent_days is not None:
            self._plan_recent(recent_days, false_alarm_rate)
        self._entries = self._covariances_needed()
        self._forms = np.empty((0, len(dates), len(dates)))
        if uncertainty is Uncertainty.BOOTSTRAP:
            self._forms = bootstrap_forms(design, self._entries, draws=bootstrap_draws, seed=seed)

    def _plan_recent(self, recent_days: float, false_alarm_rate: float) -> None:
        count = recent_dates(self.dates, recent_days)
        self._recent_reason = (
            ""
            if count >= LEAST_RECENT_DATES
            else f"{count} dates in the last {recent_days:g} days, {LEAST_RECENT_DATES} are needed: --recent-days"
        )
        if not self._recent_reason:
            weights = np.zeros(len(self.dates))
            line = parse_model(DEFAULT_MODEL).design(self.dates[-count:])
            weights[-count:] = np.linalg.pinv(line)[1]
            if self.corrects_dem:
                weights -= float(weights @ self._disturbance) * self._solution[-1]
            self._rows = np.vstack([self._rows, weights])
        self._test = plan_acceleration_test(self.dates, self._design, self.model.degree, recent_days, false_alarm_rate)

    @property
    def corrects_dem(self) -> bool:
        """Whether height errors of the DEM are fitted and taken out of the series."""
        return len(self._disturbance) > 0

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that blocks will have."""
        nothing = np.full((len(self.dates), 1), np.nan, dtype=np.float32)
        unknown = NetworkNoise(np.full(1, np.nan), np.zeros((len(self.dates), len(self.dates))))
        return tuple(self.fit(nothing, noise=unknown, range_times_sine_m=1.0).layers)

    @property
    def left_out(self) -> dict[str, str]:
        """Layers that blocks will not have, and why."""
        reasons = {}
        if self.model.degree < 2:
            reasons["acceleration"] = "the model of time has no quadratic term: --model linear+poly:2"
        if 1 not in self.model.periods_per_year:
            reasons["seasonal_amplitude"] = "the model of time has no annual term: --model linear+annual"
        if self._recent_reason:
            reasons["velocity_recent"] = self._recent_reason
        if isinstance(self._test, str):
            reasons |= dict.fromkeys(("rate_change", "rate_change_std", "acceleration_p", "accelerating"), self._test)
        if not self.corrects_dem:
            reasons["dem_error"] = "not asked for: --dem-error"
        return reasons

    @property
    def facts(self) -> Mapping[str, Any]:
        """Plain values for the manifest."""
        dates, terms = self._design.shape
        facts: dict[str, Any] = {
            "model": self.model.text,
            "terms": [*self.model.names(), *(["baseline"] if self.corrects_dem else [])],
            "degrees_of_freedom": dates - terms,
            "uncertainty": self.uncertainty.value,
        }
        if len(self._forms):
            facts["bootstrap_draws"] = self._draws
        if isinstance(self._test, AccelerationTest):
            facts["acceleration_test"] = {
                "recent_days": self.recent_days,
                "dates_in_window": recent_dates(self.dates, self.recent_days or 0.0),
                "false_alarm_rate": self._test.false_alarm_rate,
                "degrees_of_freedom": self._test.freedom,
            }
        return facts

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory of `fit`, the series not counted."""
        return 8 * (len(self._rows) + len(self._forms) + 2) + 8 * 8 + 4 * 16

    def fit(
        self,
        series: NDArray[Any],
        *,
        noise: NetworkNoise | None = None,
        range_times_sine_m: NDArray[np.floating] | float | None = None,
    ) -> Rate:
        """Fit a block.

        Parameters
        ----------
        series
            (date, ...) m. Where height errors are fitted, they are taken out of it in place.
        noise
            Of interferograms: what `Uncertainty.COVARIANCE` needs, and what keeps the test for a change of rate at its
            false-alarm rate where that noise outweighs the troposphere.
        range_times_sine_m
            (...) slant range times sine of the incidence angle: what height errors need to be told in metres.

        Returns
        -------
        Rate with the other axes of the series; a pixel with any NaN is NaN.
        """
        from insar.kernels.velocity import fit_series

        count, *shape = series.shape
        if self.corrects_dem and not series.flags.c_contiguous:
            raise ValueError("a series that height errors are taken out of must be contiguous")
        values = np.ascontiguousarray(series).reshape(count, -1)
        pixels = values.shape[1]
        has_test = isinstance(self._test, AccelerationTest)
        extra = self._test.weights[None] if isinstance(self._test, AccelerationTest) else np.empty((0, count))
        estimates = np.empty((len(self._rows), pixels))
        squares = np.empty(pixels)
        changes = np.empty((int(has_test), pixels))
        quadratic = np.empty((len(self._forms), pixels))
        fit_series(
            values,
            self._design,
            self._rows,
            extra,
            self._forms,
            self._disturbance,
            estimates,
            squares,
            changes,
            quadratic,
        )
        layers = self._layers(estimates, self._covariances(squares, quadratic, noise), range_times_sine_m)
        if isinstance(self._test, AccelerationTest):
            layers |= self._tested(self._test, estimates, squares, changes[0], noise)

        def block(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: block(item) for key, item in value.items()}
            return (value if value.dtype == np.uint8 else value.astype(np.float32)).reshape(shape)

        return Rate(**{name: block(value) for name, value in layers.items()})

    def _layers(
        self,
        estimates: NDArray[np.float64],
        covariances: dict[tuple[int, int], NDArray[np.float64]],
        range_times_sine_m: NDArray[np.floating] | float | None,
    ) -> dict[str, Any]:
        def deviation(term: int) -> NDArray[np.float64]:
            return np.sqrt(covariances[term, term])

        layers: dict[str, Any] = {"velocity": estimates[1], "velocity_std": deviation(1)}
        if self.model.degree >= 2:
            layers["acceleration"], layers["acceleration_std"] = 2.0 * estimates[2], 2.0 * deviation(2)
        if (annual := self._annual) is not None:
            layers["seasonal_amplitude"], layers["seasonal_amplitude_std"] = _amplitude(
                estimates[annual : annual + 2],
                covariances[annual, annual],
                covariances[annual, annual + 1],
                covariances[annual + 1, annual + 1],
            )
        layers["steps"] = {day: estimates[term] for day, term in self._steps.items()}
        layers["steps_std"] = {day: deviation(term) for day, term in self._steps.items()}
        last = self._design.shape[1] - 1
        if self.corrects_dem and range_times_sine_m is not None:
            metres = np.broadcast_to(
                np.asarray(range_times_sine_m, dtype=np.float64).reshape(-1), estimates[last].shape
            )
            layers["dem_error"], layers["dem_error_std"] = estimates[last] * metres, deviation(last) * metres
        if not self._recent_reason:
            layers["velocity_recent"] = estimates[-1]
        return layers

    def _tested(
        self,
        test: AccelerationTest,
        estimates: NDArray[np.float64],
        squares: NDArray[np.float64],
        change: NDArray[np.float64],
        noise: NetworkNoise | None,
    ) -> dict[str, NDArray[Any]]:
        deviation = np.sqrt(
            test.variances(
                squares,
                change,
                None if noise is None else _of_pair(noise),
                None if noise is None else noise.covariance,
            )
        )
        p = test.p_values(change, deviation)
        before = test.rate_before(estimates[: self._design.shape[1]], change)
        return {
            "rate_change": change,
            "rate_change_std": deviation,
            "acceleration_p": p,
            "accelerating": test.classes(p, change, before),
        }

    def _covariances(
        self, squares: NDArray[np.float64], quadratic: NDArray[np.float64], noise: NetworkNoise | None
    ) -> dict[tuple[int, int], NDArray[np.float64]]:
        """(pixel,) covariance of each pair of terms that is needed."""
        if self.uncertainty is Uncertainty.BOOTSTRAP:
            # Rounding may leave the square of nothing a little negative.
            return {
                (one, other): np.maximum(found, 0.0) if one == other else found
                for (one, other), found in zip(self._entries, quadratic, strict=True)
            }
        dates, terms = self._design.shape
        freedom = dates - terms
        of_dates = squares / freedom if freedom > 0 else np.full_like(squares, np.nan)
        of_pair: NDArray[np.float64] | float = 0.0
        propagated = np.zeros_like(self._spread)
        if self.uncertainty is Uncertainty.COVARIANCE:
            if noise is None:
                raise ValueError("uncertainty=covariance needs the noise of the interferograms")
            in_residuals = float(np.trace(self._annihilator @ noise.covariance)) / max(freedom, 1)
            propagated = self._solution @ noise.covariance @ self._solution.T
            of_pair = _of_pair(noise)
            # What this noise puts into the residuals must not be counted twice.
            of_dates = np.maximum(of_dates - of_pair * in_residuals, 0.0)
        return {entry: of_dates * self._spread[entry] + of_pair * propagated[entry] for entry in self._entries}

    def _covariances_needed(self) -> list[tuple[int, int]]:
        terms = [1, *([2] if self.model.degree >= 2 else []), *self._steps.values()]
        if self.corrects_dem:
            terms.append(self._design.shape[1] - 1)
        entries = [(term, term) for term in terms]
        if (annual := self._annual) is not None:
            entries += [(annual, annual), (annual, annual + 1), (annual + 1, annual + 1)]
        return entries

    @property
    def _annual(self) -> int | None:
        """Column of the annual cosine, before the sine."""
        if 1 not in self.model.periods_per_year:
            return None
        return self.model.degree + 1 + 2 * self.model.periods_per_year.index(1)

    @property
    def _steps(self) -> dict[date, int]:
        """Column of each step."""
        first = self.model.degree + 1 + 2 * len(self.model.periods_per_year)
        return {day: first + index for index, day in enumerate(self.model.steps)}


def _of_pair(noise: NetworkNoise) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = np.asarray(noise.variance * noise.thinning, dtype=np.float64).reshape(-1)
    return scaled


def _amplitude(
    waves: NDArray[np.float64],
    of_cosine: NDArray[np.float64],
    of_both: NDArray[np.float64],
    of_sine: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Amplitude of (cosine, sine) and its standard deviation: that of the vector along its own direction."""
    amplitude = np.hypot(*waves)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine, sine = waves / amplitude
    variance = cosine**2 * of_cosine + 2.0 * cosine * sine * of_both + sine**2 * of_sine
    return amplitude, np.sqrt(np.where(amplitude > 0, np.maximum(variance, 0.0), 0.5 * (of_cosine + of_sine)))
