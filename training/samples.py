"""Samples: annotated people of one or more data sets, as arrays with one row per person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from pathlib import Path

import numpy as np

from posetrail.joint_mapping import meaning
from posetrail.similarity import box_area
from posetrail.skeletons import Skeleton

NOT_LABELLED, OCCLUDED, VISIBLE = 0, 1, 2  # values of `Samples.visibility`, as in COCO
_AREA_PER_BOX = 0.53  # area of a person per area of the box, as in the evaluations of CrowdPose and AI Challenger


def _not_given() -> np.ndarray:
    return np.zeros(0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples:
    """N annotated people in I images.

    `samples[rows]` selects people in every field; all images are kept, because images without people are data, too.
    A coordinate of 0 is the centre of the first pixel, as in the crops of `estimators/affine.py`.

    Raises:
        ValueError: an array has another shape than documented here, a row refers to an image that does not exist, or a
            joint has a position but no visibility, or the other way round.
    """

    name: str  # of the data set or its format
    skeleton: Skeleton
    images: tuple[Path, ...]  # (I,)
    image_sizes: np.ndarray = field(default_factory=_not_given)  # (I, 2) int32 width, height; 0 where not known
    ignore_regions: tuple[tuple[np.ndarray, ...], ...] = ()  # (I,) polygons (V, 2) without annotations, of each image
    crowd_indices: np.ndarray = field(default_factory=_not_given)  # (I,) float32 0..1 of CrowdPose; NaN where not known
    image_rows: np.ndarray  # (N,) int32 the image of each person, a position in `images`
    boxes: np.ndarray  # (N, 4) float32 x1 y1 x2 y2 pixels
    keypoints: np.ndarray  # (N, K, 2) float32 pixels; NaN where not labelled
    visibility: np.ndarray  # (N, K) uint8: 0 not labelled, 1 occluded, 2 visible
    areas: np.ndarray = field(default_factory=_not_given)  # (N,) float32 pixels^2; NaN where not known
    is_crowd: np.ndarray = field(default_factory=_not_given)  # (N,) bool: a group of people in one box
    head_sizes: np.ndarray = field(default_factory=_not_given)  # (N,) float32 pixels, of PCKh; NaN where not known
    track_ids: np.ndarray = field(default_factory=_not_given)  # (N,) int64 within a clip, -1 where there is none
    ids: np.ndarray = field(default_factory=_not_given)  # (N,) int64 of the annotation in its file, -1 where none
    is_test: np.ndarray = field(default_factory=_not_given)  # (N,) bool: test part of a file that has both parts
    notes: tuple[str, ...] = ()  # on people who were left out, and on values that were replaced

    def __post_init__(self) -> None:
        N, I, K = len(self.keypoints), len(self.images), len(self.skeleton)  # noqa: E741
        absent: dict[str, float] = {
            "crowd_indices": np.nan,
            "areas": np.nan,
            "head_sizes": np.nan,
            "track_ids": -1,
            "ids": -1,
        }
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "image_sizes": (np.int32, (I, 2)),
            "crowd_indices": (np.float32, (I,)),
            "image_rows": (np.int32, (N,)),
            "boxes": (np.float32, (N, 4)),
            "keypoints": (np.float32, (N, K, 2)),
            "visibility": (np.uint8, (N, K)),
            "areas": (np.float32, (N,)),
            "is_crowd": (np.bool_, (N,)),
            "head_sizes": (np.float32, (N,)),
            "track_ids": (np.int64, (N,)),
            "ids": (np.int64, (N,)),
            "is_test": (np.bool_, (N,)),
        }
        for name, (dtype, shape) in shapes.items():
            given: np.ndarray = getattr(self, name)
            if given.size == 0 and name in _OPTIONAL:
                given = np.full(shape, absent.get(name, 0))
            value: np.ndarray = np.asarray(given, dtype)
            if value.shape != shape:
                raise ValueError(f"Samples.{name}: expected shape {shape}, got {value.shape}")
            object.__setattr__(self, name, value)
        if not self.ignore_regions:
            object.__setattr__(self, "ignore_regions", ((),) * I)
        if len(self.ignore_regions) != I:
            raise ValueError(
                f"Samples.ignore_regions: expected {I} entries, one for each image, got {len(self.ignore_regions)}"
            )
        if N and not (self.image_rows.min() >= 0 and self.image_rows.max() < I):
            raise ValueError(f"Samples.image_rows: expected positions in {I} images, got others")
        if (np.isfinite(self.keypoints).all(axis=2) != (self.visibility > NOT_LABELLED)).any():
            raise ValueError("Samples.visibility: expected 0 exactly for the joints at NaN, got other values")

    def __len__(self) -> int:
        """N, the number of people."""
        return len(self.keypoints)

    def __getitem__(self, rows: np.ndarray | slice) -> Samples:
        """The people of these rows: a mask (N,), row numbers or a slice. All images are kept."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _OF_PEOPLE})

    @property
    def labelled(self) -> np.ndarray:
        """(N, K) bool: joints that have a position."""
        return self.visibility > NOT_LABELLED

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: single people with at least one labelled joint and a box that is not empty."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return ~self.is_crowd & self.labelled.any(axis=1) & (sides > 0).all(axis=1)

    @property
    def oks_areas(self) -> np.ndarray:
        """(N,) pixels^2: the areas; 0.53 of the box where the data set gives none, as CrowdPose's evaluation does."""
        return np.where(np.isnan(self.areas), _AREA_PER_BOX * box_area(self.boxes), self.areas)

    def mapped_to(self, skeleton: Skeleton) -> Samples:
        """The same people with the joints of another skeleton, by name; joints that only it has are not labelled.

        No joint is computed from others, unlike in `posetrail.joint_mapping.mapped`: a network would learn the guess.

        Raises:
            ValueError: no joint has the same name in both.
        """
        columns = {meaning(self.skeleton, joint): k for k, joint in enumerate(self.skeleton.joints)}
        source = np.array([columns.get(meaning(skeleton, joint), -1) for joint in skeleton.joints])
        if (source < 0).all():
            raise ValueError(f"skeletons {self.skeleton.name} and {skeleton.name} have no joint of the same name")
        known = source >= 0
        keypoints = np.where(known[:, None], self.keypoints[:, source], np.nan)
        return replace(
            self, skeleton=skeleton, keypoints=keypoints, visibility=np.where(known, self.visibility[:, source], 0)
        )

    @staticmethod
    def concatenate(parts: Sequence[Samples]) -> Samples:
        """The people and images of several data sets together, with the joints that any of them has.

        Joints of the same name become one. A joint that a data set does not have is not labelled in its people.

        Raises:
            ValueError: there is no part, or two parts pair one joint with different mirror images.
        """
        if not parts:
            raise ValueError("Samples.concatenate: expected at least one part, got none")
        skeleton = reduce(united, (part.skeleton for part in parts))
        parts = [part if part.skeleton is skeleton else part.mapped_to(skeleton) for part in parts]
        starts = np.cumsum([0, *(len(part.images) for part in parts)])
        together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OF_PEOPLE}
        together["image_rows"] = np.concatenate(
            [part.image_rows + start for part, start in zip(parts, starts, strict=False)]
        )
        return Samples(
            name="+".join(dict.fromkeys(part.name for part in parts)),
            skeleton=skeleton,
            images=tuple(path for part in parts for path in part.images),
            image_sizes=np.concatenate([part.image_sizes for part in parts]),
            ignore_regions=tuple(regions for part in parts for regions in part.ignore_regions),
            crowd_indices=np.concatenate([part.crowd_indices for part in parts]),
            notes=tuple(note for part in parts for note in part.notes),
            **together,
        )


