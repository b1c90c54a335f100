from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from insar.constants import DAYS_PER_YEAR
from insar.errors import OptionError
from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene
from insar.simulate.atmosphere import simulate_ramps
from insar.simulate.view import slant_range_m

RADIANS_PER_METRE = 4 * np.pi / SimulationParameters().wavelength_m


def phase_of(scene: SimulatedScene, index: int) -> NDArray[np.float64]:
    return scene.interferogram(index).phase_rad.astype(np.float64)


def test_same_seed_same_bytes(small: SimulationParameters, full_scene: SimulatedScene) -> None:
    again = simulate_scene(small)
    for index in (7, 0, 3):  # in another order than they were made in
        for first, second in zip(full_scene.interferogram(index), again.interferogram(index), strict=True):
            assert first.tobytes() == second.tobytes()
    other = simulate_scene(replace(small, seed=small.seed + 1))
    assert not np.array_equal(full_scene.fields.height_m, other.fields.height_m)


def test_phase_of_motion_alone(clean_scene: SimulatedScene) -> None:
    displacement = clean_scene.displacements_m().astype(np.float64)
    dates = list(clean_scene.dates)
    for index, pair in enumerate(clean_scene.pairs):
        moved = displacement[dates.index(pair.secondary)] - displacement[dates.index(pair.reference)]
        np.testing.assert_allclose(phase_of(clean_scene, index), -RADIANS_PER_METRE * moved, atol=2e-6)
    assert abs(displacement[-1]).max() > 0.01


@pytest.mark.parametrize("disturbed", [False, True])
def test_loops_close_without_noise(small: SimulationParameters, disturbed: bool) -> None:
    changes = {"turbulence_rms_m": 0.005, "stratified_rms_m_per_km": 0.01, "dem_error_rms_m": 10.0, "ramp_rms_m": 0.01}
    scene = simulate_scene(small.without_disturbances(**(changes if disturbed else {})))
    phases = {(p.reference, p.secondary): phase_of(scene, k) for k, p in enumerate(scene.pairs)}
    a, b, c = scene.dates[2:5]
    loop = phases[a, b] + phases[b, c] - phases[a, c]
    assert abs(phases[a, c]).max() > 0.1
    assert abs(loop).max() < 3e-6  # the rounding of float32


ADDITIVE = {
    "turbulence_rms_m": 0.005,
    "stratified_rms_m_per_km": 0.01,
    "ramp_rms_m": 0.01,
    "dem_error_rms_m": 10.0,
    "phase_noise_scale": 1.0,
}


@pytest.mark.parametrize("effect", ADDITIVE)
def test_effects_do_not_change_each_other(small: SimulationParameters, effect: str) -> None:
    """What an effect adds to nothing is what it adds to all the others."""
    alone = simulate_scene(small.without_disturbances(**{effect: ADDITIVE[effect]}))
    nothing = simulate_scene(small.without_disturbances())
    everything = simulate_scene(small.without_disturbances(**ADDITIVE))
    without = simulate_scene(small.without_disturbances(**(ADDITIVE | {effect: 0.0})))
    for index in (0, 5):
        added = phase_of(alone, index) - phase_of(nothing, index)
        assert abs(added).max() > 0.05
        np.testing.assert_allclose(phase_of(everything, index) - phase_of(without, index), added, atol=1e-5)


@pytest.mark.parametrize("effect", [*ADDITIVE, "seasonal_amplitude_m"])
def test_effects_scale(small: SimulationParameters, effect: str) -> None:
    size = ADDITIVE.get(effect, 0.004)
    still = {"creeping_slopes": 0, "accelerating_slopes": 0, "seasonal_amplitude_m": 0.0}
    once = simulate_scene(small.without_disturbances(**(still | {effect: size})))
    twice = simulate_scene(small.without_disturbances(**(still | {effect: 2 * size})))
    np.testing.assert_allclose(phase_of(twice, 4), 2 * phase_of(once, 4), atol=1e-5)
    assert phase_of(once, 4).any()


