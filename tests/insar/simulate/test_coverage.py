"""Whether a plain inversion of the default stack has the uncertainty that it states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from insar.constants import DAYS_PER_YEAR
from insar.simulate import SimulationParameters, simulate_scene

SEEDS = range(4)


def two_sigma_share(parameters: SimulationParameters) -> float:
    """Share of pixels whose true rate lies within two standard deviations of the fitted one.

    Unweighted least squares by the pseudo-inverse where nothing is missing, straight line, standard deviation from
    its residuals; relative to the mean of the stable ground, so that no one pixel's noise is common to all.
    """
    scene = simulate_scene(parameters)
    dates, pairs = list(scene.dates), scene.pairs
    design = np.zeros((len(pairs), len(dates)))
    for index, pair in enumerate(pairs):
        design[index, dates.index(pair.reference)] = -1.0
        design[index, dates.index(pair.secondary)] = 1.0
    phase = np.stack([scene.interferogram(k).phase_rad.ravel() for k in range(len(pairs))]).astype(np.float64)
    valid = np.isfinite(phase).all(axis=0)
    series = np.zeros((len(dates), int(valid.sum())))
    series[1:] = np.linalg.pinv(design[:, 1:]) @ phase[:, valid]
    series *= -parameters.wavelength_m / (4 * np.pi)
    truth = scene.linear_rate_m_per_year().ravel()[valid].astype(np.float64)
    stable = scene.fields.kind.ravel()[valid] == 1
    series -= series[:, stable].mean(axis=1, keepdims=True)
    truth -= truth[stable].mean()
    years = np.array([(day - dates[0]).days for day in dates]) / DAYS_PER_YEAR
    centered = years - years.mean()
    spread = (centered**2).sum()
    rate = centered @ series / spread
    residuals = series - series.mean(axis=0) - centered[:, None] * rate
    sigma = np.sqrt((residuals**2).sum(axis=0) / (len(dates) - 2) / spread)
    return float((abs(rate - truth) <= 2 * sigma).mean())


def test_turbulence_and_decorrelation_alone() -> None:
    base = SimulationParameters(rows=110, cols=110).without_disturbances(
        turbulence_rms_m=0.005, phase_noise_scale=1.0, accelerating_slopes=0, seasonal_amplitude_m=0.0
    )
    shares = [two_sigma_share(replace(base, seed=seed)) for seed in SEEDS]
    assert 0.93 < np.mean(shares) < 0.97
    assert min(shares) > 0.91


def test_default_effects() -> None:
    # Nearly every pixel misses some sample of 84, so gaps are left out here: they need a solver per pixel.
    base = SimulationParameters(rows=110, cols=110, missing_fraction=0.0)
    shares = [two_sigma_share(replace(base, seed=seed)) for seed in SEEDS]
    assert 0.93 < np.mean(shares) < 0.97
    assert min(shares) > 0.91
