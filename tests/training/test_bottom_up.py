"""Training of bottom-up networks: samples of whole images, the objectives, and a whole training on drawn people."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from estimators import NETWORKS
from estimators.whole_image import GROUPED
from posetrail.checkpoints import load_checkpoint
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, OPENPOSE_18
from training.augment import NO_AUGMENTATION, Augmentation
from training.bottom_up.fit import figures, fit_bottom_up, with_joints
from training.bottom_up.recipes import BOTTOM_UP_RECIPES, Supervised, make_objective, trained_skeleton
from training.bottom_up.whole_images import MAX_PEOPLE, ImageBatches, WholeImages
from training.figures import draw_figures
from training.fit import BEST, FitSettings
from training.losses.people import pull_and_push
from training.optimisers import make_optimiser
from training.samples import Samples
from training.targets.people import people_maps, tag_places

SIZE = (96, 128)  # of a drawn figure


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Four images with two drawn people each, side by side, and a crowd on the right of the first."""
    folder = tmp_path_factory.mktemp("images")
    images, keypoints, visibility = draw_figures(8, 0, SIZE)
    paths, people, boxes = [], [], []
    for i in range(4):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), np.hstack([images[2 * i], images[2 * i + 1], np.zeros_like(images[0])])[:, :, ::-1])
        paths.append(path)
        for k in range(2):
            people.append(keypoints[2 * i + k] + [k * SIZE[0], 0])
            boxes.append([k * SIZE[0], 0, (k + 1) * SIZE[0], SIZE[1]])
    crowd = np.full((1, 17, 2), np.nan)
    return Samples(
        name="drawn",
        skeleton=COCO_17,
        images=tuple(paths),
        image_rows=np.array([0, 0, 1, 1, 2, 2, 3, 3, 0]),
        boxes=np.array([*boxes, [2 * SIZE[0], 0, 3 * SIZE[0], SIZE[1]]]),
        keypoints=np.concatenate([np.array(people), crowd]),
        visibility=np.concatenate([visibility, np.zeros((1, 17))]),
        is_crowd=np.array([False] * 8 + [True]),
    )


def test_an_unchanged_sample_is_the_middle_of_the_image_with_all_people_and_no_crowd(samples: Samples) -> None:
    dataset = WholeImages(samples, 128, dataclasses.replace(NO_AUGMENTATION, padding=1.0))
    image, keypoints, visibility = dataset[0, 0]
    assert (image.shape, keypoints.shape, visibility.shape) == ((128, 128, 4), (MAX_PEOPLE, 17, 2), (MAX_PEOPLE, 17))
    left = (3 * SIZE[0] - 128) / 2
    np.testing.assert_allclose(keypoints[:2] + np.array([left, 0]), samples.keypoints[:2], atol=0.6)
    assert np.isnan(keypoints[2:]).all()
    assert not visibility[2:].any()
    assert (image[:, : 2 * SIZE[0] - int(left) - 2, 3] == 255).all()
    assert (image[2:-2, 2 * SIZE[0] - int(left) + 2 :, 3] == 0).all()  # beyond the border all counts
    assert (dataset[0, 1][0][..., 3] == 255).all()  # no crowd in the second image


def test_mirrored_samples_exchange_sides_of_image_mask_and_joints(samples: Samples) -> None:
    plain = dataclasses.replace(NO_AUGMENTATION, padding=1.0)
    flipped = WholeImages(samples, 128, dataclasses.replace(plain, flip_probability=1.0))[0, 0]
    image, keypoints, visibility = WholeImages(samples, 128, plain)[0, 0]
    # crops have the middle of the image at half of their width, between two pixels
    assert np.abs(flipped[0][:, 1:].astype(int) - image[:, :0:-1]).max() <= 2
    np.testing.assert_allclose(flipped[1][:2, COCO_17.mirror, 0], 128 - keypoints[:2, :, 0], atol=1e-3)
    assert np.array_equal(flipped[2][:2, COCO_17.mirror], visibility[:2])


