"""The whole work on a block, with nothing that has to be estimated from the scene first."""

from __future__ import annotations

from insar.chain import BlockChain
from insar.grid import RowCol
from insar.inversion import BlockInverter
from insar.rates import RateFitter
from insar.stack import Stack
from insar.unwrapping import ClosureCorrector, UnwrapCorrection
from insar.unwrapping_plan import UnwrapPlan


def whole_chain(stack: Stack, reference: RowCol) -> BlockChain:
    """Closure of loops, inversion, rate and quality."""
    closure = UnwrapPlan(UnwrapCorrection.CLOSURE, ClosureCorrector(stack.pair_dates), None, {})
    inverter = BlockInverter(stack, reference, unwrapping=closure, with_mean_coherence=True)
    return BlockChain(inverter, rates=RateFitter(inverter.dates))
