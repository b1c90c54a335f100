"""Delays of GACOS: by hand on the sample, at edges and holes, and end to end against simulated truth."""

import pickle
from datetime import date

import numpy as np
import pytest
from affine import Affine

import insar
from insar.corrections.base import SeriesSample
from insar.corrections.chain import fit_corrections
from insar.corrections.gacos import GacosCorrection
from insar.delay_maps import ZenithDelay
from insar.errors import InputError, MissingInputError, OptionError
from insar.grid import Grid, RowCol
from insar.kernels.corrections import interpolate_bilinear
from insar.readers.gacos import read_gacos
from insar.simulate import SimulationParameters, simulate_scene, simulate_stack
from insar.stack import Acquisition

from .scenes import DATES, geographic, make_stack, plane

DAYS = (date(2017, 3, 17), date(2017, 4, 10))


def _sample(dates):
    nowhere = np.zeros(1, np.intp)
    return SeriesSample(dates, nowhere, nowhere, np.zeros((len(dates), 1)), np.ones(1))


def test_sample_by_hand(shared_data):
    # Three places, given by their position between the centres of four pixels of the maps.
    step, west, north = 0.00083333, 86.26667, 23.83333
    places = np.array([[10.25, 20.5], [41.0, 77.75], [78.9, 138.1]])
    lon, lat = west + step * places[:, 1], north - step * places[:, 0]
    incidence = np.array([39.0, 34.0, 43.5])
    stack = make_stack(
        Grid.radar(1, 3), longitude=lon[None], latitude=lat[None], incidence_angle=incidence[None].astype(np.float64)
    )
    delays = read_gacos(shared_data / "format_samples" / "gacos", DAYS)
    fitted = GacosCorrection(stack, delays).fit(_sample(DAYS))
    zenith = np.array(
        [
            [
                0.75 * (0.5 * 2.3438604 + 0.5 * 2.3438542) + 0.25 * (0.5 * 2.3433545 + 0.5 * 2.3436010),
                0.25 * 2.3469534 + 0.75 * 2.3477149,
                0.1 * (0.9 * 2.3525875 + 0.1 * 2.3531044) + 0.9 * (0.9 * 2.3538430 + 0.1 * 2.3535969),
            ],
            [
                0.75 * (0.5 * 2.2781088 + 0.5 * 2.2781117) + 0.25 * (0.5 * 2.2775795 + 0.5 * 2.2778416),
                0.25 * 2.2814581 + 0.75 * 2.2822196,
                0.1 * (0.9 * 2.2878795 + 0.1 * 2.2884071) + 0.9 * (0.9 * 2.2891922 + 0.1 * 2.2889390),
            ],
        ]
    )
    expected = -zenith / np.cos(np.deg2rad([39.0, 34.0, 43.5]))
    found = fitted.apparent_displacement(slice(0, 1), slice(0, 3))
    np.testing.assert_allclose(found[:, 0], expected, atol=2e-7)
    # A longer delay looks like motion away from the satellite: the second date has less of it.
    assert ((found[1] - found[0]) > 0.07).all()


def _map(values, day=DATES[0], *, west=86.2, north=23.9, step=0.01, utc_s=None):
    grid = Grid(*values.shape, Affine(step, 0, west - step / 2, 0, -step, north + step / 2), "EPSG:4326")
    return ZenithDelay(day, grid, plane(values.astype(np.float32)), utc_s)


def _planar(rows, cols, *, west=86.2, north=23.9, step=0.01):
    """Delays that are a plane in longitude and latitude, which bilinear interpolation keeps."""
    row, col = np.mgrid[:rows, :cols]
    return 2.3 + 0.5 * (west + step * col - 86.25) - 0.8 * (north - step * row - 23.85)


def _fit(stack, delays, **options):
    return GacosCorrection(stack, tuple(delays), **options).fit(_sample(tuple(delay.day for delay in delays)))


def test_maps_of_different_grids():
    delays = [
        _map(_planar(20, 20), DATES[0]),
        _map(_planar(20, 20), DATES[1]),
        _map(_planar(40, 30, west=86.15, north=24.0, step=0.008), DATES[2], west=86.15, north=24.0, step=0.008),
        _map(_planar(20, 20), DATES[3]),
    ]
    grid = geographic(12, 10)
    stack = make_stack(grid, incidence_angle=np.full((12, 10), 40.0))
    fitted = _fit(stack, delays)
    found = fitted.apparent_displacement(slice(0, 12), slice(0, 10))
    row, col = np.mgrid[:12, :10] + 0.5
    lon, lat = grid.map_coordinates(row, col)
    expected = -(2.3 + 0.5 * (lon - 86.25) - 0.8 * (lat - 23.85)) / np.cos(np.deg2rad(40.0))
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=5e-7)
    assert fitted.facts["grids"] == 2
    window = pickle.loads(pickle.dumps(fitted)).apparent_displacement(slice(5, 7), slice(2, 9))
    assert window.tobytes() == found[:, 5:7, 2:9].tobytes()


