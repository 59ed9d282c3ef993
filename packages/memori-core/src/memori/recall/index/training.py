"""Training in short steps, for a thread that stops, or lets a fork pass, between any two of them."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

STEP = 2048
"""Vectors that one step looks at: a tenth of a second at most."""


def clusters(
    sample: NDArray[np.float32], count: int, *, rounds: int = 6, seed: int = 7
) -> Generator[None, None, NDArray[np.float32]]:
    """Spherical k-means: return `count` unit centres of the sample, shape (count, dimension).

    It yields between steps. A centre that no vector chose becomes one of the vectors (Dhillon and Modha, 2001).
    """
    random = np.random.default_rng(seed)
    centres = sample[random.choice(len(sample), count, replace=False)]  # nosec B311 - no secret
    for _ in range(rounds):
        sums = np.zeros_like(centres)
        chosen = np.zeros(count, dtype=np.int64)
        for start in range(0, len(sample), STEP):
            vectors = sample[start : start + STEP]
            nearest = (vectors @ centres.T).argmax(axis=1)
            order = np.argsort(nearest, kind="stable")
            labels, starts = np.unique(nearest[order], return_index=True)
            sums[labels] += np.add.reduceat(vectors[order], starts)
            chosen += np.bincount(nearest, minlength=count)
            yield
        lost = np.flatnonzero(chosen == 0)
        sums[lost] = sample[random.integers(len(sample), size=len(lost))]
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-12))
    return centres
