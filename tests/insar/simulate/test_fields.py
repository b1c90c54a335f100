from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.special

from insar.simulate.fields import Outline, correlated_field, smoothstep


def matern(distance: float, scale: float, exponent: float) -> float:
    order = exponent / 2 - 1
    r = distance / scale
    return float(2 ** (1 - order) / scipy.special.gamma(order) * r**order * scipy.special.kv(order, r))


@pytest.mark.parametrize(("length", "exponent"), [(3.0, 11 / 3), (6.0, 3.2), (5.0, 4.0)])
def test_variance_is_one_and_correlation_is_materns(length: float, exponent: float) -> None:
    rng = np.random.default_rng(3)
    fields = np.stack([correlated_field(rng, (120, 150), length, exponent) for _ in range(60)])
    assert fields.var() == pytest.approx(1.0, abs=0.03)
    for lag in (4, 8):
        along_rows = (fields[:, :, lag:] * fields[:, :, :-lag]).mean()
        along_cols = (fields[:, lag:, :] * fields[:, :-lag, :]).mean()
        assert along_rows == pytest.approx(matern(lag, length, exponent), abs=0.03)
        assert along_cols == pytest.approx(matern(lag, length, exponent), abs=0.03)


def test_opposite_edges_are_independent() -> None:
    rng = np.random.default_rng(4)
    fields = np.stack([correlated_field(rng, (40, 60), 4.0, 11 / 3) for _ in range(200)])
    wrapped = (fields[:, :, 0] * fields[:, :, -1]).mean()
    assert wrapped == pytest.approx(0.0, abs=0.05)


def test_smoothstep_ends_level() -> None:
    values = smoothstep(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]))
    np.testing.assert_allclose(values, [0.0, 0.0, 0.5, 1.0, 1.0])


def test_outline_without_lobes_is_an_ellipse_along_its_azimuth() -> None:
    east = Outline(10.0, 20.0, 8.0, 3.0, 90.0, (), ())
    rows, cols = np.array([10.0, 10.0, 13.0, 10.0]), np.array([20.0, 28.0, 20.0, 12.0])
    np.testing.assert_allclose(east.radius(rows, cols), [0.0, 1.0, 1.0, 1.0], atol=1e-12)
    north_east = Outline(0.0, 0.0, 4.0, 2.0, 45.0, (), ())
    step = 4.0 / np.sqrt(2.0)
    np.testing.assert_allclose(north_east.radius(np.array([-step]), np.array([step])), [1.0])


def test_outlines_are_connected_and_of_the_size_asked_for() -> None:
    rows, cols = np.arange(200.0)[:, None], np.arange(200.0)[None, :]
    for seed in range(30):
        outline = Outline.draw(np.random.default_rng(seed), 100.0, 100.0, 30.0, 20.0, 30.0)
        inside = outline.radius(rows, cols) < 1.0
        assert scipy.ndimage.label(inside)[1] == 1
        assert inside.sum() == pytest.approx(np.pi * 30 * 20, rel=0.4)


def test_far_away_is_infinitely_far() -> None:
    outline = Outline(10.0, 10.0, 5.0, 5.0, 0.0, (), ())
    assert np.isinf(outline.radius(np.array([500.0]), np.array([10.0]))).all()