def test_projected_stacks_and_other_turns_of_longitude():
    utm = make_stack(
        Grid(5, 6, Affine(90, 0, 425_000, 0, -90, 2_636_000), "EPSG:32645"), incidence_angle=np.full((5, 6), 30.0)
    )
    found = _fit(utm, [_map(_planar(20, 20))]).apparent_displacement(slice(0, 5), slice(0, 6))[0]
    places = [[utm.grid.lonlat(RowCol(row, col)) for col in range(6)] for row in range(5)]
    expected = [
        [-(2.3 + 0.5 * (p.lon - 86.25) - 0.8 * (p.lat - 23.85)) / np.cos(np.deg2rad(30.0)) for p in row]
        for row in places
    ]
    np.testing.assert_allclose(found, expected, atol=5e-7)
    turned = _map(_planar(20, 20), west=86.2 - 360.0)
    np.testing.assert_allclose(_fit(utm, [turned]).apparent_displacement(slice(0, 5), slice(0, 6))[0], found, atol=5e-7)


def test_unknown_outside_the_map_at_holes_and_without_a_place():
    values = _planar(6, 6)
    values[2, 3] = np.nan
    lon = 86.2 + 0.01 * np.array([0.0, -0.4, -0.6, 2.5, 3.5, 4.0, 5.4, 5.6, np.nan])
    lat = np.full(9, 23.9 - 0.01 * 2.0)
    incidence = np.full((1, 9), 40.0)
    incidence[0, 0] = np.nan
    stack = make_stack(Grid.radar(1, 9), longitude=lon[None], latitude=lat[None], incidence_angle=incidence)
    found = _fit(stack, [_map(values)]).apparent_displacement(slice(0, 1), slice(0, 9))[0, 0]
    assert np.isnan(found).tolist() == [True, False, True, True, True, False, False, True, True]
    edge = -values[2, [0, 4, 5]].astype(np.float32) / np.cos(np.deg2rad(40.0))
    np.testing.assert_allclose(found[[1, 5, 6]], edge, rtol=1e-7)


def test_window_far_outside_the_map():
    stack = make_stack(geographic(4, 4, west=100.0), incidence_angle=np.full((4, 4), 40.0))
    assert np.isnan(_fit(stack, [_map(_planar(6, 6))]).apparent_displacement(slice(0, 4), slice(0, 4))).all()


def test_one_incidence_where_the_stack_has_none():
    stack = make_stack(geographic(4, 4))
    with pytest.raises(InputError, match=r"the incidence angle, to project zenith delays.*--incidence"):
        GacosCorrection(stack, ())
    with pytest.raises(OptionError, match="--incidence: required an angle"):
        GacosCorrection(stack, (), incidence_deg=95.0)
    fitted = _fit(stack, [_map(_planar(20, 20))], incidence_deg=60.0)
    grid_lon, grid_lat = stack.grid.map_coordinates(0.5, 0.5)
    expected = -(2.3 + 0.5 * (grid_lon - 86.25) - 0.8 * (grid_lat - 23.85)) / 0.5
    assert fitted.apparent_displacement(slice(0, 1), slice(0, 1))[0, 0, 0] == pytest.approx(expected, abs=1e-6)
    assert fitted.facts["incidence"] == 60.0


def test_a_stack_that_does_not_know_its_place():
    stack = make_stack(Grid.radar(4, 4), incidence_angle=np.full((4, 4), 40.0))
    with pytest.raises(InputError, match="without a look-up table"):
        _fit(stack, [_map(_planar(20, 20))]).apparent_displacement(slice(0, 4), slice(0, 4))


def test_dates_without_a_map_are_listed():
    stack = make_stack(geographic(4, 4), incidence_angle=np.full((4, 4), 40.0))
    with pytest.raises(MissingInputError, match=f"{DATES[1]:%Y%m%d}, {DATES[3]:%Y%m%d}"):
        GacosCorrection(stack, (_map(_planar(9, 9)), _map(_planar(9, 9), DATES[2]))).fit(_sample(DATES[:4]))


def test_maps_of_another_time_are_named():
    acquired = Acquisition(center_line_utc_s=86_000.0)
    stack = make_stack(geographic(4, 4), acquisition=acquired, incidence_angle=np.full((4, 4), 40.0))
    times = (86_000.0, 900.0, 43_200.0, None)  # 900 s is 25 minutes later, past midnight
    delays = [_map(_planar(9, 9), day, utc_s=time) for day, time in zip(DATES, times, strict=False)]
    assert _fit(stack, delays).facts["dates_of_another_time"] == [f"{DATES[2]:%Y%m%d}"]


