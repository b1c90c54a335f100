"""Small scenes, made once."""

from __future__ import annotations

import pytest

from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene


@pytest.fixture(scope="session")
def small() -> SimulationParameters:
    """Every effect switched on, in a scene that is quick to make."""
    return SimulationParameters(
        seed=5,
        rows=52,
        cols=56,
        acquisitions=9,
        creeping_slopes=2,
        slope_length_min_m=300.0,
        slope_length_max_m=600.0,
        missing_fraction=0.05,
        missing_blobs_per_pair=1.0,
        unwrapping_jumps=3,
        offset_cycles=2,
        dem_error_rms_m=10.0,
        stratified_rms_m_per_km=0.01,
    )


@pytest.fixture(scope="session")
def clean_scene(small: SimulationParameters) -> SimulatedScene:
    """Motion alone."""
    return simulate_scene(small.without_disturbances())


@pytest.fixture(scope="session")
def full_scene(small: SimulationParameters) -> SimulatedScene:
    """Motion and everything that disturbs it."""
    return simulate_scene(small)
