"""From options to corrections: which, in what order, and what is refused before anything is computed."""

from datetime import date

import numpy as np
import pytest

from insar.corrections.build import Troposphere, plan_corrections
from insar.corrections.ramp import Deramp
from insar.errors import InputError, MissingInputError, OptionError

from .scenes import DATES, geographic, hills, make_stack

SHAPE = (12, 10)


@pytest.fixture
def stack():
    return make_stack(geographic(*SHAPE), height=hills(*SHAPE), incidence_angle=np.full(SHAPE, 40.0))


def test_nothing_is_asked_for(stack):
    assert plan_corrections(stack, DATES) == []


def test_height_comes_before_the_ramp_and_with_its_surface(stack):
    for deramp, beside in (("none", "linear"), ("linear", "linear"), ("quadratic", "quadratic")):
        planned = plan_corrections(stack, DATES, deramp=Deramp(deramp), troposphere=Troposphere.HEIGHT)
        assert [step.name for step in planned] == (["height"] if deramp == "none" else ["height", "ramp"])
        assert planned[0].surface == beside


def test_folders_that_are_needed(stack):
    for troposphere, option in ((Troposphere.GACOS, "--gacos"), (Troposphere.ERA5, "--era5")):
        with pytest.raises(OptionError, match=f"{option}: required the folder"):
            plan_corrections(stack, DATES, troposphere=troposphere)


def test_maps_that_are_absent_are_said_at_once(stack, tmp_path):
    with pytest.raises(MissingInputError, match="found none for 12: 20220103, 20220115"):
        plan_corrections(stack, DATES, troposphere=Troposphere.GACOS, gacos=tmp_path)


def test_heights_that_are_absent_are_said_at_once():
    with pytest.raises(InputError, match="the height of each pixel"):
        plan_corrections(make_stack(geographic(*SHAPE)), DATES, troposphere=Troposphere.HEIGHT)


def test_gacos_before_the_ramp(stack, shared_data):
    days = (date(2017, 3, 17), date(2017, 4, 10))
    folder = shared_data / "format_samples" / "gacos"
    planned = plan_corrections(stack, days, deramp=Deramp.LINEAR, troposphere=Troposphere.GACOS, gacos=folder)
    assert [step.name for step in planned] == ["gacos", "ramp"]
    assert [delay.day for delay in planned[0].delays] == list(days)


def test_tides_without_a_time_of_day_are_refused_at_once(stack):
    seen = make_stack(stack.grid, incidence_angle=np.full(SHAPE, 40.0), azimuth_angle=np.full(SHAPE, -100.0))
    with pytest.raises(InputError, match="the time of day of the acquisitions"):
        plan_corrections(seen, DATES, tides=True)


def test_tides_come_first(stack):
    pytest.importorskip("erfa")
    seen = make_stack(stack.grid, incidence_angle=np.full(SHAPE, 40.0), azimuth_angle=np.full(SHAPE, -100.0))
    planned = plan_corrections(seen, DATES, deramp=Deramp.LINEAR, tides=True, time_of_day_s=43_200.0)
    assert [step.name for step in planned] == ["solid_earth_tides", "ramp"]
    assert planned[0].time_of_day_s == 43_200.0
