"""Checkpoints of other projects: read without executing code in them, loaded strictly."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from posetrail.caffe_file import read_caffemodel
from posetrail.errors import InputError
from posetrail.files import digest
from posetrail.published import Published
from posetrail.store import published_file, weights_file
from posetrail.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

# Training programs store the state dict under one of these names, beside the optimizer and the epoch. If a file has the
# running mean of the weights (ema) too, that is the published one; in mmengine's files it is `state_dict`.
# VideoPose3D and MotionBERT name it `model_pos`.
_WRAPPERS = ("state_dict", "ema", "model_state_dict", "model", "model_pos", "net", "network", "params", "module")
# Prefixes of all keys: of torch's parallel training, a trainer around the network (Newell), and a Sequential for half
# precision (HigherHRNet).
_PREFIXES = ("module.", "model.module.", "1.")
_HEAD_OF_MMPOSE_0 = re.compile(r"^keypoint_head\.")
_IGNORED = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *("numpy.ndarray", "numpy.dtype", "numpy.random.__RandomState_ctor", "numpy.random._pickle.__randomstate_ctor"),
    *("numpy.random._pickle.__bit_generator_ctor", "numpy.random._mt19937.MT19937"),
)
"""Kinds of objects that training programs store beside the weights, such as a random state. They are not restored."""
_SHOWN = 3  # keys of each kind in an error message


def load_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """Read the state dict of a checkpoint, without the wrappers of training programs.

    Args:
        path: .safetensors, .caffemodel, or a file of torch.save (.pth, .pt, .tar, .ckpt, ...); a pickle that would
            execute code is refused.

    Returns:
        key -> tensor on the CPU, in the order of the file; prefixes of training such as `module.` are removed.

    Raises:
        InputError: the file is missing, damaged, would execute code, or has no state dict.
    """
    path = Path(path)
    return _plain(_unwrapped(_read(path)), path)


def load_part(path: Path | str, part: str) -> dict[str, Tensor] | None:
    """Read one of several state dicts of a checkpoint, such as `model_traj` of VideoPose3D's; None if it has none.

    In .safetensors files the keys of a part start with its name and a point.

    Raises:
        InputError: as of `load_checkpoint`.
    """
    path = Path(path)
    content = _read(path)
    if not isinstance(content, Mapping):
        return None
    inner = content.get(part)
    if inner is None:
        start = f"{part}."
        inner = {str(key).removeprefix(start): each for key, each in content.items() if str(key).startswith(start)}
    return _plain(inner, path) if inner else None


def _plain(state: Any, path: Path) -> dict[str, Tensor]:
    """A state dict without the prefixes of training."""
    if not state or not _is_state(state):
        raise InputError(f"weights {path}: expected a state dict (names to tensors), got {_described(state)}")
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def load_into(network: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> None:
    """Load a state dict into a network; every key must match.

    `num_batches_tracked` may be missing: files older than torch 0.4.1 do not have it, and only training reads it. The
    prefix `keypoint_head.` of early versions of MMPose is read as `head.`.

    Args:
        network: changed in place.
        state: from `load_checkpoint`.
        path: named in the error message.

    Raises:
        InputError: keys are missing, unexpected or of another shape; the message names the first of each kind.
    """
    expected = network.state_dict()
    state = {key if key in expected else _HEAD_OF_MMPOSE_0.sub("head.", key): value for key, value in state.items()}
    missing = [key for key in expected if key not in state and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    reshaped = [
        f"{key} expected {tuple(expected[key].shape)} got {tuple(value.shape)}"
        for key, value in state.items()
        if key in expected and value.shape != expected[key].shape
    ]
    faults = [
        f"{len(keys)} {kind} ({', '.join(keys[:_SHOWN])}{', ...' if len(keys) > _SHOWN else ''})"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if keys
    ]
    if faults:
        raise InputError(
            f"weights {path}: expected weights of {type(network).__name__}, got others: {'; '.join(faults)}"
        )
    network.load_state_dict(dict(state), strict=False)  # strict except for num_batches_tracked: checked above


def given_weights(
    name: str, given: Path | str | None, *, source: str, table: Mapping[str, Published] | None = None
) -> Weights:
    """Find and describe the weights of a network that comes without them; see `posetrail.store`.

    Args:
        name: name of the network.
        given: a file, or the name of published weights; the network's default weights from the store if None.
        source: description to use for a file that is not in the store.
        table: published weights by name; none if None.

    Raises:
        InputError: the file is missing (the message says how to get it), damaged or cannot be read.
    """
    table = table or {}
    path = weights_file(name, given, table=table)
    try:
        sha256 = digest(path)
    except OSError as error:
        raise InputError(
            f"weights {path}: cannot be read ({error.strerror}); give a .safetensors or .pth file"
        ) from error
    known = published_file(path, table)
    return Weights(
        name=known.name if known else name,
        path=path,
        sha256=sha256,
        licence=known.licence if known else "that of the file",
        source=known.url or known.page if known else "given by the user",
        about=known.reported_score if known else source,
    )


class _Ignored:
    """Stands for an object that is not restored."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _read(path: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"weights {path}: no such file; give a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".caffemodel":
            return {key: torch.from_numpy(value) for key, value in read_caffemodel(path).items()}
        with torch.serialization.safe_globals([(_Ignored, name) for name in _IGNORED]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on pickles of another protocol, which it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise InputError(
            f"weights {path}: expected tensors only, got a file that is damaged or would execute code; "
            "save its state dict, or a .safetensors file, with the program that made it"
        ) from error
    # torch.load does not wrap the errors of its zip and pickle readers.
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        first_line = str(error).partition("\n")[0]
        raise InputError(
            f"weights {path}: cannot be read as a checkpoint ({first_line}); it may be incomplete"
        ) from error


def _unwrapped(content: Any) -> Any:
    while isinstance(content, Mapping) and not _is_state(content):
        inner = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _is_state(content: Any) -> bool:
    from torch import Tensor

    return isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


def _described(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return f"the keys {', '.join(map(str, list(content)[:5])) or '(none)'}"
