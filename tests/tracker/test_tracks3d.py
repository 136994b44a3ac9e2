from __future__ import annotations

import numpy as np
import pytest

from posetrail.skeletons import H36M_17
from tracker.tracks3d import Tracks3D


def rows(frames: list[int], track_id: int) -> Tracks3D:
    T, K = len(frames), len(H36M_17)
    keypoints = np.full((T, K, 3), track_id, float)
    flags = np.zeros(T)
    return Tracks3D(
        H36M_17,
        frames,
        np.array(frames) / 25,
        [track_id] * T,
        keypoints,
        np.ones((T, K)),
        keypoints[:, 0],
        flags,
        flags,
    )


def test_rows_of_several_people_are_joined_frame_by_frame() -> None:
    both = Tracks3D.concatenate([rows([0, 1, 2], 2), rows([1, 2, 3], 1)])
    assert both.frame_indices.tolist() == [0, 1, 1, 2, 2, 3]
    assert both.track_ids.tolist() == [2, 1, 2, 1, 2, 1]
    assert both.of(1).frame_indices.tolist() == [1, 2, 3]
    assert (both.of(1).keypoints == 1).all()
    assert len(both[both.times_s > 0.05]) == 3


def test_no_rows_are_valid() -> None:
    assert len(Tracks3D.empty(H36M_17)) == 0


def test_fields_of_other_lengths_are_refused() -> None:
    good = rows([0, 1], 1)
    with pytest.raises(ValueError, match="same number of people"):
        Tracks3D(H36M_17, [0], *(getattr(good, name) for name in list(good.__dataclass_fields__)[2:]))
