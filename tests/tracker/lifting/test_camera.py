from __future__ import annotations

import numpy as np
import pytest

from tests.functions import recorded
from tracker.lifting.camera import (
    Camera,
    assumed_focal_px,
    camera_to_world,
    focal_of_fov,
    project_distorted,
    sideways,
    translations,
    world_to_camera,
)


def test_translation_equals_the_reference() -> None:
    g = recorded("lift3d_translation")
    side = float(g["image_side"])
    camera = Camera(focal_px=float(g["focal"]), centre=(side / 2, side / 2))
    found = translations(g["pose"][None], g["joints_2d"][None], g["confidence"][None], camera)[0]
    assert found == pytest.approx(g["translation"], rel=1e-5)


def test_projection_and_world_equal_the_reference() -> None:
    g = recorded("lift3d_camera")
    assert project_distorted(g["points"], g["intrinsics"]) == pytest.approx(g["projected"], rel=1e-6)
    fx, _, cx, cy = g["intrinsics"][:4]
    normalised = Camera(focal_px=fx, centre=(cx, cy))
    assert normalised.project(g["points"])[..., 0] == pytest.approx(g["projected_linear"][..., 0], rel=1e-6)
    world = camera_to_world(g["points"], g["rotation_wxyz"], g["translation"])
    assert world == pytest.approx(g["world"], rel=1e-6)
    assert world_to_camera(world, g["rotation_wxyz"], g["translation"]) == pytest.approx(g["camera_again"], rel=1e-6)


def test_a_projected_pose_is_placed_where_it_stood() -> None:
    camera = Camera(focal_px=1000, centre=(640, 360))
    poses = np.random.default_rng(0).normal(0, 0.4, (5, 17, 3))
    places = np.array([[0.5 * t, 0.2, 4 + t] for t in range(5)])
    pixels = camera.project(poses + places[:, None])
    pixels[:, 3], scores = np.nan, np.ones((5, 17))
    assert translations(poses, pixels, scores, camera) == pytest.approx(places)
    assert sideways(poses, places[:, 2], pixels, scores, camera) == pytest.approx(places)


def test_too_few_joints_tell_no_place() -> None:
    camera = Camera(focal_px=1000, centre=(0, 0))
    scores = np.zeros((1, 17))
    scores[0, :2] = 1
    assert np.isnan(translations(np.ones((1, 17, 3)), np.ones((1, 17, 2)), scores, camera)).all()


def test_focal_lengths() -> None:
    assert assumed_focal_px(1080, 1920) == pytest.approx(2208)
    assert focal_of_fov(90, 1000) == pytest.approx(500)
