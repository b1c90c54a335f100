"""What travels to the workers of a cluster: the object that computes blocks, once packed, and its verdict on each."""

from __future__ import annotations

import io
import pickle
import platform
import threading
import uuid
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from insar.errors import InsarError, OptionError

KEPT_OBJECTS = 4
"""Objects a worker keeps unpacked: their open files and what they found out are used again in the next block."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """An object packed for another process, with what it needs there."""

    token: str
    versions: dict[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in the input: certain, so that trying again on another worker would be in vain."""

    error: InsarError


def pack(compute: Callable[[slice], Any]) -> Parcel:
    """Pack an object that computes blocks; it need not know that it will be copied."""
    import cloudpickle

    class Packer(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, Path) and not value.is_absolute():
                # Relative to the folder of this process, which means nothing in another.
                return type(value), (str(value.absolute()),)
            if hasattr(value, "py_func") and hasattr(value, "signatures"):
                # A compiled kernel would travel by value, and be compiled again by every worker.
                return _kernel, (value.__module__, value.__qualname__)
            return super().reducer_override(value)

    target = io.BytesIO()
    Packer(target, protocol=pickle.HIGHEST_PROTOCOL).dump(compute)
    content = zlib.compress(target.getvalue(), 1)  # hundreds of paths that are nearly the same
    # A token of its own: an equal object of an earlier run may hold files open that have changed since.
    return Parcel(uuid.uuid4().hex, versions(), content)


def _kernel(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def versions() -> dict[str, str]:
    """Versions that must be the same everywhere, so that results are."""
    import numba
    import numpy

    from insar.version import VERSION

    return {
        "scarp": VERSION,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "numba": numba.__version__,
        "numpy": numpy.__version__,
    }


def worker_facts(files: Sequence[str]) -> dict[str, Any]:
    """On a worker: its versions, its machine and which of the files it cannot see."""
    return {
        "versions": versions(),
        "machine": platform.node(),
        "missing": [name for name in files if not Path(name).exists()],
    }


def compute_block(parcel: Parcel, rows: slice) -> Any:
    """On a worker: compute one block; an error in the input comes back as a `Refusal`."""
    try:
        return _unpacked(parcel)(rows)
    except InsarError as error:
        return Refusal(error)


def require_versions(found: dict[str, str], required: dict[str, str], place: str) -> None:
    """Refuse a worker whose versions are others.

    Raises
    ------
    OptionError
        Names what differs.
    """
    other = [name for name in required if found.get(name) != required[name]]
    if other:
        raise OptionError(
            f"--cluster: the worker on {place}",
            required=", ".join(f"{name} {required[name]}" for name in other) + ", as here",
            found=", ".join(f"{name} {found.get(name, 'absent')}" for name in other),
            remedy="Start the workers in the same environment as this command",
        )


_objects: OrderedDict[str, Callable[[slice], Any]] = OrderedDict()
_forgotten: deque[str] = deque(maxlen=64)
_objects_lock = threading.Lock()


def _unpacked(parcel: Parcel) -> Callable[[slice], Any]:
    from threadpoolctl import threadpool_limits

    with _objects_lock:
        compute = _objects.pop(parcel.token, None)
        if compute is None:
            require_versions(versions(), parcel.versions, platform.node())
            # For good: what runs side by side in a worker are blocks, not the threads of linear algebra.
            threadpool_limits(limits=1, user_api="blas")
            compute = pickle.loads(zlib.decompress(parcel.content))  # noqa: S301  (the client's own)
        if parcel.token not in _forgotten:  # else a straggler of a run that is over
            _objects[parcel.token] = compute
            while len(_objects) > KEPT_OBJECTS:
                _objects.popitem(last=False)
        return compute


def forget(token: str) -> None:
    """On a worker: let go of an object and of the files it holds open."""
    with _objects_lock:
        _objects.pop(token, None)
        _forgotten.append(token)
