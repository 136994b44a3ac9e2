"""Recorded outputs of published functions, and drawn maps whose joints are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .conftest import SHARED

_HERE = Path(__file__).parent / "golden" / "functions"
_AWAY = SHARED / "goldens" / "functions"


def recorded(name: str) -> dict[str, np.ndarray]:
    """The arrays of a golden; the test that asks is skipped where it is nowhere."""
    for folder in (_HERE, _AWAY):
        if (folder / f"{name}.npz").is_file():
            with np.load(folder / f"{name}.npz") as arrays:
                return dict(arrays)
    pytest.skip(f"the golden {name} (../shared/goldens) is not here")


def gaussians(places: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Maps (N, K, H, W) float64 of height 1 around places (N, K, 2) x y cells; size is (width, height)."""
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    squared = (x - places[..., 0, None, None]) ** 2 + (y - places[..., 1, None, None]) ** 2
    return np.exp(-squared / (2 * sigma**2))
