"""Every stack can be sent to another process: what is open is opened again there, and no pixel travels."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import fields

import h5py
import numpy as np
import pytest
from chains import whole_chain

import insar
from insar.grid import RowCol
from insar.readers.hdf5 import ChunkedCube, LibraryCube
from insar.shipment import pack
from insar.simulate import LAYOUTS, SimulationParameters, simulate_scene, write_layout

REAL = (
    "mexico_sentinel1/isce_tops",
    "mexico_sentinel1/snap",
    "sydney_envisat/isce_stripmap",
    "sydney_envisat/roipac",
    "sydney_envisat/gamma",
    "galapagos_coherence",
)

BYTES_PER_PAIR = 1500
"""Names of the files of one pair, and numbers that say how to read them."""


@pytest.fixture(scope="module")
def scene():
    return simulate_scene(SimulationParameters(seed=5, rows=64, cols=72, acquisitions=8, creeping_slopes=1))


@pytest.fixture(scope="module", params=sorted(LAYOUTS))
def simulated(request, scene, tmp_path_factory):
    return insar.open_stack(write_layout(scene, tmp_path_factory.mktemp("pickling") / "stack", request.param))


def _arrays(stack):
    """Everything that a stack can read, its first rows."""
    arrays = {}
    for name in ("unwrapped_phase", "coherence", "connected_components"):
        cube = getattr(stack, name)
        if cube is not None:
            arrays[name] = cube.read(slice(3, 9), slice(2, None))
    for entry in fields(stack.geometry):
        plane = getattr(stack.geometry, entry.name)
        if plane is not None:
            arrays[entry.name] = plane.read(slice(3, 9), slice(2, None))
    return arrays


def _require_same_pixels(stack):
    expected = _arrays(stack)  # files are open now, and tables of chunks are made
    sent = pickle.dumps(stack)
    assert len(sent) < 6000 + BYTES_PER_PAIR * len(stack.pairs)
    again = pickle.loads(sent)
    found = _arrays(again)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert again.pairs == stack.pairs
    assert again.grid == stack.grid
    np.testing.assert_array_equal(again.perpendicular_baselines_m, stack.perpendicular_baselines_m)


def test_simulated_stacks(simulated):
    _require_same_pixels(simulated)
    _require_same_pixels(simulated.select(range(0, len(simulated.pairs), 2)))


@pytest.mark.parametrize("name", REAL)
def test_real_stacks(name, shared_data):
    _require_same_pixels(insar.open_stack(shared_data / name))


def test_another_process_inverts_the_same_bytes(simulated, tmp_path):
    chain = whole_chain(simulated, RowCol(30, 30))
    rows = slice(0, 20)
    expected = chain(rows)
    parcel = tmp_path / "parcel"
    parcel.write_bytes(pickle.dumps(pack(chain)))
    code = (
        "import pickle, sys; from insar.shipment import compute_block\n"
        "result = compute_block(pickle.load(open(sys.argv[1], 'rb')), slice(0, 20))\n"
        "sys.stdout.buffer.write(pickle.dumps(result))"
    )
    child = subprocess.run([sys.executable, "-c", code, str(parcel)], capture_output=True, check=True, cwd="/")
    found = pickle.loads(child.stdout)
    assert found.displacement_m.tobytes() == expected.displacement_m.tobytes()
    assert found.layers.keys() == expected.layers.keys()
    for name, values in expected.layers.items():
        assert found.layers[name].tobytes() == values.tobytes()


def test_no_kernel_travels(simulated):
    sent = pickle.dumps(whole_chain(simulated, RowCol(30, 30)))
    assert b"numba" not in sent
    assert len(sent) < 20_000 + 2 * BYTES_PER_PAIR * len(simulated.pairs)


@pytest.mark.parametrize(("compression", "kind"), [(None, ChunkedCube), ("gzip", LibraryCube)])
def test_chunked_datasets(known_stack, tmp_path, compression, kind):
    path = tmp_path / "ifgramStack.h5"
    with h5py.File(known_stack.path) as source, h5py.File(path, "w") as sink:
        sink.attrs.update(source.attrs)
        for name, dataset in source.items():
            chunks = (1, 1, 1) if dataset.ndim == 3 else None
            sink.create_dataset(
                name, data=dataset[()], chunks=chunks, compression=compression if dataset.ndim == 3 else None
            )
    stack = insar.open_stack(path)
    assert isinstance(stack.unwrapped_phase.source, kind)
    _require_same_pixels(stack)