def test_samples_around_a_person_show_that_person_at_the_size_of_the_recipe(samples: Samples) -> None:
    still = dataclasses.replace(NO_AUGMENTATION, padding=1 / 0.6)
    image, keypoints, _ = WholeImages(samples, 64, still, "person")[0, 1]
    heights = np.nanmax(keypoints[:2, :, 1], axis=1) - np.nanmin(keypoints[:2, :, 1], axis=1)
    truth = samples.keypoints[2:4]
    expected = np.nanmax(truth[..., 1], axis=1) - np.nanmin(truth[..., 1], axis=1)
    np.testing.assert_allclose(heights / expected, 0.6 * 64 / SIZE[1], rtol=1e-3)
    assert image.shape == (64, 64, 4)


def test_batches_depend_on_the_seed_alone(samples: Samples) -> None:
    dataset = WholeImages(samples, 64, Augmentation(padding=1.0), seed=3)
    first, again = (next(ImageBatches(dataset)(0, 2, 0, 1)) for _ in range(2))
    assert torch.equal(first.crops, again.crops)
    assert first.keypoints.shape == (2, MAX_PEOPLE, 17, 2)


class Small(torch.nn.Module):
    """Two convolutions with the outputs of a bottom-up network: at each scale, maps of so many channels."""

    def __init__(self, *outputs: tuple[int, int]) -> None:
        super().__init__()
        self.strides = [stride for stride, _ in outputs]
        self.first = torch.nn.Conv2d(3, 16, 5, padding=2)
        self.heads = torch.nn.ModuleList(torch.nn.Conv2d(16, channels, 5, padding=2) for _, channels in outputs)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        features = self.first(images).relu()
        pooled = [torch.nn.functional.avg_pool2d(features, stride) for stride in self.strides]
        return [head(each) for head, each in zip(self.heads, pooled, strict=True)]


@pytest.mark.parametrize(
    ("name", "outputs"),  # the published networks learn too, at seconds a step
    [
        ("higherhrnet_w32", [(4, 34), (2, 17)]),
        ("ae_hourglass_4stack", [(4, 68), (4, 68)]),
        ("caffe_openpose_coco", [(8, 38), (8, 19), (8, 38), (8, 19)]),
        ("openpose_body25", [(8, 52), (8, 52), (8, 26)]),
    ],
)
def test_the_loss_of_a_fixed_batch_falls_in_twenty_steps(
    name: str, outputs: list[tuple[int, int]], samples: Samples
) -> None:
    chosen, skeleton = BOTTOM_UP_RECIPES[name], trained_skeleton(name)
    people = with_joints(samples, skeleton)
    still = dataclasses.replace(NO_AUGMENTATION, padding=1.0)
    batch = next(ImageBatches(WholeImages(people, 64, still))(0, 2, 0, 1))
    torch.manual_seed(0)
    module = Supervised(Small(*outputs), name).train()
    optimiser = make_optimiser(module, dataclasses.replace(chosen.recipe.optimiser, lr_factors={}))
    objective = make_objective(name, 64, torch.from_numpy(people.labelled.any(axis=0)))
    losses = []
    for _ in range(20):
        loss = objective(module(batch.crops), batch.keypoints, batch.visibility)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.98 * losses[0]


def test_later_stages_of_openpose_learn_four_times_as_fast() -> None:
    optimiser = make_optimiser(
        Supervised(NETWORKS["caffe_openpose_coco"](), "caffe_openpose_coco"),
        BOTTOM_UP_RECIPES["caffe_openpose_coco"].recipe.optimiser,
    )
    counts = {group["lr_factor"]: len(group["params"]) for group in optimiser.param_groups}
    assert counts == {1.0: 2 * (12 + 10), 4.0: 2 * 7 * 2 * 5}