def test_interpolation_kernel_agrees_with_scipy():
    from scipy.ndimage import map_coordinates

    random = np.random.default_rng(3)
    field = random.normal(size=(9, 11))
    rows, cols = random.uniform(0, 8, 200), random.uniform(0, 10, 200)
    rows[:3], cols[:3] = (0.0, 8.0, 3.0), (10.0, 0.0, 4.0)
    for function in (interpolate_bilinear, interpolate_bilinear.py_func):
        found = np.empty(200)
        function(field, 0, 0, 9, 11, rows, cols, found)
        np.testing.assert_allclose(found, map_coordinates(field, [rows, cols], order=1), atol=1e-12)


def write_delays(folder, scene):
    """The delays of a scene at the zenith, as GACOS writes them, on the geographic grid of the scene."""
    on_grid = scene.on_geographic_grid()
    grid = on_grid.pixels.grid
    lon, lat = grid.map_coordinates(0.5, 0.5)
    header = (
        f"WIDTH {grid.cols}\nFILE_LENGTH {grid.rows}\nX_FIRST {lon:.12f}\nY_FIRST {lat:.12f}\n"
        f"X_STEP {grid.transform.a:.15f}\nY_STEP {grid.transform.e:.15f}\n"
    )
    folder.mkdir()
    above = (on_grid.fields.height_m - on_grid.mean_height_m) / 1000.0
    shrink = np.cos(np.radians(on_grid.fields.incidence_deg.astype(np.float64)))
    for index, day in enumerate(scene.dates):
        slant = on_grid.turbulence_m[index] + on_grid.stratification_m_per_km[index] * above
        (folder / f"{day:%Y%m%d}.ztd").write_bytes((2.3 + slant * shrink).astype("<f4").tobytes())
        (folder / f"{day:%Y%m%d}.ztd.rsc").write_text(header)


def _corrected(parameters, layout, folder, gacos):
    """The series of a simulated stack before and after, its error, and the chain."""
    stack = insar.open_stack(simulate_stack(parameters, folder, layout))
    series = insar.invert(stack, reference=(20, 20))
    rows, cols = (np.ravel(axis) for axis in np.indices(stack.shape))
    sample = SeriesSample(
        series.dates,
        rows,
        cols,
        series.displacement_m.reshape(len(series.dates), -1).astype(np.float64),
        series.layers["temporal_coherence"].ravel(),
    )
    chain = fit_corrections(stack, [GacosCorrection(stack, read_gacos(gacos, series.dates))], sample, [20], [20])
    corrected = series.displacement_m.copy()
    chain.apply(corrected, slice(0, stack.shape[0]))
    truth = np.load(folder / "truth" / "stack.npz")["displacement"]
    truth = truth - truth[:, 20, 20, None, None]
    return series.displacement_m - truth, corrected - truth, chain


PARAMETERS = SimulationParameters(
    rows=48, cols=48, acquisitions=10, creeping_slopes=1, accelerating_slopes=0, seasonal_amplitude_m=0.0
)
DELAYS = {"turbulence_rms_m": 0.01, "turbulence_length_m": 2_000.0, "stratified_rms_m_per_km": 0.02}


def _rms(values):
    return float(np.sqrt(np.nanmean(values.astype(np.float64) ** 2)))


@pytest.mark.parametrize(("layout", "left"), [("mintpy", 1e-4), ("isce-tops", 0.04)])
def test_simulated_delays_are_taken_out(tmp_path, layout, left):
    # Nothing but delays: what is left is what interpolation from one grid to another makes of them.
    parameters = PARAMETERS.without_disturbances(**DELAYS)
    write_delays(tmp_path / "gacos", simulate_scene(parameters))
    before, after, chain = _corrected(parameters, layout, tmp_path / "stack", tmp_path / "gacos")
    assert np.isfinite(after).mean() > 0.99
    assert _rms(before) > 0.007
    assert _rms(after) < left * _rms(before)
    assert chain.facts[0]["rms_after_m"] < left * chain.facts[0]["rms_before_m"]


def test_noise_is_what_is_left(tmp_path):
    # Each effect has its own random numbers: the same scene without delays has the same noise.
    noisy = PARAMETERS.without_disturbances(phase_noise_scale=1.0)
    with_delays = PARAMETERS.without_disturbances(phase_noise_scale=1.0, **DELAYS)
    write_delays(tmp_path / "gacos", simulate_scene(with_delays))
    before, after, _ = _corrected(with_delays, "mintpy", tmp_path / "stack", tmp_path / "gacos")
    stack = insar.open_stack(simulate_stack(noisy, tmp_path / "noisy", "mintpy"))
    series = insar.invert(stack, reference=(20, 20)).displacement_m
    truth = np.load(tmp_path / "noisy" / "truth" / "stack.npz")["displacement"]
    noise = series - (truth - truth[:, 20, 20, None, None])
    assert _rms(before) > 2.0 * _rms(noise)
    assert _rms(after) == pytest.approx(_rms(noise), rel=1e-3)
    assert np.nanmax(np.abs(after - noise)) < 1e-5