def test_everything_off_is_silence(small: SimulationParameters) -> None:
    silent = small.without_disturbances(creeping_slopes=0, accelerating_slopes=0, seasonal_amplitude_m=0.0)
    phase, coherence, components = simulate_scene(silent).interferogram(3)
    assert not phase.any()
    np.testing.assert_array_equal(coherence, simulate_scene(silent).expected_coherence(3))
    assert set(np.unique(components)) <= {0, 1}


def test_turbulence_has_its_size_and_independent_dates() -> None:
    parameters = SimulationParameters(
        rows=60, cols=60, acquisitions=40, creeping_slopes=0, turbulence_length_m=160.0, turbulence_rms_m=0.004
    )
    delay = simulate_scene(parameters).turbulence_m.astype(np.float64)
    assert np.sqrt((delay**2).mean()) == pytest.approx(0.004, rel=0.03)
    correlations = [np.corrcoef(delay[k].ravel(), delay[k + 1].ravel())[0, 1] for k in range(39)]
    assert abs(np.mean(correlations)) < 0.02


def test_longer_path_is_positive_phase(small: SimulationParameters) -> None:
    scene = simulate_scene(
        small.without_disturbances(
            turbulence_rms_m=0.005, creeping_slopes=0, accelerating_slopes=0, seasonal_amplitude_m=0.0
        )
    )
    delay, dates = scene.turbulence_m.astype(np.float64), list(scene.dates)
    for index, pair in enumerate(scene.pairs):
        longer = delay[dates.index(pair.secondary)] - delay[dates.index(pair.reference)]
        np.testing.assert_allclose(phase_of(scene, index), RADIANS_PER_METRE * longer, atol=1e-5)


def test_stratified_delay_grows_with_height(small: SimulationParameters) -> None:
    scene = simulate_scene(
        small.without_disturbances(
            stratified_rms_m_per_km=0.01, creeping_slopes=0, accelerating_slopes=0, seasonal_amplitude_m=0.0
        )
    )
    height_km = scene.fields.height_m.astype(np.float64) / 1000
    kappa = scene.stratification_m_per_km
    dates = list(scene.dates)
    for index, pair in enumerate(scene.pairs):
        change = kappa[dates.index(pair.secondary)] - kappa[dates.index(pair.reference)]
        slope, offset = np.polyfit(height_km.ravel(), phase_of(scene, index).ravel(), 1)
        assert slope == pytest.approx(RADIANS_PER_METRE * change, rel=1e-3)
        assert offset == pytest.approx(-RADIANS_PER_METRE * change * height_km.mean(), rel=1e-3)


def test_ramps_are_planes_of_the_size_asked_for(small: SimulationParameters) -> None:
    still = {"creeping_slopes": 0, "accelerating_slopes": 0, "seasonal_amplitude_m": 0.0}
    scene = simulate_scene(small.without_disturbances(ramp_rms_m=0.02, **still))
    rows, cols = scene.shape
    row, col = np.mgrid[:rows, :cols]
    down, across = 2.0 * row / (rows - 1) - 1.0, 2.0 * col / (cols - 1) - 1.0
    dates = list(scene.dates)
    for index, pair in enumerate(scene.pairs):
        change = scene.ramps_m[dates.index(pair.secondary)] - scene.ramps_m[dates.index(pair.reference)]
        expected = RADIANS_PER_METRE * (change[0] * down + change[1] * across)
        np.testing.assert_allclose(phase_of(scene, index), expected, atol=2e-5)
    many = simulate_ramps(replace(small, ramp_rms_m=0.02, acquisitions=2_000))
    sizes = many[:, 0, None] * down.ravel()[::50] + many[:, 1, None] * across.ravel()[::50]
    assert np.sqrt(np.mean(sizes**2)) == pytest.approx(0.02, rel=0.06)


