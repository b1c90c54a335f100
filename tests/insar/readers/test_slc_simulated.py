"""Simulated images of every layout, read back bit for bit."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from insar.readers.slc import empty_images, looks_like_slcs, open_slcs
from insar.simulate import EVENT_LAYOUTS, EventParameters
from insar.simulate.event_speckle import draw_images
from insar.simulate.layouts.event_base import EventLayout
from insar.windows import ONE_LOOK

PARAMETERS = EventParameters(rows=200, cols=400, landslides=2, acquisitions_before=2, acquisitions_after=1)
OF_IMAGES = sorted(name for name in EVENT_LAYOUTS if "slc" in name)


def whole_images(layout: EventLayout) -> np.ndarray:
    """(image, row, col) as simulated."""
    scene = layout.make(PARAMETERS)
    strips = [np.stack(list(draw_images(scene, strip))) for strip in range(len(scene.strips))]
    return np.concatenate(strips, axis=1).astype(np.complex64)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_simulated_images(name: str, tmp_path: Path) -> None:
    layout = EVENT_LAYOUTS[name]
    layout.write(layout.make(PARAMETERS), tmp_path, lambda done, total: None)
    assert looks_like_slcs([tmp_path])
    slc = open_slcs([tmp_path])
    assert slc.processor == name.split("-", maxsplit=1)[0]
    assert slc.dates == PARAMETERS.dates
    assert slc.wavelength_m == pytest.approx(PARAMETERS.wavelength_m, rel=1e-9)
    assert slc.polarisation == (None if "stripmap" in name else PARAMETERS.polarisation)
    assert empty_images(slc) == ()
    expected = whole_images(layout)
    assert slc.shape == expected.shape[1:]
    everything = (np.arange(len(slc.dates)), slice(0, slc.shape[0]), slice(0, slc.shape[1]))
    np.testing.assert_array_equal(slc.read(*everything), expected)
    np.testing.assert_array_equal(slc.read(np.array([1]), slice(30, 99), slice(7, 300))[0], expected[1, 30:99, 7:300])
    again = pickle.loads(pickle.dumps(slc))
    np.testing.assert_array_equal(again.read(*everything), expected)
    assert slc.geometry_looks == ONE_LOOK
    assert slc.geometry.height is not None
    assert slc.geometry.incidence_angle is not None
    assert slc.in_radar_coordinates == (slc.geometry.latitude is not None) == ("isce" in name)


@pytest.mark.parametrize("name", sorted(set(EVENT_LAYOUTS) - set(OF_IMAGES)))
def test_backscatter_is_no_complex_image(name: str, tmp_path: Path) -> None:
    layout = EVENT_LAYOUTS[name]
    layout.write(layout.make(PARAMETERS), tmp_path, lambda done, total: None)
    assert not looks_like_slcs([tmp_path])
    assert not looks_like_slcs(sorted(tmp_path.glob("backscatter/*")))
