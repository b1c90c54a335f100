"""Whether a slope has begun to move faster: a test of the rate in a trailing window against the rate before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.constants import DAYS_PER_YEAR

RECENT_DAYS = 60.0
"""Length of the trailing window."""

FALSE_ALARM_RATE = 0.01
"""Share of stable pixels that the test calls accelerating."""

LEAST_RECENT_DATES = 3
LEAST_FREEDOM = 3

UNKNOWN, STEADY, ACCELERATING = 0, 1, 2


@dataclass(frozen=True, slots=True)
class AccelerationTest:
    r"""A change of rate at the beginning of the trailing window, fitted beside a model of time.

    Notes
    -----
    The model gains a hinge :math:`h(t) = \max(t - t_0, 0)`, whose coefficient is the change of rate. By the theorem of
    Frisch, Waugh and Lovell it is :math:`\delta = \tilde h^T r / \tilde h^T \tilde h`, with the residuals `r` of the
    model and the part :math:`\tilde h` of the hinge that the model does not explain; the sum of squares falls by
    :math:`\delta^2 \tilde h^T \tilde h`. For errors that are independent from date to date and normal,
    :math:`\delta` over its standard deviation has Student's distribution with :math:`n - p - 1` degrees of freedom
    exactly, however few dates are in the window.

    Attributes
    ----------
    unexplained
        (date,) :math:`\tilde h` in years.
    explained
        (term,) coefficients of the hinge in the model.
    rate_terms
        (term,) derivative of each term at :math:`t_0`, of the polynomial alone.
    annihilator
        (date, date) projection onto what model and hinge leave.
    freedom
        Degrees of freedom of the residuals.
    false_alarm_rate
        Of the two-sided test.
    """

    unexplained: NDArray[np.float64]
    explained: NDArray[np.float64]
    rate_terms: NDArray[np.float64]
    annihilator: NDArray[np.float64]
    freedom: int
    false_alarm_rate: float

    @property
    def weights(self) -> NDArray[np.float64]:
        """(date,) what gives the change of rate when multiplied with the series or with the residuals of the model."""
        return self.unexplained / self._length

    @property
    def _length(self) -> float:
        return float(self.unexplained @ self.unexplained)

    def variances(
        self,
        sum_squares: NDArray[np.float64],
        change: NDArray[np.float64],
        noise_variance: NDArray[np.float64] | None = None,
        noise_covariance: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Variance of the change of rate.

        Parameters
        ----------
        sum_squares
            (pixel,) of the residuals of the model without the hinge, m^2.
        change
            (pixel,) m/yr.
        noise_variance, noise_covariance
            (pixel,) variance of an interferogram (m^2) and (date, date) covariance of the series for a variance of 1:
            errors that are alike at neighbouring dates. Errors of dates alone where None or NaN.
        """
        left = np.maximum(sum_squares - change**2 * self._length, 0.0) / self.freedom
        if noise_variance is None or noise_covariance is None:
            return left / self._length
        of_pair = np.nan_to_num(noise_variance, nan=0.0)
        in_residuals = float(np.trace(self.annihilator @ noise_covariance)) / self.freedom
        in_change = float(self.weights @ noise_covariance @ self.weights)
        of_dates = np.maximum(left - of_pair * in_residuals, 0.0)
        return of_dates / self._length + of_pair * in_change

    def rate_before(self, coefficients: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.float64]:
        """(pixel,) m/yr rate at the hinge without the change, from coefficients (term, pixel) of the model alone."""
        rate: NDArray[np.float64] = self.rate_terms @ coefficients - change * float(self.rate_terms @ self.explained)
        return rate

    def p_values(self, change: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
        """(pixel,) probability of at least such a change at a steady rate, two-sided."""
        import scipy.special

        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.abs(change) / deviation
        p: NDArray[np.float64] = 2.0 * scipy.special.stdtr(self.freedom, -statistic)
        return p

    def classes(
        self, p: NDArray[np.float64], change: NDArray[np.float64], before: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """(pixel,) 2 where the rate has grown in magnitude, significantly; 1 where not; 0 where unknown."""
        grown = (p < self.false_alarm_rate) & (np.abs(before + change) > np.abs(before))
        return np.where(np.isnan(p), UNKNOWN, np.where(grown, ACCELERATING, STEADY)).astype(np.uint8)


def recent_dates(dates: tuple[date, ...], days: float = RECENT_DAYS) -> int:
    """How many of the last dates lie within the trailing window."""
    return sum((dates[-1] - day).days <= days for day in dates)


def plan_acceleration_test(
    dates: tuple[date, ...],
    design: NDArray[np.float64],
    degree: int,
    recent_days: float = RECENT_DAYS,
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> AccelerationTest | str:
    """The test beside a design (date, term) whose first columns are a polynomial in years; or why there is none."""
    count = recent_dates(dates, recent_days)
    if count < LEAST_RECENT_DATES:
        return f"{count} dates in the last {recent_days:g} days, {LEAST_RECENT_DATES} are needed: --recent-days"
    freedom = len(dates) - design.shape[1] - 1
    if freedom < LEAST_FREEDOM:
        return (
            f"{len(dates)} dates, {design.shape[1] + 1 + LEAST_FREEDOM} are needed for the model of time and a change "
            "of rate"
        )
    years = np.array([(day - dates[0]).days for day in dates]) / DAYS_PER_YEAR
    at = float(years[-1] - recent_days / DAYS_PER_YEAR)
    hinge = np.maximum(years - at, 0.0)
    explained = np.linalg.lstsq(design, hinge, rcond=None)[0].astype(np.float64)
    unexplained = hinge - design @ explained
    if np.linalg.norm(unexplained) < 1e-6 * np.linalg.norm(hinge):
        return f"the dates do not tell a change of rate {recent_days:g} days before the last one from the model of time"
    rate_terms = np.zeros(design.shape[1])
    for power in range(1, degree + 1):
        rate_terms[power] = power * (at - years.mean()) ** (power - 1)
    basis: NDArray[Any] = np.linalg.qr(np.column_stack([design, unexplained]))[0]
    return AccelerationTest(
        unexplained, explained, rate_terms, np.eye(len(dates)) - basis @ basis.T, freedom, false_alarm_rate
    )