def test_dem_error_phase_is_linear_in_the_baseline(small: SimulationParameters) -> None:
    scene = simulate_scene(
        small.without_disturbances(
            dem_error_rms_m=10.0, creeping_slopes=0, accelerating_slopes=0, seasonal_amplitude_m=0.0
        )
    )
    error = scene.fields.dem_error_m.astype(np.float64)
    incidence = scene.fields.incidence_deg.astype(np.float64)
    per_metre = RADIANS_PER_METRE * error / (slant_range_m(incidence) * np.sin(np.radians(incidence)))
    assert error.std() == pytest.approx(10.0, rel=0.1)
    np.testing.assert_allclose(scene.stack_height_m - scene.fields.height_m, error, atol=1e-3)
    baselines = scene.perpendicular_baselines_m
    assert baselines[0] == 0.0
    dates = list(scene.dates)
    for index, pair in enumerate(scene.pairs):
        baseline = baselines[dates.index(pair.secondary)] - baselines[dates.index(pair.reference)]
        assert scene.pair_baseline_m(index) == pytest.approx(baseline)
        np.testing.assert_allclose(phase_of(scene, index), baseline * per_metre, atol=1e-5)


def test_creep_is_steady_and_downslope(clean_scene: SimulatedScene) -> None:
    creeping = clean_scene.fields.kind == 2
    velocity = clean_scene.fields.velocity_m_per_year
    assert creeping.any()
    assert (velocity[clean_scene.fields.kind == 1] == 0.0).all()
    steady = creeping & (clean_scene.fields.seasonal_amplitude_m == 0.0)
    years = (clean_scene.dates[-1] - clean_scene.dates[0]).days / DAYS_PER_YEAR
    np.testing.assert_allclose(clean_scene.displacement_m(8)[steady], velocity[steady] * years, rtol=1e-5)
    height = scipy.ndimage.gaussian_filter(clean_scene.fields.height_m.astype(np.float64), 1.5)
    south, east = np.gradient(height, clean_scene.parameters.pixel_size_m)
    for slope in clean_scene.slopes:
        row, col = int(slope.outline.row), int(slope.outline.col)
        assert slope.motion.up < 0.0
        assert np.hypot(np.hypot(slope.motion.east, slope.motion.north), slope.motion.up) == pytest.approx(1.0)
        downhill = np.array([-east[row, col], south[row, col]])
        assert downhill @ [slope.motion.east, slope.motion.north] > 0.9 * np.hypot(*downhill) * np.hypot(
            slope.motion.east, slope.motion.north
        )
        assert velocity[row, col] == pytest.approx(slope.rate_m_per_year, rel=1e-5)


def test_rates_reach_the_limits_asked_for() -> None:
    parameters = SimulationParameters(rows=90, cols=90, creeping_slopes=4, slope_length_max_m=700.0)
    slopes = [slope for slope in simulate_scene(parameters).slopes if slope.kind == "creeping"]
    rates = [slope.rate_m_per_year for slope in slopes]
    assert min(rates) == -0.06
    assert max(rates) == 0.04
    for slope in slopes:  # toward the satellite where the view is against the motion
        assert np.sign(slope.sensitivity) == np.sign(slope.rate_m_per_year)


def test_slopes_that_find_no_room_are_refused(small: SimulationParameters) -> None:
    with pytest.raises(OptionError, match="room for 41 moving slopes"):
        simulate_scene(replace(small, creeping_slopes=40))


def test_acceleration_is_the_integral_of_its_rate(small: SimulationParameters) -> None:
    daily = replace(small, interval_days=1, acquisitions=150, connections=1, seasonal_amplitude_m=0.0)
    scene = simulate_scene(daily.without_disturbances())
    slope = next(slope for slope in scene.slopes if slope.kind == "accelerating")
    place = int(slope.outline.row), int(slope.outline.col)
    assert scene.fields.kind[place] == 3
    displacement = np.array([scene.displacement_m(k)[place] for k in range(150)], dtype=np.float64)
    rate = np.gradient(displacement, 1 / DAYS_PER_YEAR)
    assert rate[5] == pytest.approx(-0.005, rel=0.02)
    assert rate[85] == pytest.approx(-0.005, rel=0.02)
    assert displacement[-1] - displacement[-2] == pytest.approx(-0.08 / DAYS_PER_YEAR, rel=0.05)
    # From -5 to -15 mm/yr within two months, and beyond.
    passed = int(np.argmax(rate <= -0.015))
    assert 89 < passed < 149
    assert 60 * np.log(3) / np.log(16) == pytest.approx(passed - 89, abs=2)
    assert scene.last_rate_m_per_year()[place] == pytest.approx(-0.08, rel=1e-5)


