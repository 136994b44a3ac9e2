"""Checkpoints from elsewhere: what is unwrapped, what is refused, and what a user is told."""

from __future__ import annotations

import os
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from posetrail.checkpoints import load_checkpoint, load_into
from posetrail.errors import InputError
from posetrail.runtime import Runtime


def network() -> nn.Module:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4)))


def saved(tmp_path: Path, content: object, name: str = "weights.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


def test_a_loaded_network_gives_the_outputs_it_was_saved_with(tmp_path: Path) -> None:
    trained, fresh = network(), network()
    path = saved(tmp_path, trained.state_dict())
    load_into(fresh, load_checkpoint(path), path)
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in trained.state_dict().items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "meta": {"epoch": 3, "classes": ["person"]}},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}, "start_epoch": 300},
        lambda state: {"model": {"conv.weight": torch.zeros(1)}, "ema": {"module": state, "updates": 7}},
        lambda state: OrderedDict((f"module.{key}", value) for key, value in state.items()),
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 1},
        lambda state: {"state_dict": {f"model.module.{key}": value for key, value in state.items()}},
        lambda state: {f"1.{key}": value for key, value in state.items()},
    ],
    ids=["mmlab", "yolox", "averaged", "parallel", "parallel and wrapped", "in a trainer", "half precise"],
)
def test_wrappers_and_prefixes_of_training_are_removed(tmp_path: Path, wrap) -> None:  # type: ignore[no-untyped-def]
    state = network().state_dict()
    loaded = load_checkpoint(saved(tmp_path, wrap(state)))
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_keypoint_head_of_mmpose_0_is_read_as_head(tmp_path: Path) -> None:
    state = {"keypoint_head.weight": torch.ones(1, 1), "keypoint_head.bias": torch.ones(1)}
    for name in ("head", "keypoint_head"):
        fresh = nn.Sequential(OrderedDict({name: nn.Linear(1, 1)}))
        load_into(fresh, load_checkpoint(saved(tmp_path, {"state_dict": state})), tmp_path)
        assert fresh(torch.ones(1)).item() == 2


def test_safetensors_and_half_precision_are_read_too(tmp_path: Path) -> None:
    state = {key: value.half() if value.is_floating_point() else value for key, value in network().state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    fresh = network()
    load_into(fresh, load_checkpoint(tmp_path / "weights.safetensors"), tmp_path)
    assert fresh.conv.weight.dtype == torch.float32
    assert torch.equal(fresh.conv.weight, state["conv.weight"].float())


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_execute_code_is_refused_and_not_executed(tmp_path: Path) -> None:
    path = saved(tmp_path, {"state_dict": network().state_dict(), "hook": Evil(tmp_path / "made")})
    with pytest.raises(InputError, match=r"weights .*weights.pth: expected tensors only"):
        load_checkpoint(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_is_refused_without_a_warning(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"weight": [1.0, 2.0]}, protocol))
    with warnings.catch_warnings(), pytest.raises(InputError, match=r"weights .*weights.pth: "):
        warnings.simplefilter("error")
        load_checkpoint(path)


def test_unusable_files_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = saved(tmp_path, network().state_dict()).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.pth").write_text("<html>404 not found</html>")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    saved(tmp_path, [1, 2], "list.pth")
    saved(tmp_path, {"epoch": 3, "meta": {}}, "no_state.pth")
    for name, said in {
        "gone.pth": "no such file",
        "cut.pth": "it may be incomplete|damaged",
        "page.pth": "damaged",
        "empty.pth": "it may be incomplete",
        "cut.safetensors": "it may be incomplete",
        "list.pth": "expected a state dict .* got a list",
        "no_state.pth": "got the keys epoch, meta",
    }.items():
        with pytest.raises(InputError, match=said) as told:
            load_checkpoint(tmp_path / name)
        assert "\n" not in str(told.value), name
        assert name in str(told.value)


def test_the_error_for_weights_of_another_network_names_keys() -> None:
    state = network().state_dict()
    state["head.weight"] = state.pop("conv.weight")
    state["bn.weight"] = torch.zeros(7)
    fresh = network()
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    with pytest.raises(InputError) as told:
        load_into(fresh, state, "some.pth")
    assert str(told.value) == (
        "weights some.pth: expected weights of Sequential, got others: 1 missing (conv.weight); "
        "1 unexpected (head.weight); 1 of another shape (bn.weight expected (4,) got (7,))"
    )
    assert all(torch.equal(value, before[key]) for key, value in fresh.state_dict().items())
    with pytest.raises(InputError, match=r"6 missing \(conv.weight, conv.bias, bn.weight, ...\)$"):
        load_into(fresh, {}, "some.pth")


def test_num_batches_tracked_may_be_missing() -> None:
    state = network().state_dict()
    del state["bn.num_batches_tracked"]
    load_into(network(), state, "old.pth")


def test_outputs_do_not_depend_on_batch_or_threads() -> None:
    module = network().eval()
    images = np.random.default_rng(0).random((5, 3, 40, 40), np.float32)
    threads_before = torch.get_num_threads()
    answers = []
    for threads in (1, 3):
        with Runtime("cpu", threads) as runtime:
            run = runtime.load_module(module)
            [together] = run(images)
            answers += [together, np.concatenate([run(images[i : i + 1])[0] for i in range(5)])]
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    assert torch.get_num_threads() == threads_before
