from __future__ import annotations

import numpy as np

from insar.simulate.defects import draw_missing, label_components


def test_components_are_numbered_by_size() -> None:
    coherent = np.ones((20, 30), bool)
    coherent[:, 10] = False
    labels = label_components(coherent, [])
    assert (labels[:, 11:] == 1).all()
    assert (labels[:, :10] == 2).all()
    assert not labels[:, 10].any()


def test_jump_is_cut_out_and_cuts_what_is_around_it() -> None:
    across = np.zeros((20, 30), bool)
    across[8:11] = True
    labels = label_components(np.ones((20, 30), bool), [across])
    assert [int(labels[row, 0]) for row in (0, 9, 15)] == [2, 3, 1]
    speck = np.zeros((60, 60), bool)
    speck[30, 30] = True  # smaller than what unwrappers call a component
    labels = label_components(np.ones((60, 60), bool), [speck])
    assert labels[30, 30] == 0
    assert (labels[~speck] == 1).all()


def test_specks_belong_to_no_component() -> None:
    coherent = np.zeros((60, 60), bool)
    coherent[:30] = True
    coherent[50, 50] = True
    labels = label_components(coherent, [])
    assert (labels[:30] == 1).all()
    assert not labels[30:].any()


def test_components_fit_into_a_byte() -> None:
    coherent = np.ones((999, 10), bool)
    coherent[2::3] = False  # 333 stripes, each just large enough
    labels = label_components(coherent, [])
    assert labels.dtype == np.uint8
    assert len(np.unique(labels[labels > 0])) == 250
    assert (np.bincount(labels.ravel())[1:] == 20).all()  # no label is used twice


def test_missing_samples_where_all_is_perfect_are_spread_evenly() -> None:
    missing = draw_missing(np.random.default_rng(0), np.ones((200, 200), np.float32), 0.1)
    assert abs(missing.mean() - 0.1) < 0.005