def test_season_repeats_after_a_year() -> None:
    parameters = SimulationParameters(
        rows=60, cols=60, interval_days=1, acquisitions=740, connections=1, creeping_slopes=0, accelerating_slopes=0
    ).without_disturbances()
    scene = simulate_scene(parameters)
    place = np.unravel_index(scene.fields.seasonal_amplitude_m.argmax(), scene.shape)
    amplitude = scene.fields.seasonal_amplitude_m[place]
    assert amplitude == pytest.approx(0.004, rel=0.3)
    series = np.array([scene.displacement_m(k)[place] for k in range(740)])
    assert np.ptp(series) == pytest.approx(2 * amplitude, rel=1e-3)
    assert series[365] == pytest.approx(series[0], abs=2e-5)
    peak = scene.dates[int(series[:366].argmax())].timetuple().tm_yday
    assert peak == pytest.approx(parameters.seasonal_peak_day_of_year, abs=1)
    assert (scene.fields.seasonal_amplitude_m > 0).mean() == pytest.approx(0.02, abs=0.005)


def test_linear_rate_is_the_least_squares_line(clean_scene: SimulatedScene) -> None:
    years = np.array([(day - clean_scene.dates[0]).days for day in clean_scene.dates]) / DAYS_PER_YEAR
    cube = clean_scene.displacements_m().reshape(len(years), -1).astype(np.float64)
    expected = np.polyfit(years, cube, 1)[0].reshape(clean_scene.shape)
    np.testing.assert_allclose(clean_scene.linear_rate_m_per_year(), expected, atol=2e-7)
    assert abs(expected - clean_scene.fields.velocity_m_per_year).max() > 1e-4  # acceleration and season count


def test_phase_noise_of_different_interferograms_is_independent(small: SimulationParameters) -> None:
    scene = simulate_scene(small.without_disturbances(phase_noise_scale=1.0))
    quiet = simulate_scene(small.without_disturbances())
    noise = np.stack([(phase_of(scene, k) - phase_of(quiet, k)).ravel() for k in range(len(scene.pairs))])
    correlations = np.corrcoef(noise)[np.triu_indices(len(noise), 1)]
    expected_spread = 1 / np.sqrt(noise.shape[1])
    assert abs(correlations.mean()) < expected_spread / 3
    assert correlations.std() == pytest.approx(expected_spread, rel=0.3)


def test_missing_samples_have_their_share_and_prefer_low_coherence(small: SimulationParameters) -> None:
    scene = simulate_scene(small.without_disturbances(missing_fraction=0.1))
    missing = np.stack([np.isnan(scene.interferogram(k).phase_rad) for k in range(len(scene.pairs))])
    coherence = np.stack([scene.expected_coherence(k) for k in range(len(scene.pairs))])
    assert missing.mean() == pytest.approx(0.1, rel=0.05)
    low = coherence < np.median(coherence)
    assert missing[low].mean() > 2 * missing[~low].mean()
    assert not np.isnan(scene.interferogram(0).coherence).any()


def test_connected_gaps(small: SimulationParameters) -> None:
    whole = simulate_scene(small.without_disturbances())
    scene = simulate_scene(small.without_disturbances(missing_blobs_per_pair=2.0))
    counts = []
    for index in range(len(scene.pairs)):
        phase, coherence, components = scene.interferogram(index)
        missing = np.isnan(phase)
        np.testing.assert_array_equal(missing, np.isnan(coherence))
        assert not components[missing].any()
        counts.append(scipy.ndimage.label(missing)[1])
        np.testing.assert_array_equal(phase[~missing], whole.interferogram(index).phase_rad[~missing])
    assert 0.8 < np.mean(counts) < 2.5  # some merge, some lie at the edge
    shares = [np.isnan(scene.interferogram(k).phase_rad).mean() for k in range(len(scene.pairs))]
    assert max(shares) > 0.01


