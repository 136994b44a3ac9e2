"""Samples: selection, mapping and union of joints by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from posetrail.skeletons import COCO_17, CROWDPOSE_14, MPII_16, POSETRACK_15, POSETRACK_18, Skeleton
from training.samples import Samples, united


def people(skeleton: Skeleton, N: int = 2, name: str = "invented") -> Samples:
    """N people in two images, each joint at (its number, that of the person)."""
    keypoints = np.stack(np.meshgrid(np.arange(len(skeleton)), np.arange(N)), axis=2).astype(float)
    visibility = np.full((N, len(skeleton)), 2)
    keypoints[0, 0], visibility[0, 0], visibility[-1, 1] = np.nan, 0, 1
    return Samples(
        name=name,
        skeleton=skeleton,
        images=(Path(f"{name}_0.jpg"), Path(f"{name}_1.jpg")),
        image_rows=np.arange(N) % 2,
        boxes=np.tile([0, 0, 10, 20], (N, 1)),
        keypoints=keypoints,
        visibility=visibility,
        track_ids=np.arange(N),
    )


def test_rows_are_selected_in_every_field_and_all_images_are_kept() -> None:
    samples = people(COCO_17, N=4)
    chosen = samples[np.array([False, True, False, True])]
    assert (len(chosen), len(chosen.images)) == (2, 2)
    assert chosen.track_ids.tolist() == [1, 3]
    assert chosen.image_rows.tolist() == [1, 1]
    assert len(samples[1:]) == 3


def test_joints_are_mapped_by_name_and_never_computed() -> None:
    mapped = people(POSETRACK_18).mapped_to(CROWDPOSE_14)
    neck, top = CROWDPOSE_14.index("neck"), CROWDPOSE_14.index("head_top")
    assert mapped.keypoints[1, neck, 0] == POSETRACK_18.index("head_bottom")
    assert mapped.keypoints[1, top, 0] == POSETRACK_18.index("head_top")
    onto_mpii = people(COCO_17).mapped_to(MPII_16)
    for joint in ("pelvis", "thorax", "neck", "head_top"):
        assert (onto_mpii.visibility[:, MPII_16.index(joint)] == 0).all()
    assert onto_mpii.keypoints[1, MPII_16.index("left_knee"), 0] == COCO_17.index("left_knee")
    with pytest.raises(ValueError, match="have no joint of the same name"):
        people(COCO_17).mapped_to(Skeleton(name="x", joints=("tail",), limbs=(), oks_sigmas=(0.1,)))


def test_data_sets_are_united_by_the_names_of_joints() -> None:
    parts = [people(COCO_17, name="a"), people(POSETRACK_18, name="b"), people(MPII_16, name="c")]
    together = Samples.concatenate(parts)
    assert len(together) == 6
    assert together.name == "a+b+c"
    assert together.skeleton.joints == (*COCO_17.joints, "neck", "head_top", "pelvis", "thorax")
    assert ("left_eye", "right_eye") in together.skeleton.mirror_pairs
    assert together.image_rows.tolist() == [0, 1, 2, 3, 4, 5]
    for part, rows in zip(parts, (slice(0, 2), slice(2, 4), slice(4, 6)), strict=True):
        back = together[rows].mapped_to(part.skeleton)
        np.testing.assert_array_equal(back.keypoints, part.keypoints)
        np.testing.assert_array_equal(back.visibility, part.visibility)


def test_one_skeleton_stays_the_same_object() -> None:
    assert Samples.concatenate([people(POSETRACK_18), people(POSETRACK_18)]).skeleton is POSETRACK_18
    assert united(COCO_17, COCO_17) is COCO_17
    assert set(united(POSETRACK_15, COCO_17).joints) > set(COCO_17.joints)


def test_usable_people_have_a_joint_a_box_and_are_no_crowd() -> None:
    samples = people(COCO_17, N=4)
    nothing = np.where(np.arange(4) == 1, 0, 1)[:, None] * samples.visibility
    samples = replace(
        samples,
        visibility=nothing,
        keypoints=np.where(nothing[:, :, None] > 0, samples.keypoints, np.nan),
        is_crowd=np.array([0, 0, 1, 0]),
        boxes=np.array([[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9], [5, 5, 5, 9]]),
    )
    assert samples.usable.tolist() == [True, False, False, False]


def test_wrong_arrays_are_refused() -> None:
    samples = people(COCO_17)
    for change, line in (
        ({"boxes": np.zeros((3, 4))}, r"Samples.boxes: expected shape \(2, 4\), got \(3, 4\)"),
        ({"image_rows": np.array([0, 2])}, "Samples.image_rows: expected positions in 2 images"),
        ({"visibility": np.full((2, 17), 2)}, "Samples.visibility: expected 0 exactly for the joints at NaN"),
        ({"ignore_regions": ((),)}, "Samples.ignore_regions: expected 2 entries"),
    ):
        with pytest.raises(ValueError, match=line):
            replace(samples, **change)
    with pytest.raises(ValueError, match="at least one part"):
        Samples.concatenate([])