def test_perfect_maps_have_no_loss_but_that_of_tags(samples: Samples) -> None:
    batch = next(ImageBatches(WholeImages(samples, 64, dataclasses.replace(NO_AUGMENTATION, padding=1.0)))(0, 2, 0, 1))
    objective = make_objective("higherhrnet_w32", 64, torch.ones(17, dtype=torch.bool))
    mask = torch.ones(2, 64, 64)
    coarse, fine = (people_maps(batch.keypoints, batch.visibility, (size, size), stride=64 / size) for size in (16, 32))
    places, has_place = tag_places(batch.keypoints, batch.visibility, (16, 16), stride=4.0)
    tags = torch.zeros(2, 17, 256)
    for b, p, k in torch.nonzero(has_place).tolist():
        tags[b, k, places[b, p, k]] = 10.0 * p
    clear = torch.cat([coarse, tags.view(2, 17, 16, 16)], 1)
    shared = pull_and_push(clear[:, 17:], places, has_place)
    expected = 1e-3 * float((shared[0] + shared[1]).mean())
    assert float(objective([mask, clear, fine], batch.keypoints, batch.visibility)) == pytest.approx(expected)
    empty = [mask, torch.zeros_like(clear), torch.zeros_like(fine)]
    assert float(objective(empty, batch.keypoints, batch.visibility)) > expected
    none = objective(
        [0 * mask, torch.rand(2, 34, 16, 16), torch.rand(2, 17, 32, 32)],
        batch.keypoints * torch.nan,
        0 * batch.visibility,
    )
    assert float(none) == 0


def test_necks_are_computed_and_joints_that_the_data_lack_are_not_trained(samples: Samples) -> None:
    people = with_joints(samples, OPENPOSE_18)
    shoulders = [COCO_17.index("left_shoulder"), COCO_17.index("right_shoulder")]
    np.testing.assert_allclose(
        people.keypoints[:8, OPENPOSE_18.index("neck")], samples.keypoints[:8, shoulders].mean(axis=1), atol=1e-3
    )
    body = with_joints(samples, trained_skeleton("openpose_body25"))
    known = body.labelled.any(axis=0)
    assert known.sum() == 19  # without the six of the feet
    objective = make_objective("openpose_body25", 32, torch.from_numpy(known))
    outputs = [torch.ones(1, 32, 32), torch.zeros(1, 52, 4, 4), torch.zeros(1, 26, 4, 4)]
    keypoints, visibility = torch.full((1, 1, 25, 2), torch.nan), torch.zeros(1, 1, 25)
    before = objective(outputs, keypoints, visibility)
    outputs[2][:, 19:25] = 5.0
    outputs[1][:, 40:] = 5.0  # limbs of the feet
    assert torch.equal(objective(outputs, keypoints, visibility), before)


def test_a_training_writes_weights_with_the_keys_of_the_network_and_resumes(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(GROUPED["higherhrnet_w32"], network=lambda: Small((4, 34), (2, 17)))
    monkeypatch.setitem(GROUPED, "higherhrnet_w32", small)
    settings = FitSettings(recipe="higherhrnet_w32", epochs=0.5, batch_size=1, input_height=64, workers=0, device="cpu")
    events: list[dict[str, Any]] = []
    fitted = fit_bottom_up(samples, tmp_path / "out", settings, validation=samples[:2], on_event=events.append)
    assert [event["event"] for event in events] == ["start", "step", "validation"]
    assert fitted.trained.steps == 2
    assert {"AP", "AP50", "AR"} <= fitted.trained.best.keys()
    state = load_checkpoint(tmp_path / "out" / BEST)
    assert state.keys() == small.network().state_dict().keys()
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert (record["network"], record["trained"]["steps"]) == ("higherhrnet_w32", 2)
    assert fit_bottom_up(samples, tmp_path / "out", settings, validation=samples[:2]).trained.steps == 2


class Perfect:
    """Finds the annotated people."""

    skeleton = COCO_17

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __call__(self, frames: list[Frame]) -> list[Poses]:
        people = self._samples[(self._samples.image_rows == int(Path(frames[0].name).stem)) & self._samples.usable]
        N = len(people)
        return [Poses(people.keypoints, np.ones((N, 17)), people.boxes, np.ones(N), np.zeros(N))]


def test_the_score_of_perfect_people_is_100_and_missing_ones_lower_it(samples: Samples) -> None:
    assert figures(samples, Perfect(samples))["AP"] == pytest.approx(100)  # type: ignore[arg-type]
    assert figures(samples, Perfect(samples[:7]))["AP"] < 95  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BOTTOM_UP_RECIPES)
def test_recipes_name_networks_that_are_grouped(name: str) -> None:
    assert BOTTOM_UP_RECIPES[name].recipe.network in GROUPED