def test_jumps_are_whole_cycles_in_connected_regions(small: SimulationParameters) -> None:
    without = simulate_scene(small.without_disturbances())
    scene = simulate_scene(small.without_disturbances(unwrapping_jumps=3))
    assert len({jump.pair_index for jump in scene.jumps}) == 3
    by_pair = {jump.pair_index: jump for jump in scene.jumps}
    for index in range(len(scene.pairs)):
        phase, _, components = scene.interferogram(index)
        cycles = (phase - without.interferogram(index).phase_rad) / (2 * np.pi)
        if index not in by_pair:
            assert not cycles.any()
            continue
        region = abs(cycles) > 0.5
        np.testing.assert_allclose(cycles[region], by_pair[index].cycles, atol=1e-5)
        assert not cycles[~region].any()
        assert scipy.ndimage.label(region)[1] == 1
        assert 20 < region.sum() < 200
        inside, outside = set(np.unique(components[region])), set(np.unique(components[~region]))
        assert inside - {0}
        assert not (inside & outside) - {0}


def test_components_are_connected(full_scene: SimulatedScene) -> None:
    for index in range(len(full_scene.pairs)):
        phase, _, components = full_scene.interferogram(index)
        assert not components[np.isnan(phase)].any()
        for label in range(1, int(components.max()) + 1):
            assert scipy.ndimage.label(components == label)[1] == 1
        assert (components == 1).mean() > 0.6


def test_offsets_are_whole_cycles(small: SimulationParameters) -> None:
    without = simulate_scene(small.without_disturbances())
    scene = simulate_scene(small.without_disturbances(offset_cycles=2))
    assert set(scene.offset_cycles.tolist()) == {-2, -1, 0, 1, 2}
    for index, cycles in enumerate(scene.offset_cycles):
        difference = phase_of(scene, index) - phase_of(without, index)
        np.testing.assert_allclose(difference, 2 * np.pi * cycles, atol=2e-6)


def test_noise_free_coherence_is_the_true_one(clean_scene: SimulatedScene) -> None:
    np.testing.assert_array_equal(clean_scene.interferogram(2).coherence, clean_scene.expected_coherence(2))


def test_coherence_falls_in_layover_and_shadow() -> None:
    parameters = SimulationParameters(
        rows=60, cols=60, median_slope_deg=28.0, creeping_slopes=0, layover_shadow_coherence=0.25
    )
    scene = simulate_scene(parameters)
    hidden = scene.fields.visibility > 0
    assert hidden.any()
    seen = replace(scene, fields=replace(scene.fields, visibility=np.zeros_like(scene.fields.visibility)))
    ratio = scene.expected_coherence(0) / seen.expected_coherence(0)
    np.testing.assert_allclose(ratio[hidden], 0.25, rtol=1e-6)
    assert (ratio[~hidden] == 1.0).all()


def test_unwrapping_errors_in_a_share_of_the_interferograms(small: SimulationParameters) -> None:
    without = simulate_scene(small.without_disturbances(offset_cycles=2))
    scene = simulate_scene(
        small.without_disturbances(offset_cycles=2, unwrapping_error_fraction=0.25, unwrapping_error_patches=4)
    )
    wrong = np.stack([scene.wrong_cycles(index) for index in range(len(scene.pairs))])
    assert np.count_nonzero(wrong.any(axis=(1, 2))) == round(0.25 * len(scene.pairs))
    assert set(np.unique(abs(wrong))) == {0, 1, 2}
    assert len(scene.jumps) == 4 * round(0.25 * len(scene.pairs))
    for index, cycles in enumerate(wrong):
        phase, _, components = scene.interferogram(index)
        np.testing.assert_allclose(phase - without.interferogram(index).phase_rad, 2 * np.pi * cycles, atol=2e-6)
        for label in range(1, int(components.max()) + 1):
            assert np.ptp(cycles[components == label]) == 0