_OPTIONAL = frozenset(each.name for each in fields(Samples) if each.default_factory is _not_given)
_OF_IMAGES = ("image_sizes", "crowd_indices")
_OF_PEOPLE = tuple(each.name for each in fields(Samples) if each.type == "np.ndarray" and each.name not in _OF_IMAGES)


def united(first: Skeleton, second: Skeleton) -> Skeleton:
    """A skeleton with the joints of both, those of the first one in front; `first` itself if it has them all.

    Joints are the same if they are at the same place of the body: the "head_bottom" of PoseTrack is the neck.

    Raises:
        ValueError: the two pair one joint with different mirror images.
    """
    names = [{joint: meaning(each, joint) for joint in each.joints} for each in (first, second)]
    joints = tuple(dict.fromkeys([*names[0].values(), *names[1].values()]))
    if joints == first.joints or first.joints == second.joints:
        return first
    sigmas: dict[str, float] = {}
    pairs: dict[frozenset[str], tuple[str, str]] = {}
    limbs: dict[frozenset[str], tuple[str, str]] = {}
    for each, name in zip((second, first), (names[1], names[0]), strict=True):
        sigmas |= {name[joint]: sigma for joint, sigma in zip(each.joints, each.oks_sigmas, strict=True)}
        pairs |= {frozenset((name[a], name[b])): (name[a], name[b]) for a, b in each.mirror_pairs}
        limbs |= {frozenset((name[a], name[b])): (name[a], name[b]) for a, b in each.limbs}
    return Skeleton(
        name=first.name if first.name == second.name else f"{first.name}+{second.name}",
        joints=joints,
        limbs=tuple(limbs.values()),
        oks_sigmas=tuple(sigmas[joint] for joint in joints),
        mirror_pairs=tuple(pairs.values()),
    )
