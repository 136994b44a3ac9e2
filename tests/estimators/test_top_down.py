"""Top-down networks by their recipes: dots are found where they are, and weights of the user's go through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from estimators import BOTTOM_UP, NETWORKS, create_estimator
from estimators.heatmaps import DECODERS
from estimators.recipes import RECIPES, Recipe
from estimators.top_down import TopDown, run_of
from posetrail.errors import InputError
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17, MPII_16
from tests.dots import BOX, DOTS, SIZE, DotNetwork, picture
from tests.frames import frames_of
from tests.goldens import formula_weights
from tracker.cli.app import app

# Those with offsets are in test_offset_recipes.py: a map of dots has none.
KINDS = list({each: (name, each) for name, each in reversed(RECIPES.items()) if each.output != "offsets"}.values())
EVERY_KIND = pytest.mark.parametrize("recipe", [recipe for _, recipe in KINDS], ids=[name for name, _ in KINDS])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A file of numbers from a formula for a network by its name, .pth or .safetensors."""
    folder = tmp_path_factory.mktemp("weights")

    def saved(name: str, ending: str = ".pth") -> Path:
        path = folder / f"{name}{ending}"
        if not path.exists():
            shapes = {key: value.shape for key, value in NETWORKS[name]().state_dict().items()}
            state = {key: formula_weights(key, shape, 1.0) for key, shape in shapes.items()}
            save_file(state, path) if ending == ".safetensors" else torch.save({"state_dict": state}, path)
        return path

    return saved


def dot_estimator(recipe: Recipe, runtime: Runtime, **options: object) -> TopDown:
    return TopDown(run_of(DotNetwork(recipe), recipe, runtime), recipe, **options)  # type: ignore[arg-type]


def dots_as_fed(recipe: Recipe) -> np.ndarray:
    """Where each joint (K, 2) truly is: the channels come in the network's order."""
    return DOTS[:: -1 if recipe.preprocessing.bgr else 1][np.arange(len(recipe.skeleton)) % 3]


def test_every_pose_network_has_a_recipe_or_is_bottom_up() -> None:
    others = ("osnet", "blazepose", "posefix", "videopose3d", "simplebaseline3d", "motion", "caffe_cpm_person")
    poses = {name for name in NETWORKS if not name.startswith(others)}
    assert set(RECIPES) | {name for name in BOTTOM_UP if ":" not in name} == poses


@EVERY_KIND
def test_joints_come_out_where_they_are(recipe: Recipe, runtime: Runtime) -> None:
    [poses] = dot_estimator(recipe, runtime)(frames_of([picture()]), [BOX[None]])
    assert np.abs(poses.keypoints[0] - dots_as_fed(recipe)).max() < 0.5
    assert (poses.keypoint_scores > 0.8).all()
    assert (poses.keypoint_scores <= 1).all()


# The soft arg-max is for networks whose maps are logits.
WITHIN_PX = dict.fromkeys(DECODERS.keys() - {"soft_argmax"}, 0.8) | {"dark": 0.1, "udp": 0.1}


@pytest.mark.parametrize(("decoder", "within_px"), sorted(WITHIN_PX.items()))
def test_heatmaps_are_decoded_with_the_chosen_decoder(decoder: str, within_px: float, runtime: Runtime) -> None:
    recipe = RECIPES["hrnet_w32"].with_decoder(decoder)
    [poses] = dot_estimator(recipe, runtime)(frames_of([picture()]), [BOX[None]])
    assert np.abs(poses.keypoints[0] - dots_as_fed(recipe)).max() < within_px


@EVERY_KIND
def test_the_flip_test_of_a_symmetric_network_changes_nothing(recipe: Recipe, runtime: Runtime) -> None:
    image = picture(DOTS[[1, 1, 1]])  # left and right joints are at one place
    [plain] = dot_estimator(recipe, runtime)(frames_of([image]), [BOX[None]])
    [flipped] = dot_estimator(recipe, runtime, flip_test=True)(frames_of([image]), [BOX[None]])
    # The quarter rule errs by a quarter cell to either side: by a pixel of a crop that is three times as large.
    assert np.abs(plain.keypoints - flipped.keypoints).max() < 0.7
    assert np.abs(flipped.keypoints - DOTS[1]).max() < 0.5


@EVERY_KIND
def test_results_depend_only_on_the_box_and_its_image(recipe: Recipe, runtime: Runtime) -> None:
    estimator = dot_estimator(recipe, runtime)
    nothing = [[np.nan] * 4, [50, 50, 50, 50], [-90, -90, -10, -10], [0, 0, np.inf, 9], [9, 9, 1, 1]]
    odd = [[-1e5, -1e5, 1e5, 1e5], [SIZE[0] - 3, SIZE[1] - 3, SIZE[0] + 90, SIZE[1] + 90], [100, 0, 101, 200]]
    [alone] = estimator(frames_of([picture()]), [BOX[None]])
    first, second, third = estimator(
        frames_of([picture(), picture(DOTS + 5)[:150], picture()]),
        [np.array([*nothing, *odd, BOX]), np.zeros((0, 4)), np.tile(BOX, (33, 1))],
    )
    assert (len(first), len(second), len(third)) == (9, 0, 33)
    assert np.isnan(first.keypoints[:5]).all()
    assert (first.keypoint_scores[:5] == 0).all()
    assert np.array_equal(first.keypoints[8:], alone.keypoints)
    assert (third.keypoints == alone.keypoints).all()
    assert (third.keypoint_scores == alone.keypoint_scores).all()
    assert first.keypoint_scores.min() >= 0
    assert first.keypoint_scores.max() <= 1
    assert (alone.scores == 1).all()
    assert not alone.propagated.any()
    assert estimator([], []) == []


