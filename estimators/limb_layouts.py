"""Limbs of OpenPose's networks in the order of their grouping, and the fields of each.

As in the published deploy files and, for the order, their grouping code. A redundant limb closes a loop, such as from
shoulder to ear: it joins people and adds joints to them, but starts none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.skeletons import BODY_25, BODY_135, OPENPOSE_18, OPENPOSE_MPI_15, Skeleton


@dataclass(frozen=True, eq=False)
class LimbLayout:
    """Joints, limbs and maps of a network with part affinity fields."""

    skeleton: Skeleton
    """Of the network's heatmaps; a map of the background may follow."""
    limbs: np.ndarray
    """(L, 2) int, start and end joint of each limb, in the order of grouping."""
    fields: np.ndarray
    """(L,) int, which pair of the network's field maps, x and y, each limb has."""
    not_starting: frozenset[int]
    """Positions in `limbs` of those that do not start a person."""

    def __len__(self) -> int:
        """L, the number of limbs."""
        return len(self.limbs)


def _layout(
    skeleton: Skeleton, limbs: str, fields: tuple[int, ...] | None = None, redundant: str = "", body: int | None = None
) -> LimbLayout:
    """A layout from limbs written as "1-8 1-2".

    Args:
        skeleton: of the joints.
        limbs: pairs of joints.
        fields: as of LimbLayout; by default in the order of the limbs.
        redundant: those limbs that start no person.
        body: number of the first joints that start people; by default all.
    """
    pairs = [tuple(map(int, each.split("-"))) for each in limbs.split()]
    closing = [tuple(map(int, each.split("-"))) for each in redundant.split()]
    not_starting = {i for i, pair in enumerate(pairs) if pair in closing or max(pair) >= (body or len(skeleton))}
    return LimbLayout(
        skeleton=skeleton,
        limbs=np.array(pairs),
        fields=np.arange(len(pairs)) if fields is None else np.array(fields),
        not_starting=frozenset(not_starting),
    )


LAYOUTS = {
    "limbs_18": _layout(
        OPENPOSE_18,
        "1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 15-17 2-16 5-17",
        fields=(6, 10, 7, 8, 11, 12, 0, 1, 2, 3, 4, 5, 14, 15, 17, 16, 18, 9, 13),
        redundant="2-16 5-17",
    ),
    "limbs_15": _layout(OPENPOSE_MPI_15, "0-1 1-2 2-3 3-4 1-5 5-6 6-7 1-14 14-8 8-9 9-10 14-11 11-12 12-13"),
    "limbs_25": _layout(
        BODY_25,
        "1-8 1-2 1-5 2-3 3-4 5-6 6-7 8-9 9-10 10-11 8-12 12-13 13-14 1-0 0-15 15-17 0-16 16-18 2-17 5-18 14-19 19-20 "
        "14-21 11-22 22-23 11-24",
        fields=(0, 7, 11, 8, 9, 12, 13, 3, 1, 2, 4, 5, 6, 15, 16, 18, 17, 19, 10, 14, 20, 21, 22, 23, 24, 25),
        redundant="2-17 5-18",
    ),
    "limbs_135": _layout(
        BODY_135,
        "0-1 0-2 1-3 2-4 0-5 0-6 5-7 6-8 7-9 8-10 5-11 6-12 11-13 12-14 13-15 14-16 15-19 19-20 15-21 16-22 22-23 "
        "16-24 5-17 17-18 6-17 3-4 3-5 4-6 5-9 6-10 9-10 9-11 10-12 11-12 15-16 "
        # left hand, right hand
        "9-25 25-26 26-27 27-28 9-29 29-30 30-31 31-32 9-33 33-34 34-35 35-36 9-37 37-38 38-39 39-40 9-41 41-42 42-43 "
        "43-44 10-45 45-46 46-47 47-48 10-49 49-50 50-51 51-52 10-53 53-54 54-55 55-56 10-57 57-58 58-59 59-60 10-61 "
        "61-62 62-63 63-64 "
        # face
        "0-95 2-104 1-107 65-66 66-67 67-68 68-69 69-70 70-71 71-72 72-73 73-74 74-75 75-76 76-77 77-78 78-79 79-80 "
        "80-81 65-82 81-91 82-83 83-84 84-85 85-86 86-87 87-88 88-89 89-90 90-91 86-92 87-92 92-93 93-94 94-95 95-98 "
        "98-97 97-96 98-99 99-100 92-104 92-107 101-102 102-103 103-104 104-105 105-106 107-108 108-109 109-110 "
        "110-111 111-112 98-116 113-114 114-115 115-116 116-117 117-118 118-119 119-120 120-121 121-122 122-123 "
        "123-124 113-125 119-129 125-126 126-127 127-128 128-129 129-130 130-131 131-132 101-133 104-133 107-134 "
        "110-134",
        redundant="6-17 3-4 3-5 4-6 5-9 6-10 9-10 9-11 10-12 11-12 15-16",
        body=25,
    ),
}
"""By the name of the grouping in `whole_image.WholeImage`."""
