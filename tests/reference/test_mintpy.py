"""MintPy run beside this package on the same real stack: time series, rate, DEM error and ramps.

Its commands are found by the environment variable ``MINTPY_BIN``, the folder they lie in; it is installed in an
environment of its own. Both programs read one ``ifgramStack.h5``, written here from the Mexico City stack. Known
differences, which the tests leave out or allow for:

- 0 is MintPy's word for no data, in the interferograms, the series and the layers, and it solves a pixel only where
  every date has a valid interferogram; pixels that are whole in both are compared.
- For variance weights it tabulates the variance in steps of 0.005 of coherence from a sum over 200 phases, holds
  coherence below 0.95, and divides the product of the looks by 1.94 unless ``NCORRLOOKS`` is given.
- Its time axis has the hour of the acquisition; differences of times, and so rates, are the same.
- Its ramps are plain least squares; this package's chain leaves out what moves unless told not to.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import insar
from insar.corrections.base import SeriesSample
from insar.corrections.ramp import Deramp, RampCorrection
from insar.dem_error import date_baselines, view_geometry
from insar.grid import RowCol
from insar.rates import RateFitter
from insar.series import TimeSeries
from insar.stack import Stack
from insar.timefunctions import parse_model

REFERENCE = RowCol(31, 19)
LOOKS = 20
SERIES_TOLERANCE_M = 1e-4
"""What MintPy's tabulated variances may change."""
ROUNDING_M = 1e-6
"""What single precision may change where both do the same."""


@dataclass(frozen=True, slots=True)
class Mintpy:
    """MintPy's commands, and the folder they work in."""

    commands: Path
    folder: Path

    def run(self, command: str, *arguments: object) -> None:
        done = subprocess.run(
            [self.commands / command, *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-1500:]}\n{done.stderr[-1500:]}"

    def read(self, name: str, dataset: str) -> NDArray[np.float64]:
        """A dataset of one of its files, its zeros as they are."""
        with h5py.File(self.folder / name) as file:
            return np.asarray(file[dataset][()], np.float64)


@pytest.fixture(scope="module")
def commands() -> Path:
    named = os.environ.get("MINTPY_BIN")
    if not named or not (Path(named) / "ifgram_inversion.py").is_file():
        pytest.skip("MintPy's commands not found (set MINTPY_BIN to their folder)")
    return Path(named).resolve()


@pytest.fixture(scope="module")
def mexico(shared_data: Path) -> Stack:
    return insar.open_stack(shared_data / "mexico_sentinel1" / "isce_tops")


