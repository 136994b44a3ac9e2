"""Weights to start from: checkpoints with the keys of their authors, and the recipe that goes with them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from estimators.trained import Training
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, MPII_16, POSETRACK_15
from tests.goldens import formula_weights
from training.initial import start_from
from training.recipes import RECIPES
from training.start import chosen_start


def checkpoint(path: Path, network: str = "simplebaseline_r18", joints: int = 17) -> Path:
    """A checkpoint in the layout of its authors, with the fill of the goldens."""
    skeleton = COCO_17 if joints == 17 else MPII_16
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in make(network, skeleton).state_dict().items()}
    torch.save({"state_dict": {k: formula_weights(k, shape, 1.0) for k, shape in shapes.items()}, "epoch": 3}, path)
    return path


def make(network: str, skeleton: object = COCO_17) -> torch.nn.Module:
    return Training(network=network, skeleton=skeleton, input_size=(192, 256)).make()  # type: ignore[arg-type]


def test_a_published_checkpoint_starts_a_training_for_other_joints(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "coco.pth")
    start = chosen_start(None, "simplebaseline_r18", path)
    assert start.recipe.epochs == 20  # that of fine-tuning
    assert start.before is not None
    assert start.before.skeleton == COCO_17
    after = Training(network="simplebaseline_r18", skeleton=POSETRACK_15, input_size=(192, 256))
    network = after.make()
    started = start_from(network, start.state, start.before, after)
    assert set(started.fresh) == {"neck", "head_top"}
    wrist = network.state_dict()["final_layer.weight"][POSETRACK_15.index("left_wrist")]
    assert torch.equal(wrist, formula_weights("final_layer.weight", (17, 256, 1, 1), 1.0)[COCO_17.index("left_wrist")])


def test_movenet_starts_from_the_weights_of_the_package() -> None:
    start = chosen_start(None, "movenet_thunder", None)
    assert start.recipe.network == "movenet_thunder"
    assert start.before is not None
    assert start.state


def test_weights_of_a_trunk_start_a_training_with_a_fresh_head(tmp_path: Path) -> None:
    whole = torch.load(checkpoint(tmp_path / "coco.pth"), weights_only=True)["state_dict"]
    trunk = {k: v for k, v in whole.items() if not k.startswith(("deconv", "final"))} | {"fc.bias": torch.zeros(1000)}
    torch.save(trunk, tmp_path / "imagenet.pth")
    start = chosen_start("simplebaseline_r18", None, tmp_path / "imagenet.pth")
    assert start.before is not None
    started = start_from(make("simplebaseline_r18"), start.state, start.before, start.before)
    assert started.taken == ()
    assert started.fresh == COCO_17.joints


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (Path.touch, (Path("was_run"),))  # type: ignore[return-value]


def test_a_fine_tuning_recipe_needs_weights_and_keeps_its_schedule(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected weights to start from for the recipe simplebaseline_r50_posetrack"):
        chosen_start("simplebaseline_r50_posetrack", None, None)
    path = checkpoint(tmp_path / "coco.pth", "simplebaseline_r50")
    start = chosen_start("simplebaseline_r50_posetrack", "simplebaseline_r50", path)
    assert start.recipe == RECIPES["simplebaseline_r50_posetrack"]


def test_wrong_files_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"state_dict": Evil()}, 2))
    (tmp_path / "cut.pth").write_bytes(checkpoint(tmp_path / "coco.pth").read_bytes()[:1000])
    (tmp_path / "other.txt").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    checkpoint(tmp_path / "mpii.pth", joints=16)
    checkpoint(tmp_path / "other.pth", "mobilenetv2_simple")
    for name, expected in {
        "evil.pth": "would execute code",
        "cut.pth": "it may be incomplete",
        "other.txt": "expected tensors only|cannot be read",
        "list.pth": "expected a state dict",
        "mpii.pth": r"final_layer.weight expected \(17, 256, 1, 1\) got \(16, 256, 1, 1\)",
        "other.pth": "expected weights of .*, got others",
        "gone.pth": "No such file",
    }.items():
        with pytest.raises(InputError, match=expected) as refused:
            chosen_start(None, "simplebaseline_r18", tmp_path / name)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "was_run").exists()
    with pytest.raises(InputError, match="unknown network to start from 'hrnet_w23'; did you mean 'hrnet_w32'"):
        chosen_start(None, "hrnet_w23", None)
    with pytest.raises(InputError, match="expected weights of hrnet_w32, got those of simplebaseline_r18"):
        chosen_start("hrnet_w32", "simplebaseline_r18", tmp_path / "coco.pth")
