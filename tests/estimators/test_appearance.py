"""How people look: the same clothes are known again in other places, poses and light; other clothes are told apart."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from estimators.appearance import create_embedder
from estimators.colour_layout import ColourLayout
from posetrail.errors import InputError
from posetrail.frame import Image
from posetrail.poses import Poses
from posetrail.protocols import Embedder
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17, PARTS, SKELETONS
from tests.frames import frames_of
from tests.worlds import STANDING
from tracker.runs.track import track

GREEN, RED, BLUE = (40, 110, 50), (170, 40, 40), (40, 60, 150)
BLACK, WHITE = (25, 25, 25), (225, 225, 225)
CLOTHES = {"red over blue": (RED, BLUE), "blue over red": (BLUE, RED), "green over black": (GREEN, BLACK)}
CLOTHES |= {"white over black": (WHITE, BLACK), "black over white": (BLACK, WHITE)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OSNet of random numbers, trained as if on 751 people."""
    import torch

    from estimators.networks import NETWORKS

    torch.manual_seed(0)
    state = NETWORKS["osnet_x0_25"]().state_dict()
    state["classifier.weight"], state["classifier.bias"] = torch.zeros(751, 512), torch.zeros(751)
    path = tmp_path_factory.mktemp("weights") / "osnet.pth"
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    return path


@pytest.fixture(params=["colour_layout", "osnet_x0_25"])
def embedder(request: pytest.FixtureRequest, runtime: Runtime, weights: Path) -> Embedder:
    made = create_embedder(request.param, runtime=runtime, skeleton=COCO_17, weights=weights)
    assert made is not None
    return made


