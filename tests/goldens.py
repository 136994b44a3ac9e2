"""Published networks against recorded outputs, with numbers made by a formula: every layer is checked without weights.

A golden is a folder: manifest.json (keys and shapes of the state dict, gain, shape of the input) and golden.npz
(outputs of the published implementation in float64, some as every n-th number). Small ones stand in
tests/golden/networks, the others in ../shared/goldens/estimators. The formula is that of the goldens' own fill.py,
which may be copied.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from .conftest import SHARED

_HERE = Path(__file__).parent / "golden" / "networks"
_AWAY = SHARED / "goldens" / "estimators"
_CHUNK = 1 << 15  # numbers made at a time: they stay in the processor's cache, five times as fast
_TOLERANCE = 1e-4  # of the largest number of an output, in float32


def golden_folder(name: str) -> Path:
    """Where the golden of a network lies; the test that asks is skipped where it is nowhere."""
    for folder in (_HERE / name, _AWAY / name):
        if (folder / "golden.npz").is_file():
            return folder
    pytest.skip(f"the golden of {name} (../shared/goldens) is not here")


def unit(key: str, n: int, salt: str = "") -> np.ndarray:
    """(n,) float64 in [-0.5, 0.5) that depend on salt and key alone; integers modulo 2^64."""
    step, start = np.uint64(0x9E3779B97F4A7C15), np.uint64(zlib.crc32((salt + key).encode()))
    numbers = np.empty(n)
    with np.errstate(over="ignore"):
        start *= np.uint64(0xD1342543DE82EF95)
        for first in range(0, n, _CHUNK):
            z = np.arange(first + 1, min(first + _CHUNK, n) + 1, dtype=np.uint64) * step + start
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            numbers[first : first + _CHUNK] = (z >> np.uint64(11)) * 2.0**-53 - 0.5
    return numbers


def formula_weights(key: str, shape: Sequence[int], gain: float, salt: str = "") -> torch.Tensor:
    """The values that the formula gives for an entry of a state dict."""
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return torch.zeros(tuple(shape), dtype=torch.int64)
    u = unit(key, int(np.prod(shape)), salt)
    if last == "running_mean" or last.endswith("bias"):
        value = 0.1 * u
    elif last == "running_var":
        value = 1 + 0.5 * (u + 0.5)
    elif last.endswith("weight"):
        value = u * (2 * gain * np.sqrt(3 / np.prod(shape[1:]))) if len(shape) >= 2 else 1 + 0.2 * u
    else:
        value = u
    return torch.from_numpy(value.astype(np.float32).reshape(tuple(shape)))


def sees_people_everywhere(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A state dict from the formula for a published detector."""
    state = {key: formula_weights(key, value.shape, 1.7) for key, value in network.state_dict().items()}
    for key, value in state.items():
        if key == "backbone.backbone.stem.conv.conv.weight":
            value /= 1000  # its input is not normalised
        elif "rtm_reg" in key:
            value += key.endswith("bias")  # boxes reach outwards
        elif "cls_preds" in key and key.endswith("bias"):
            value[0] += 1  # the person is the likeliest class
    return state


def picture(shape: Sequence[int], salt: str = "") -> torch.Tensor:
    """(N, C, H, W) float32 about -1..1: noise and a smooth wave."""
    n, c, y, x = np.ogrid[tuple(slice(length) for length in shape)]
    wave = np.cos(2 * np.pi * (3 * y / shape[2] + 2 * x / shape[3] + c / 3 + n / 5))
    noise = unit("input", int(np.prod(shape)), salt).reshape(tuple(shape))
    return torch.from_numpy((noise + 0.5 * wave).astype(np.float32))


def joints_over_time(shape: Sequence[int], salt: str = "") -> torch.Tensor:
    """(N, T, K, C) float32 from -1 to 1: noise, the input of lifters."""
    return torch.from_numpy((2 * unit("input", int(np.prod(shape)), salt)).astype(np.float32).reshape(tuple(shape)))


def fill(network: torch.nn.Module, name: str) -> dict[str, Any]:
    """Load the formula's numbers into a network, strictly by the keys and shapes of its golden; gives the manifest."""
    manifest = json.loads((golden_folder(name) / "manifest.json").read_text())
    state = {key: formula_weights(key, shape[0], manifest["gain"]) for key, shape in manifest["keys"].items()}
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes == {key: tuple(value.shape) for key, value in state.items()}
    network.load_state_dict(state, strict=True)
    network.eval()
    return manifest


def outputs_by_name(outputs: Any, prefix: str = "out") -> dict[str, torch.Tensor]:
    """Outputs under the goldens' names: out; out0, out1, ...; out00, ...; or the keys of a dict."""
    if isinstance(outputs, torch.Tensor):
        return {prefix: outputs}
    if isinstance(outputs, Mapping):
        return dict(outputs)
    return {
        name: tensor
        for i, output in enumerate(outputs)
        for name, tensor in outputs_by_name(output, f"{prefix}{i}").items()
    }


def check_against_golden(
    network: torch.nn.Module,
    name: str,
    *,
    made_input: Callable[[Sequence[int]], torch.Tensor] = picture,
    double: bool = False,
) -> None:
    """Check that the network, with weights of the formula, has the outputs of the published implementation.

    Args:
        network: fresh, any numbers in it.
        name: the golden's.
        made_input: gives the input of a shape.
        double: in float64 throughout, where float32 would hide the weakest numbers.
    """
    manifest = fill(network, name)
    golden = np.load(golden_folder(name) / "golden.npz")
    image = made_input(manifest["input_shape"])
    if double:
        network, image = network.double(), image.double()
    with torch.inference_mode():
        outputs = outputs_by_name(network(image))
    expected = {key.removeprefix("outshape_") for key in golden.files if key.startswith("outshape_")}
    assert outputs.keys() >= expected
    for output in sorted(expected):
        got = outputs[output].numpy()
        assert got.shape == tuple(golden[f"outshape_{output}"]), output
        expected = golden[f"out_{output}"]
        largest = np.abs(golden[f"outstat_{output}"][2:4]).max()
        error = np.abs(got.ravel()[:: int(golden[f"outstep_{output}"])] - expected).max() / largest
        assert error <= (1e-6 if double else _TOLERANCE), f"{output}: off by {error:.2e} of its largest number"
        total = np.abs(got.sum(dtype=np.float64) - golden[f"outstat_{output}"][0]) / (largest * got.size)
        assert total <= _TOLERANCE, f"{output}: sum off"