@pytest.fixture(scope="module")
def inputs(mexico: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the stack and its geometry as MintPy's load_data.py would write them."""
    folder = tmp_path_factory.mktemp("inputs")
    attributes = _attributes(mexico)
    with h5py.File(folder / "ifgramStack.h5", "w") as file:
        file.attrs.update({**attributes, "FILE_TYPE": "ifgramStack", "UNIT": "radian"})
        file["date"] = np.array(
            [[f"{day:%Y%m%d}".encode() for day in (pair.reference, pair.secondary)] for pair in mexico.pairs], "S8"
        )
        file["bperp"] = mexico.perpendicular_baselines_m.astype(np.float32)
        file["dropIfgram"] = np.ones(len(mexico.pairs), bool)
        file["unwrapPhase"] = np.nan_to_num(np.asarray(mexico.unwrapped_phase))
        file["coherence"] = np.nan_to_num(np.asarray(mexico.coherence))
    with h5py.File(folder / "geometryRadar.h5", "w") as file:
        file.attrs.update({**attributes, "FILE_TYPE": "geometry", "UNIT": "1"})
        for name in ("latitude", "longitude", "height"):
            file[name] = np.asarray(getattr(mexico.geometry, name), np.float32)
        file["incidenceAngle"] = np.asarray(mexico.geometry.incidence_angle, np.float32)
        incidence = np.radians(np.asarray(mexico.geometry.incidence_angle, np.float64))
        file["slantRangeDistance"] = (_range_times_sine_m(mexico) / np.sin(incidence)).astype(np.float32)
    return folder


def _range_times_sine_m(stack: Stack) -> NDArray[np.float64]:
    return view_geometry(stack).range_times_sine_m(slice(None), slice(None), stack.shape)


def _attributes(stack: Stack) -> dict[str, str]:
    acquisition = stack.acquisition
    values: dict[str, object] = {
        "LENGTH": stack.shape[0],
        "WIDTH": stack.shape[1],
        "WAVELENGTH": stack.wavelength_m,
        "ORBIT_DIRECTION": "ASCENDING",
        "PROCESSOR": "isce",
        "PLATFORM": "Sen",
        "ANTENNA_SIDE": -1,
        "HEADING": acquisition.heading_deg,
        "CENTER_LINE_UTC": acquisition.center_line_utc_s,
        "STARTING_RANGE": acquisition.starting_range_m,
        "RANGE_PIXEL_SIZE": acquisition.range_pixel_size_m,
        "AZIMUTH_PIXEL_SIZE": acquisition.azimuth_pixel_size_m,
        "EARTH_RADIUS": acquisition.earth_radius_m,
        "HEIGHT": acquisition.platform_height_m,
        "RLOOKS": LOOKS,
        "ALOOKS": 1,
        "NCORRLOOKS": LOOKS,
        "START_DATE": f"{stack.dates[0]:%Y%m%d}",
        "END_DATE": f"{stack.dates[-1]:%Y%m%d}",
        "REF_Y": REFERENCE.row,
        "REF_X": REFERENCE.col,
    }
    return {name: str(value) for name, value in values.items()}


def _inverted(commands: Path, inputs: Path, folder: Path, weights: str) -> Mintpy:
    peer = Mintpy(commands, folder)
    (folder / "none.txt").touch()
    (folder / "ifgramStack.h5").write_bytes((inputs / "ifgramStack.h5").read_bytes())  # it writes into its input
    peer.run("ifgram_inversion.py", "ifgramStack.h5", "-w", weights, "-t", "none.txt")
    return peer


@pytest.fixture(scope="module")
def unweighted(commands: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Mintpy:
    return _inverted(commands, inputs, tmp_path_factory.mktemp("unweighted"), "no")


@pytest.fixture(scope="module")
def weighted(commands: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Mintpy:
    return _inverted(commands, inputs, tmp_path_factory.mktemp("weighted"), "var")


@pytest.fixture(scope="module")
def series(inputs: Path) -> TimeSeries:
    return insar.invert(insar.open_stack(inputs / "ifgramStack.h5"), reference=REFERENCE)


def _whole(series: TimeSeries, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(row, col): pixels that both programs have solved from a connected network."""
    whole: NDArray[np.bool_] = (series.layers["subsets"] == 1) & np.any(theirs != 0.0, axis=0)
    assert whole.mean() > 0.9
    return whole


def test_unweighted_series_agree(series: TimeSeries, unweighted: Mintpy) -> None:
    theirs = unweighted.read("timeseries.h5", "timeseries")
    difference = np.abs(series.displacement_m - theirs)[:, _whole(series, theirs)]
    assert difference.max() < ROUNDING_M


def test_variance_weighted_series_agree(inputs: Path, weighted: Mintpy) -> None:
    stack = insar.open_stack(inputs / "ifgramStack.h5")
    ours = insar.invert(stack, weights="variance", looks=LOOKS, reference=REFERENCE)
    theirs = weighted.read("timeseries.h5", "timeseries")
    difference = np.abs(ours.displacement_m - theirs)[:, _whole(ours, theirs)]
    assert difference.max() < SERIES_TOLERANCE_M
    # The weights matter: without them the series is another.
    plain = insar.invert(stack, reference=REFERENCE)
    apart = np.abs(plain.displacement_m - theirs)[:, _whole(ours, theirs)]
    assert np.median(apart) > 10 * np.median(difference)


def test_temporal_coherence_agrees(series: TimeSeries, unweighted: Mintpy) -> None:
    theirs = unweighted.read("temporalCoherence.h5", "temporalCoherence")
    whole = _whole(series, unweighted.read("timeseries.h5", "timeseries"))
    np.testing.assert_allclose(series.layers["temporal_coherence"][whole], theirs[whole], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("model", "options"), [("linear", ()), ("linear+annual", ("--periodic", "1.0"))])
def test_rate_and_its_standard_deviation_agree(
    series: TimeSeries, unweighted: Mintpy, model: str, options: tuple[str, ...]
) -> None:
    name = f"velocity_{model}.h5"
    unweighted.run("timeseries2velocity.py", "timeseries.h5", "-o", name, "-t", "none.txt", *options)
    rate = insar.fit_velocity(series, model=model)
    whole = _whole(series, unweighted.read("timeseries.h5", "timeseries"))
    for ours, dataset in ((rate.velocity, "velocity"), (rate.velocity_std, "velocityStd")):
        np.testing.assert_allclose(ours[whole], unweighted.read(name, dataset)[whole], rtol=0, atol=ROUNDING_M)


@pytest.mark.parametrize(("model", "order"), [("linear", 1), ("linear+poly:2", 2)])
def test_dem_error_agrees(
    mexico: Stack, series: TimeSeries, unweighted: Mintpy, inputs: Path, model: str, order: int
) -> None:
    # Both mean the height of the DEM minus the true height: MintPy adds baseline / (range sin incidence) times it to
    # the series, with topsStack's baselines, which are positive at the larger look angle.
    unweighted.run(
        "dem_error.py",
        "timeseries.h5",
        *("-g", inputs / "geometryRadar.h5", "-p", order, "-o", "corrected.h5", "--dem-err-file", "demErr.h5"),
    )
    whole = _whole(series, unweighted.read("timeseries.h5", "timeseries"))
    corrected = series.displacement_m.copy()  # `fit` takes height errors out in place
    fitter = RateFitter(series.dates, model=parse_model(model), baselines_m=date_baselines(mexico))
    rate = fitter.fit(corrected, range_times_sine_m=_range_times_sine_m(mexico))
    assert rate.dem_error is not None
    theirs = unweighted.read("demErr.h5", "dem")[whole]
    assert np.ptp(theirs) > 20.0
    np.testing.assert_allclose(rate.dem_error[whole], theirs, rtol=0, atol=1e-3)
    theirs = unweighted.read("corrected.h5", "timeseries")
    np.testing.assert_allclose(corrected[:, whole], theirs[:, whole], rtol=0, atol=ROUNDING_M)


@pytest.mark.parametrize("surface", [Deramp.LINEAR, Deramp.QUADRATIC])
def test_ramp_agrees(series: TimeSeries, unweighted: Mintpy, surface: Deramp) -> None:
    # MintPy's is a plain least-squares surface, here over the whole scene, made relative to the reference point. It
    # leaves that point out of the fit, because its series is 0.
    unweighted.run("remove_ramp.py", "timeseries.h5", "-m", "no", "-s", surface, "-o", "flat.h5")
    before = unweighted.read("timeseries.h5", "timeseries")
    rows, cols = np.nonzero(before.mean(axis=0))
    assert len(rows) > 0.9 * before[0].size
    sample = SeriesSample(series.dates, rows, cols, before[:, rows, cols], np.ones(len(rows)))
    ramp = RampCorrection(before.shape[1:], surface, robust=False).fit(sample)
    apparent = ramp.apparent_displacement(slice(None), slice(None))
    apparent -= apparent[:, REFERENCE.row, REFERENCE.col][:, None, None]
    whole = _whole(series, before)
    ours = (series.displacement_m - apparent)[:, whole]
    theirs = unweighted.read("flat.h5", "timeseries")[:, whole]
    assert np.abs(theirs - before[:, whole]).max() > 0.01
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING_M)
