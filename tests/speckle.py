"""Simulated speckle, and coherence in plain NumPy and float64."""

from __future__ import annotations

import numpy as np


def circular(random, *shape):
    return (random.normal(size=shape) + 1j * random.normal(size=shape)) / np.sqrt(2.0)


def speckle_pair(random, shape, coherence):
    """Two images (row, col) complex64 of unit intensity and known coherence."""
    first = circular(random, *shape)
    second = coherence * first + np.sqrt(1.0 - coherence**2) * circular(random, *shape)
    return first.astype(np.complex64), second.astype(np.complex64)


def plain_coherence(first, second, window, looks=(1, 1), least_share=0.5):
    """Every window by itself, in float64."""
    first, second = first.astype(np.complex128), second.astype(np.complex128)
    valid = np.isfinite(first) & np.isfinite(second) & (first != 0) & (second != 0)
    first, second = np.where(valid, first, 0), np.where(valid, second, 0)
    rows, cols = first.shape[0] // looks[0], first.shape[1] // looks[1]
    result = np.full((rows, cols), np.nan)
    for row in range(rows):
        for col in range(cols):
            down = slice(max(row - window[0] // 2, 0) * looks[0], min(row + window[0] // 2 + 1, rows) * looks[0])
            right = slice(max(col - window[1] // 2, 0) * looks[1], min(col + window[1] // 2 + 1, cols) * looks[1])
            own = valid[row * looks[0] : (row + 1) * looks[0], col * looks[1] : (col + 1) * looks[1]]
            if not own.any() or valid[down, right].mean() < least_share:
                continue
            one, other = first[down, right], second[down, right]
            power = np.sum(np.abs(one) ** 2) * np.sum(np.abs(other) ** 2)
            result[row, col] = abs(np.sum(one * np.conj(other))) / np.sqrt(power)
    return result


def with_gaps(random, image, share=0.2):
    """The image with pixels of 0, NaN and infinity, and a hole."""
    image = image.copy()
    kinds = random.uniform(size=image.shape)
    image[kinds < share] = 0
    image[kinds < share / 2] = np.nan
    image[kinds < share / 4] = np.inf
    image[3:12, 5:16] = 0
    return image


def speckle_history(random, shape, covariance):
    """(image, ...) complex64 of a given covariance of the images."""
    root = np.linalg.cholesky(covariance)
    return np.tensordot(root, circular(random, len(root), *shape), axes=1).astype(np.complex64)
