"""Camera motion is estimated within a pixel for a moving camera, and is the identity for a static one.

The images are views of one textured wall, rendered with a known transformation, with textured people in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from posetrail.frame import Image
from tracker.inference.camera import CameraMotion
from tracker.inference.propagation import prepare_grey
from tracker.io.video import open_source

SIZE = 1280, 720
IDENTITY = np.eye(2, 3)
NO_BOXES = np.zeros((0, 4))


def texture(width: int, height: int, seed: int = 0, grain: int = 10) -> Image:
    """Random blobs at three scales: four times `grain` pixels, `grain` pixels and a third of that."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for each, contrast in ((grain * 4, 60), (grain, 40), (grain // 3, 20)):
        coarse = random.normal(0, contrast, (height // each + 2, width // each + 2, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


WALL = texture(2000, 1300)
PERSON = texture(600, 720, seed=1)
GRAIN = np.random.default_rng(0).normal(0, 1, (800, 1400, 1)).astype(np.float32)
Boxes = Sequence[tuple[float, float, float, float]]


def view(pan: tuple[float, float] = (0, 0), zoom: float = 1.0, turn: float = 0.0) -> np.ndarray:
    """The matrix (3, 3) from pixels of the wall to pixels of the image; without a pan, the centres coincide."""
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    centre = np.array([WALL.shape[1] / 2 + pan[0], WALL.shape[0] / 2 + pan[1]])
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    matrix[:2, 2] = np.array(SIZE) / 2 - matrix[:2, :2] @ centre
    return matrix


def render(camera: np.ndarray, people: Boxes = (), noise: float = 2.0, seed: int = 0) -> Image:
    """The image of a camera: the wall, people in front of it (boxes in pixels of the image), and noise."""
    image = cv2.warpAffine(WALL, camera[:2], SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    for x1, y1, x2, y2 in people:
        shift = np.array([[1, 0, x1], [0, 1, y1]], float)
        person = np.ascontiguousarray(PERSON[: int(y2 - y1), : int(x2 - x1)])
        cv2.warpAffine(person, shift, SIZE, dst=image, borderMode=cv2.BORDER_TRANSPARENT)
    y, x = np.random.default_rng(seed).integers(0, 80, 2)
    return np.clip(image + noise * GRAIN[y : y + 720, x : x + 1280], 0, 255).astype(np.uint8)


def motions(
    cameras: Sequence[np.ndarray], people: Callable[[int], Boxes] = lambda _: (), noise: float = 2.0
) -> np.ndarray:
    """The estimated motion at each frame, (F, 2, 3)."""
    camera = CameraMotion()
    estimated = []
    for i, each in enumerate(cameras):
        image = prepare_grey(render(each, people(i), noise=noise, seed=i))
        estimated.append(camera.step(image, np.array(people(i), float).reshape(-1, 4)))
    return np.array(estimated)


def worst_error(estimated: np.ndarray, cameras: Sequence[np.ndarray]) -> float:
    """The largest error, in pixels, of where estimated motions take the corners of the image.

    Of each step from frame to frame, and of all steps up to each frame combined.
    """
    width, height = SIZE
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float).T
    worst, combined = 0.0, np.eye(3)
    for before, now, motion in zip(cameras[:-1], cameras[1:], estimated[1:], strict=True):
        combined = np.vstack([motion, [0, 0, 1]]) @ combined
        for true, found in ((now @ np.linalg.inv(before), motion), (now @ np.linalg.inv(cameras[0]), combined)):
            worst = max(worst, np.linalg.norm((true[:2] - found[:2]) @ corners, axis=0).max())
    return worst


MOVES = {
    "pan": [view(pan=(12 * i, -3 * i)) for i in range(8)],
    "fast pan": [view(pan=(60 * i - 200, 0)) for i in range(8)],
    "zoom": [view(zoom=1.02**i) for i in range(8)],
    "rotation": [view(turn=0.01 * i) for i in range(8)],
    "shaking": [view(pan=tuple(np.random.default_rng(i).normal(0, 8, 2)), turn=0.004 * (-1) ** i) for i in range(8)],
    "pan, zoom and rotation": [view(pan=(10 * i, 4 * i), zoom=1.01**i, turn=-0.008 * i) for i in range(8)],
}


@pytest.mark.parametrize("cameras", MOVES.values(), ids=list(MOVES))
def test_camera_motion_is_estimated_within_a_pixel(cameras: list[np.ndarray]) -> None:
    estimated = motions(cameras)
    assert np.array_equal(estimated[0], IDENTITY)
    assert worst_error(estimated, cameras) < 0.5


@pytest.mark.parametrize("cameras", MOVES.values(), ids=list(MOVES))
def test_large_people_in_opposite_motion_do_not_bias_the_estimate(cameras: list[np.ndarray]) -> None:
    """They fill half of the image."""
    estimated = motions(
        cameras, lambda i: [(100 + 15 * i, 100, 500 + 15 * i, 720), (700 + 9 * i, 60, 1150 + 9 * i, 720)]
    )
    assert worst_error(estimated, cameras) < 1.5


def test_undetected_people_do_not_bias_the_estimate() -> None:
    """They fill a third of the image and have no boxes."""
    cameras = MOVES["pan"]
    camera = CameraMotion()
    estimated = []
    for i, each in enumerate(cameras):
        image = render(each, [(100 + 15 * i, 100, 600 + 15 * i, 720)], seed=i)
        estimated.append(camera.step(prepare_grey(image), NO_BOXES))
    assert worst_error(np.array(estimated), cameras) < 1.0


@pytest.mark.parametrize("noise", [0.0, 2.0, 8.0])
def test_a_static_camera_has_no_motion(noise: float) -> None:
    estimated = motions([view()] * 12, lambda i: [(100 + 15 * i, 100, 500 + 15 * i, 720)], noise=noise)
    assert (estimated == IDENTITY).all()


def test_a_static_camera_has_no_motion_in_compressed_video() -> None:
    camera = CameraMotion()
    for i in range(12):
        image = render(view(), [(100 + 15 * i, 100, 500 + 15 * i, 720)], seed=i)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 20 + 30 * (i % 3)]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
        assert np.array_equal(camera.step(prepare_grey(image), NO_BOXES), IDENTITY)


def test_a_slow_pan_is_reported_in_steps() -> None:
    cameras = [view(pan=(0.3 * i, 0)) for i in range(20)]
    estimated = motions(cameras)
    steps = (estimated != IDENTITY).any(axis=(1, 2))
    assert 3 < steps.sum() < 10
    assert worst_error(estimated, cameras) < 1.2


def test_without_usable_corners_the_motion_is_the_identity() -> None:
    random = np.random.default_rng(0)
    blank = np.full((720, 1280, 3), 127, np.uint8)
    noise = [np.clip(blank + random.normal(0, 3, blank.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    cut = [render(view()), texture(*SIZE, seed=5), texture(*SIZE, seed=6), blank]
    tiny = [np.zeros((h, w, 3), np.uint8) for h, w in ((1, 1), (1, 1), (5, 3000), (5, 3000))]
    for images in ([blank] * 4, noise, cut, tiny):
        camera = CameraMotion()
        for image in images:
            assert np.array_equal(camera.step(prepare_grey(image), NO_BOXES), IDENTITY)


def test_one_textured_patch_does_not_dominate_the_estimate() -> None:
    camera = CameraMotion()
    for i in range(4):
        image = np.full((720, 1280, 3), 127, np.uint8)
        image[300:420, 500 + 10 * i : 620 + 10 * i] = PERSON[:120, :120]
        assert np.array_equal(camera.step(prepare_grey(image), NO_BOXES), IDENTITY)


def test_motion_is_estimated_again_after_a_cut_or_a_change_of_size() -> None:
    camera = CameraMotion()
    elsewhere = np.ascontiguousarray(WALL[::-1])
    images = [render(view()), elsewhere[:720, :1280], elsewhere[:720, 12:1292], render(view())[::2, ::2].copy()]
    estimated = [camera.step(prepare_grey(image), NO_BOXES) for image in images]
    assert [np.array_equal(motion, IDENTITY) for motion in estimated] == [True, True, False, True]
    assert estimated[2] == pytest.approx(np.array([[1, 0, -12], [0, 1, 0]]), abs=0.3)


def test_image_sizes_that_shrink_to_the_same_size_are_distinguished() -> None:
    camera = CameraMotion()
    for scale in (1, 2):
        image = cv2.resize(render(view()), None, fx=scale, fy=scale)
        assert np.array_equal(camera.step(prepare_grey(image), NO_BOXES), IDENTITY)


def test_the_motion_does_not_depend_on_the_thread() -> None:
    def run(_: int) -> bytes:
        return motions(MOVES["pan, zoom and rotation"][:4]).tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert len({run(0), *threads.map(run, range(4))}) == 1


@pytest.mark.parametrize("name", ["pose2sim_cam01", "pose2sim_cam03", "sports2d_demo"])
def test_the_static_cameras_of_the_real_clips_have_no_motion(shared, name: str) -> None:  # type: ignore[no-untyped-def]
    camera = CameraMotion()
    for frame in open_source(shared / "data" / "clips" / f"{name}.mp4", end_s=1.0, stride=2).frames():
        assert np.array_equal(camera.step(prepare_grey(frame.image), NO_BOXES), IDENTITY)
