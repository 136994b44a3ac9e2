"""Checkpoints of other projects, as files the user has: read without running what is in them, loaded strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from posetrail.errors import InputError
from posetrail.files import digest
from posetrail.published import Published
from posetrail.store import published_file, weights_file
from posetrail.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

# Training programs put the state dict beside the optimizer and the epoch, under one of these names. The running mean of
# the weights (ema) is what was published and scored where a file holds both; in mmengine's files it is `state_dict`.
_WRAPPERS = ("state_dict", "ema", "model_state_dict", "model", "net", "network", "params", "module")
# What stands before every key: torch's parallel training, a trainer around the network (Newell's), a Sequential around
# it that made it half precise (HigherHRNet's).
_PREFIXES = ("module.", "model.module.", "1.")
_HEAD_OF_MMPOSE_0 = re.compile(r"^keypoint_head\.")
_SHOWN = 3  # keys of each kind that an error names


def load_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """The state dict of a checkpoint, out of what training programs wrap around it.

    Args:
        path: .safetensors, or any file of torch.save (.pth, .pt, .tar, .ckpt, ...), which is read as numbers alone: a
            pickle that would run code is refused.

    Returns:
        key -> tensor on the CPU, in the file's order; what training puts before every key, such as `module.`, is taken
        away.

    Raises:
        InputError: there is no such file, it is damaged, it would run code, or no state dict is in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"weights {path}: no such file; give a .safetensors or .pth file")
    state = _unwrapped(_read(path))
    if not state or not _is_state(state):
        raise InputError(f"weights {path}: wanted a state dict (names to tensors), found {_described(state)}")
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def load_into(network: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> None:
    """Put a state dict into a network, every key in its place; no partial load.

    Files older than torch 0.4.1 have no `num_batches_tracked`, which only training reads; it may be missing. What
    MMPose's first versions called `keypoint_head.` is `head.` to networks that know no other.

    Args:
        network: changed in place.
        state: of `load_checkpoint`.
        path: named in the error.

    Raises:
        InputError: a key is missing, too many, or of another shape; the first of each kind are named.
    """
    wanted = network.state_dict()
    state = {key if key in wanted else _HEAD_OF_MMPOSE_0.sub("head.", key): value for key, value in state.items()}
    missing = [key for key in wanted if key not in state and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    reshaped = [
        f"{key} wanted {tuple(wanted[key].shape)} got {tuple(value.shape)}"
        for key, value in state.items()
        if key in wanted and value.shape != wanted[key].shape
    ]
    faults = [
        f"{len(keys)} {kind} ({', '.join(keys[:_SHOWN])}{', ...' if len(keys) > _SHOWN else ''})"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if keys
    ]
    if faults:
        raise InputError(f"weights {path} are not those of {type(network).__name__} here: {'; '.join(faults)}")
    network.load_state_dict(dict(state), strict=False)  # strict but for num_batches_tracked: checked above


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


def _read(path: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise InputError(
            f"weights {path}: wanted numbers alone, but the file is damaged or would run code; "
            "save its state dict, or .safetensors, where it was made"
        ) from error
    # torch.load lets through whatever its zip and pickle readers raise on a damaged file.
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        first_line = str(error).partition("\n")[0]
        raise InputError(f"weights {path}: cannot be read as a checkpoint ({first_line}); is it whole?") from error


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