def test_pixels_outside_a_masked_crop_have_no_effect(runtime: Runtime) -> None:
    outside = [[BOX[2] + 8, 90.0]] * 3  # within the crop
    for margin, same in ((0.2, True), (None, False)):
        estimator = dot_estimator(RECIPES["rtmpose_t"], runtime, crop_mask_margin=margin)
        lone, both = estimator(frames_of([picture(), np.maximum(picture(), picture(outside))]), [BOX[None], BOX[None]])
        assert np.array_equal(lone.keypoints, both.keypoints) == same


def test_crops_have_the_chosen_size(runtime: Runtime) -> None:
    recipe = RECIPES["hrnet_w32"]
    assert recipe.of_height(384).input_size == (288, 384)
    assert RECIPES["hourglass_2stack"].of_height(384).input_size == (384, 384)
    large = recipe.of_height(384)
    [poses] = dot_estimator(large, runtime, crop_scale=1.6)(frames_of([picture()]), [BOX[None]])
    assert np.abs(poses.keypoints[0] - dots_as_fed(large)).max() < 0.5
    with pytest.raises(InputError, match="both sides are multiples of 32"):
        recipe.of_height(300)
    with pytest.raises(InputError, match="expected 256, the fixed height"):
        RECIPES["vitpose_s_mmpose"].of_height(384)


@pytest.mark.parametrize(("name", "ending"), [("rtmpose_t", ".safetensors"), ("litehrnet_18", ".pth")])
def test_networks_run_with_weights_of_the_users(
    name: str,
    ending: str,
    runtime: Runtime,
    checkpoint: Callable[[str, str], Path],
    first_frame: np.ndarray,
) -> None:
    estimator = create_estimator(name, runtime=runtime, weights=checkpoint(name, ending))
    boxes = np.array([[520.0, 780, 970, 1740], [250, 330, 580, 1160]])
    together, nobody = estimator(frames_of([first_frame, first_frame]), [boxes, boxes[:0]])
    assert (len(together), len(nobody)) == (2, 0)
    [alone] = estimator(frames_of([first_frame]), [boxes[1:]])
    assert np.array_equal(alone.keypoints, together[[1]].keypoints, equal_nan=True)
    assert estimator.skeleton is COCO_17
    missing = np.isnan(together.keypoints).any(axis=2)
    assert (together.keypoint_scores[missing] == 0).all()


def test_a_clip_is_tracked_with_a_checkpoint(
    checkpoint: Callable[[str, str], Path], example_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = checkpoint("rtmpose_t", ".safetensors")
    flags = f"--estimator rtmpose_t --estimator-weights {weights} --end 0.09 --progress none -o {tmp_path}"
    flags += " --preset simple-baselines"  # which has a flip test, and follows joints of any score
    assert app(["track", str(example_clip), *flags.split()], result_action="return_value") == 0
    told = json.loads((tmp_path / "pose2sim_cam01" / "run.json").read_text())
    assert [model["name"] for model in told["models"]] == ["nanodet_int8", "rtmpose_t"]
    assert told["figures"]["frames"] == 6
    assert told["figures"]["poses"] > 0
    assert told["settings"]["networks"]["estimator_weights"] == str(weights)
    assert "people" in capsys.readouterr().out


def test_mpii_networks_have_the_mpii_skeleton() -> None:
    speak = {name for name, recipe in RECIPES.items() if recipe.skeleton is MPII_16}
    hourglasses = {"hourglass_2stack", "hourglass_8stack", "softgated_4stack"}
    descendants = {"pyranet_2stack", "pyranet_wenbc21_2stack", "pose_attention_8stack"}
    assert speak == hourglasses | descendants | {"simplebaseline_r50_mpii"}


def test_unusable_options_are_refused_in_one_line(
    runtime: Runtime, checkpoint: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POSETRAIL_HOME", str(tmp_path))
    with pytest.raises(
        InputError, match=r"rtmpose_t: its weights are not on this machine.*posetrail models fetch rtmpose_t"
    ):
        create_estimator("rtmpose_t", runtime=runtime)
    with pytest.raises(InputError, match="expected weights of RTMPose, got others"):
        create_estimator("rtmpose_t", runtime=runtime, weights=checkpoint("litehrnet_18", ".pth"))
    with pytest.raises(InputError, match="unknown estimator 'hrnet32'; did you mean 'hrnet_w32'"):
        create_estimator("hrnet32", runtime=runtime)
    with pytest.raises(InputError, match="unknown decoder 'drak'; did you mean 'dark'"):
        create_estimator("hrnet_w32", runtime=runtime, decoder="drak")
    with pytest.raises(InputError, match="decoder: dark is for heatmaps, this network outputs simcc"):
        create_estimator("rtmpose_t", runtime=runtime, decoder="dark")
    with pytest.raises(InputError, match="estimator movenet_thunder has no option decoder"):
        create_estimator("movenet_thunder", runtime=runtime, decoder="dark")
    with pytest.raises(InputError, match="crop_scale: expected more than 0"):
        dot_estimator(replace(RECIPES["hrnet_w32"]), runtime, crop_scale=0.0)
    with pytest.raises(InputError, match="crop_mask_margin: expected 0 or more"):
        dot_estimator(RECIPES["hrnet_w32"], runtime, crop_mask_margin=-0.1)
