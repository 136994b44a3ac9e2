"""Propagation by optical flow: textured people who move by known steps."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail.errors import InputError
from tests.worlds import Walker, World, line
from tracker.inference.propagation import FlowMethod, boxes_around, create_flow, move_people

WALK = World((Walker(line((100, 80), (240, 60)), size=(80, 200)),), num_frames=10)  # 8 and 2 pixels a frame


@pytest.mark.parametrize("name", ["lk", "dis"])
def test_a_walker_is_propagated_to_the_true_position(name: str) -> None:
    flow = create_flow(name)  # type: ignore[arg-type]
    assert flow is not None
    walker = WALK.walkers[0]
    before, now = (flow.prepare(WALK.frame(i).image) for i in (2, 3))
    moved = move_people(flow, before, now, walker.keypoints(2 / 30)[None].astype(np.float32))
    error = np.linalg.norm(moved[0] - walker.keypoints(3 / 30), axis=1)
    assert np.median(error) < 0.5
    assert np.isfinite(moved).all()


def test_flow_none_gives_no_method() -> None:
    assert create_flow("none") is None


class Step(FlowMethod):
    """Moves everything by (5, 0), and loses points left of `edge`."""

    def __init__(self, edge: float) -> None:
        self.edge = edge

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image

    def move(self, before: object, now: object, points: np.ndarray) -> np.ndarray:
        moved = points + np.array([5, 0], np.float32)
        moved[points[:, 0] < self.edge] = np.nan
        return moved


def test_a_lost_joint_moves_like_the_others_and_a_missing_one_stays_missing() -> None:
    person = np.array([[[0, 0], [10, 0], [20, 0], [30, 0], [np.nan, np.nan]]], np.float32)
    moved = move_people(Step(edge=5), None, None, person)
    assert moved[0, :4, 0].tolist() == [5, 15, 25, 35]
    assert np.isnan(moved[0, 4]).all()


def test_a_person_who_keeps_too_few_joints_is_lost() -> None:
    person = np.array([[[0, 0], [10, 0], [20, 0], [30, 0]]], np.float32)
    assert np.isnan(move_people(Step(edge=15), None, None, person)).all()
    missing = np.full((2, 4, 2), np.nan, np.float32)
    assert np.isnan(move_people(Step(edge=0), None, None, missing)).all()
    assert move_people(Step(edge=0), None, None, np.zeros((0, 4, 2), np.float32)).shape == (0, 4, 2)


def test_a_box_is_enlarged_by_the_margin() -> None:
    joints = np.array([[[0.0, 0], [100, 200]], [[np.nan, np.nan]] * 2])
    boxes = boxes_around(joints, 0.2)
    assert boxes[0].tolist() == [-10, -20, 110, 220]
    assert np.isnan(boxes[1]).all()


def test_raft_without_usable_weights_is_refused_in_one_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"models fetch torchvision:raft_small.* or give --flow-weights FILE"):
        create_flow("raft")
    with pytest.raises(InputError, match="models fetch torchvision:raft_large"):
        create_flow("raft", weights="torchvision:raft_large")
    with pytest.raises(InputError, match=r"cannot be read"):
        create_flow("raft", weights=tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights at all")
    with pytest.raises(InputError, match=r"cannot be read|expected tensors only"):
        create_flow("raft", weights=tmp_path / "text.pth")


def test_raft_moves_points_with_random_weights(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import torch
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    torch.save(raft_small(weights=None).state_dict(), tmp_path / "raft.pth")
    flow = create_flow("raft", weights=tmp_path / "raft.pth")
    assert flow is not None
    image = np.zeros((100, 150, 3), np.uint8)
    prepared = flow.prepare(image)
    points = flow.move(prepared, prepared, np.array([[10.0, 20], [500, 20]], np.float32))
    assert points.shape == (2, 2)
    assert np.isfinite(points[0]).all()
    assert np.isnan(points[1]).all()
