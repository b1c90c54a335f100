"""What must be known of the whole scene before its blocks can be worked on one by one."""

from __future__ import annotations

from insar.blocks import Progress, no_progress
from insar.chain import BlockChain, sample_series
from insar.corrections.build import plan_corrections
from insar.corrections.chain import fit_corrections
from insar.dem_error import date_baselines, view_geometry
from insar.inversion import BlockInverter
from insar.planning import Plan
from insar.rates import RateFitter
from insar.reference import reference_phase
from insar.timefunctions import parse_model
from insar.unwrapping import UnwrapCorrection
from insar.unwrapping_plan import plan_unwrapping


def prepare_chain(plan: Plan, *, with_rate: bool, progress: Progress = no_progress) -> BlockChain:
    """Estimate what the scene as a whole says: offsets of regions, delays, ramps.

    Parameters
    ----------
    plan
        Stack, network and reference.
    with_rate
        Whether the model of time is fitted.
    progress
        Called as the work goes on.

    Raises
    ------
    InsarError
        If a correction needs what the stack does not have, or the dates do not tell the terms of the model apart.
    """
    settings, stack = plan.settings, plan.stack

    unwrapping = None
    if with_rate or settings.unwrap_correction is not UnwrapCorrection.NONE:
        pixel = plan.reference.pixel
        unwrapping = plan_unwrapping(
            stack,
            settings.unwrap_correction,
            pixel,
            reference_phase(stack, pixel),
            survey=plan.survey,
            workers=plan.workers,
            progress=progress,
        )
    inverter = BlockInverter(
        stack,
        plan.reference.pixel,
        weighting=settings.weights,
        looks=settings.looks,
        norm=settings.norm,
        reference_size=settings.reference_size,
        unwrapping=unwrapping,
        with_mean_coherence=with_rate,
    )
    rates = view = None
    if settings.dem_error:
        view = view_geometry(stack, settings.incidence)
    if with_rate or settings.dem_error:
        # Dates that do not tell the terms apart are refused before the work starts, not in its first block.
        rates = RateFitter(
            inverter.dates,
            model=parse_model(settings.model),
            uncertainty=settings.uncertainty,
            baselines_m=date_baselines(stack) if settings.dem_error else None,
            recent_days=settings.recent_days,
            false_alarm_rate=settings.false_alarm_rate,
        )
    steps = plan_corrections(
        stack,
        inverter.dates,
        deramp=settings.deramp,
        troposphere=settings.troposphere,
        gacos=settings.gacos,
        era5=settings.era5,
        tides=settings.solid_earth_tides,
        incidence_deg=settings.incidence,
        time_of_day_s=settings.time_of_day_s,
    )
    corrections = None
    if steps:
        sample = sample_series(inverter, plan.workers)
        corrections = fit_corrections(stack, steps, sample, inverter.reference_rows, inverter.reference_cols)
    return BlockChain(inverter, corrections, rates, view, with_rate)
