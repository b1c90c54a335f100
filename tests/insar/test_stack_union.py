"""Stacks of several folders as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine

from insar.errors import InputError
from insar.readers import open_stack
from insar.stack_union import join_stacks


def test_joined_parts_equal_the_whole(known_stack):
    whole = open_stack(known_stack.path)
    early, late = whole.select(range(12)), whole.select(range(9, len(whole.pairs)))
    joined = join_stacks([late, early])
    assert joined.pairs == whole.pairs
    np.testing.assert_array_equal(joined.perpendicular_baselines_m, whole.perpendicular_baselines_m)
    np.testing.assert_array_equal(joined.unwrapped_phase[:, 3:9, 2:20], whole.unwrapped_phase[:, 3:9, 2:20])
    np.testing.assert_array_equal(np.asarray(joined.coherence.select([3, 14])), np.asarray(whole.coherence)[[3, 14]])
    assert "3 interferograms are in more than one stack" in joined.notes[-1]


def test_a_quantity_that_one_stack_lacks_is_unknown_there(known_stack):
    whole = open_stack(known_stack.path)
    bare = replace(whole.select(range(5, len(whole.pairs))), coherence=None)
    joined = join_stacks([whole.select(range(5)), bare])
    coherence = np.asarray(joined.coherence)
    np.testing.assert_array_equal(coherence[:5], np.asarray(whole.coherence)[:5])
    assert np.isnan(coherence[5:]).all()
    assert join_stacks([bare, bare]).coherence is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelength_m": 0.236}, "the wavelength of"),
        ({"grid": "shifted"}, "the grid of"),
        ({"grid": "other crs"}, "EPSG:32612"),
    ],
)
def test_stacks_of_other_scenes_are_refused(known_stack, change, message):
    whole = open_stack(known_stack.path)
    if "grid" in change:
        shifted = Affine(30, 0, 500030, 0, -30, 4000000)
        other = {"shifted": {"transform": shifted}, "other crs": {"crs": "EPSG:32612"}}[change["grid"]]
        change = {"grid": replace(whole.grid, **other)}
    with pytest.raises(InputError, match=message):
        join_stacks([whole, replace(whole, **change)])
