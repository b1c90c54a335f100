"""The one way kernels are compiled: releasing the GIL, cached on disk, IEEE arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile with numba; without fast-math, so that results do not depend on how pixels fall into blocks."""
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