def poses(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Poses:
    """People standing in these boxes."""
    n = len(boxes)
    corners = np.array(boxes, float).reshape(-1, 4)
    keypoints = corners[:, None, :2] + STANDING * (corners[:, None, 2:] - corners[:, None, :2])
    return Poses(keypoints, np.full((n, 17), score), corners, np.ones(n), np.zeros(n))


def dressed(image: Image, box: tuple[float, float, float, float], shirt: tuple[int, ...], trousers: object) -> Image:
    """The image with a person in the box, in these clothes: hips are at 52 % of the height."""
    x1, y1, x2, y2 = (int(side) for side in box)
    hips = int(y1 + 0.53 * (y2 - y1))
    middle = slice(int(x1 + 0.2 * (x2 - x1)), int(x2 - 0.2 * (x2 - x1)))
    image[int(y1 + 0.18 * (y2 - y1)) : hips, middle] = shirt
    image[hips:y2, middle] = trousers
    return image


def street(seed: int = 0) -> Image:
    coarse = np.random.default_rng(seed).integers(30, 225, (40, 60, 3), dtype=np.uint8)
    return cv2.resize(coarse, (640, 400), interpolation=cv2.INTER_CUBIC)


def look(clothes: str, box: tuple[float, float, float, float], seed: int = 0, light: float = 1.0) -> np.ndarray:
    image = dressed(street(seed), box, *CLOTHES[clothes]) * light
    grain = np.random.default_rng(seed).normal(0, 4, image.shape)
    [looks] = ColourLayout(COCO_17)(frames_of([np.clip(image + grain, 0, 255).astype(np.uint8)]), [poses(box)])
    return looks[0]


HERE, THERE = (50, 50, 150, 350), (400, 100, 460, 280)


@pytest.mark.parametrize("light", [1.0, 0.6, 1.3])
def test_embeddings_of_the_same_clothes_are_similar_at_other_places_sizes_and_light(light: float) -> None:
    for clothes in CLOTHES:
        again = look(clothes, HERE) @ look(clothes, THERE, seed=1, light=light)
        others = [
            look(clothes, HERE) @ look(other, THERE, seed=1, light=light) for other in CLOTHES if other != clothes
        ]
        assert again > 0.8
        assert max(others) < again - 0.1, (clothes, again, others)


def test_embeddings_of_people_who_turn_or_lean_are_similar() -> None:
    image = dressed(street(), HERE, *CLOTHES["red over blue"])
    there = poses(HERE)
    mirrored = Poses(
        there.keypoints[:, COCO_17.mirror], there.keypoint_scores, there.boxes, there.scores, there.propagated
    )
    lean = cv2.getRotationMatrix2D((100, 200), 25, 1.0)
    leaning = Poses(
        there.keypoints @ lean[:, :2].T + lean[:, 2], there.keypoint_scores, there.boxes, there.scores, there.propagated
    )
    frames = frames_of([image, image, cv2.warpAffine(image, lean, (640, 400))])
    straight, turned, leant = (each[0] for each in ColourLayout(COCO_17)(frames, [there, mirrored, leaning]))
    assert straight @ turned > 0.99
    assert straight @ leant > 0.95


def test_embeddings_are_unit_vectors_in_the_order_of_the_poses(embedder: Embedder) -> None:
    image = dressed(dressed(street(), HERE, RED, BLUE), THERE, GREEN, BLACK)
    [both] = embedder(frames_of([image]), [poses(HERE, THERE)])
    [turned] = embedder(frames_of([image]), [poses(THERE, HERE)])
    assert both.shape == (2, embedder.size)
    assert both.dtype == np.float32
    assert np.linalg.norm(both, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert np.array_equal(both[::-1], turned)
    assert not np.array_equal(both[0], both[1])


def test_embeddings_do_not_depend_on_other_people_and_images(embedder: Embedder) -> None:
    image = dressed(dressed(street(), HERE, RED, BLUE), THERE, GREEN, BLACK)
    first, second, third = embedder(
        frames_of([image, image[:300, :500].copy(), image]), [poses(HERE, THERE), poses(), poses(*[THERE] * 40)]
    )
    [alone] = embedder(frames_of([image]), [poses(THERE)])
    assert np.array_equal(first[1], alone[0])
    assert second.shape == (0, embedder.size)
    assert (third == alone).all()
    assert embedder([], []) == []


def test_people_outside_the_image_have_zero_embeddings(embedder: Embedder) -> None:
    [looks] = embedder(frames_of([street()]), [poses((-300, 50, -200, 350), (900, 50, 1000, 350), HERE)])
    assert (looks[:2] == 0).all()
    assert np.linalg.norm(looks[2]) == pytest.approx(1, abs=1e-5)


def test_colours_need_a_torso_and_can_do_without_legs() -> None:
    embedder = ColourLayout(COCO_17)
    image = dressed(street(), HERE, RED, BLUE)
    [unsure] = embedder(frames_of([image]), [poses(HERE, score=0.1)])
    assert (unsure == 0).all()
    whole, legless = poses(HERE), poses(HERE)
    legless.keypoints[:, 13:] = np.nan
    legless.keypoint_scores[:, 13:] = 0
    (whole_looks,), (legless_looks,) = embedder(frames_of([image, image]), [whole, legless])
    assert 0.8 < whole_looks @ legless_looks < 0.999


def test_the_embedding_of_a_person_partly_outside_the_image_is_similar() -> None:
    image = np.hstack([street(), street(1)])
    box = (590.0, 50.0, 690.0, 350.0)
    dressed(image, box, RED, BLUE)
    inside, cut = ColourLayout(COCO_17)(
        frames_of([image, np.ascontiguousarray(image[:, :640])]), [poses(box), poses(box)]
    )
    assert inside[0] @ cut[0] > 0.9


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=list(SKELETONS))
def test_colours_are_found_on_the_joints_of_every_skeleton(skeleton) -> None:  # type: ignore[no-untyped-def]
    there = poses(HERE)
    keypoints = np.full((1, len(skeleton), 2), np.nan)
    for joint, place in zip(COCO_17.joints, there.keypoints[0], strict=True):
        if joint in skeleton.joints:
            keypoints[0, skeleton.index(joint)] = place
    same = Poses(keypoints, np.isfinite(keypoints[..., 0]), there.boxes, there.scores, there.propagated)
    image = dressed(street(), HERE, RED, BLUE)
    found = ColourLayout(skeleton)(frames_of([image]), [same])[0]
    if {"left_shoulder", "left_hip", "left_knee"} <= set(skeleton.joints):
        assert np.array_equal(found, ColourLayout(COCO_17)(frames_of([image]), [there])[0])
    elif skeleton in PARTS:
        assert not found.any()
    else:
        assert np.isfinite(found).all()


def test_embeddings_identify_the_people_of_a_real_clip(example_clip: Path) -> None:
    """One in white, one in a black and white jacket, one bare to the waist; every 25th frame."""
    embedder = ColourLayout(COCO_17)
    looks: dict[int, list[np.ndarray]] = {}
    for frame in track(example_clip, stride=25):
        assert frame.image is not None
        [found] = embedder(frames_of([frame.image]), [frame.people.poses])
        for track_id, each in zip(frame.people.track_ids.tolist(), found, strict=True):
            looks.setdefault(track_id, []).append(each)
    assert {track_id: len(each) for track_id, each in looks.items()} == {1: 4, 2: 4, 3: 4}
    everybody = np.array([each for track_id in sorted(looks) for each in looks[track_id]])
    same = np.equal.outer(np.repeat([1, 2, 3], 4), np.repeat([1, 2, 3], 4))
    alike = everybody @ everybody.T
    assert alike[same].min() > alike[~same].max() + 0.2


def test_none_creates_no_embedder_and_a_network_requires_weights(
    runtime: Runtime, tmp_path: Path, weights: Path
) -> None:
    def create(name: str, weights: Path | None = None) -> Embedder | None:
        return create_embedder(name, runtime=runtime, skeleton=COCO_17, weights=weights)

    assert create("none") is None
    with pytest.raises(InputError, match="unknown appearance 'colour'; did you mean 'colour_layout'"):
        create("colour")
    with pytest.raises(
        InputError, match=r"osnet_x0_25: its weights are not on this machine.* or give --appearance-weights FILE"
    ):
        create("osnet_x0_25")
    with pytest.raises(InputError, match="No such file"):
        create("osnet_x0_25", tmp_path / "none.pth")
    with pytest.raises(InputError, match="of another shape"):
        create("osnet_x0_5", weights)


def test_a_network_records_the_file_of_its_weights(runtime: Runtime, weights: Path) -> None:
    made = create_embedder("osnet_x0_25", runtime=runtime, skeleton=COCO_17, weights=weights)
    assert made.weights.name == "osnet_x0_25"  # type: ignore[union-attr]
    assert len(made.weights.sha256) == 64  # type: ignore[union-attr]
