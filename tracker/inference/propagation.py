"""Propagation of people from one frame into the next by optical flow, and boxes around the moved joints.

Simple Baselines (Xiao, Wu, Wei, ECCV 2018, section 3.1) moves the last frame's joints by FlowNet2S and takes their
bounding box with a margin. Here, Lucas-Kanade at the joints alone does the same in about a millisecond: pyramidal
(Bouguet 2001), forward and backward, a joint that does not return to its start is lost (forward-backward error, Kalal,
Mikolajczyk, Matas, ICPR 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import cv2
import numpy as np

from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import InputError, unknown_name
from posetrail.frame import Image
from posetrail.similarity import grown_boxes, keypoint_boxes
from tracker.inference.flow_weights import PUBLISHED
from tracker.settings import Flow

_LONG_SIDE_PX = 960  # of the image in which flow is computed; larger ones take longer without better poses
_LK_WINDOW_PX = 21
_LK_LEVELS = 4
_MAX_ROUND_TRIP_PX = 1.5  # at flow size: a joint with a larger forward-backward error is lost
_RAFTS = ("torchvision:raft_small", "torchvision:raft_large")  # names in the store; the first is the default
_MIN_KEPT = 3  # a person is lost who keeps fewer joints than this ...
_MIN_KEPT_SHARE = 0.25  # ... or a smaller share of them


@dataclass(frozen=True)
class FlowImage:
    """An image prepared for optical flow, at flow size."""

    grey: np.ndarray  # (h, w) uint8
    scale: float  # its size relative to the original
    tensor: Any = None  # of methods that need colours

    def same_size(self, other: FlowImage) -> bool:
        """Whether the originals have the same size."""
        return self.grey.shape == other.grey.shape and self.scale == other.scale


class FlowMethod(Protocol):
    """Moves points from one image to the next; each image is prepared once and used twice."""

    def prepare(self, image: Image) -> FlowImage:
        """Prepare an image for `move`."""

    def move(self, before: FlowImage, now: FlowImage, points: np.ndarray) -> np.ndarray:
        """Points (P, 2) pixels of the earlier image, moved to this image; NaN where lost."""


def _shrunk(image: Image) -> tuple[Image, float]:
    """The image at flow size, and its size relative to the original."""
    scale = min(1.0, _LONG_SIDE_PX / max(image.shape[:2]))
    if scale == 1.0:
        return image, 1.0
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), scale


def prepare_grey(image: Image) -> FlowImage:
    """A grey image at flow size."""
    small, scale = _shrunk(image)
    return FlowImage(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), scale)


class LucasKanade:
    """Sparse pyramidal Lucas-Kanade with a forward-backward check."""

    def prepare(self, image: Image) -> FlowImage:
        """Grey, at flow size."""
        return prepare_grey(image)

    def move(self, before: FlowImage, now: FlowImage, points: np.ndarray) -> np.ndarray:
        """Points (P, 2) moved; NaN where the forward-backward error is too large."""
        start = np.ascontiguousarray(points * before.scale, dtype=np.float32).reshape(-1, 1, 2)
        forward, found = self._lk(before.grey, now.grey, start)
        backward, found_back = self._lk(now.grey, before.grey, forward)
        round_trip = np.linalg.norm((backward - start).reshape(-1, 2), axis=1)
        lost = ~(found & found_back & (round_trip <= _MAX_ROUND_TRIP_PX))
        moved = forward.reshape(-1, 2) / before.scale
        moved[lost] = np.nan
        return moved

    @staticmethod
    def _lk(before: np.ndarray, now: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.03)
        window = (_LK_WINDOW_PX, _LK_WINDOW_PX)
        moved, found, _ = cv2.calcOpticalFlowPyrLK(
            before,
            now,
            points,
            None,
            winSize=window,
            maxLevel=_LK_LEVELS,
            criteria=criteria,  # type: ignore[call-overload]
        )
        return moved, found.ravel() == 1


def _sampled(flow: np.ndarray, scale: float, points: np.ndarray) -> np.ndarray:
    """Points (P, 2) moved by a dense flow (h, w, 2) at flow size; NaN outside the image."""
    at = np.ascontiguousarray(points * scale, dtype=np.float32)
    h, w = flow.shape[:2]
    # remap's maps may have at most 32767 columns, so the points are the rows of a single column
    shift = cv2.remap(flow, at[:, None, 0], at[:, None, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved = (at + shift.reshape(-1, 2)) / scale
    outside = ((at < 0) | (at > [w - 1, h - 1])).any(axis=1)
    moved[outside] = np.nan
    return moved


class DenseInverseSearch:
    """Dense inverse search (Kroeger et al., ECCV 2016), sampled at the joints."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def prepare(self, image: Image) -> FlowImage:
        """Grey, at flow size."""
        return prepare_grey(image)

    def move(self, before: FlowImage, now: FlowImage, points: np.ndarray) -> np.ndarray:
        """Points (P, 2) moved; NaN outside the image."""
        return _sampled(self._dis.calc(before.grey, now.grey, None), before.scale, points)  # type: ignore[call-overload]


class Raft:
    """RAFT (Teed and Deng, ECCV 2020) as torchvision has it, sampled at the joints.

    Args:
        weights: a file with weights of torchvision's raft_small or raft_large, or their name in the store; raft_small's
            from the store if None.
        device: "cpu" or "cuda".

    Raises:
        InputError: the weights are missing, damaged or of another network.
    """

    def __init__(self, weights: Path | str | None, device: str) -> None:
        from torchvision.models.optical_flow import raft_large, raft_small

        name = str(weights) if str(weights) in _RAFTS else _RAFTS[0]
        self.weights = given_weights(name, weights, source="optical flow", table=PUBLISHED)
        state = load_checkpoint(self.weights.path)
        for build in (raft_small, raft_large):
            network = build(weights=None)
            if network.state_dict().keys() == state.keys():
                break
        else:
            raise InputError(
                f"flow raft: expected weights of torchvision's raft_small or raft_large, got {self.weights.path}"
            )
        load_into(network, state, self.weights.path)
        self._network = network.eval().to(device)
        self._device = device

    def prepare(self, image: Image) -> FlowImage:
        """With a (1, 3, h, w) tensor in -1..1, padded to multiples of 8 and 128 at least, as RAFT needs."""
        import torch

        small, scale = _shrunk(image)
        h, w = small.shape[:2]
        pad = ((0, -h % 8 if h >= 128 else 128 - h), (0, -w % 8 if w >= 128 else 128 - w), (0, 0))
        padded = np.pad(small, pad, mode="edge")
        tensor = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
        return FlowImage(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), scale, tensor.to(self._device))

    def move(self, before: FlowImage, now: FlowImage, points: np.ndarray) -> np.ndarray:
        """Points (P, 2) moved; NaN outside the (padded) image."""
        import torch

        with torch.inference_mode():
            flow = self._network(before.tensor, now.tensor)[-1][0].permute(1, 2, 0)
        return _sampled(np.ascontiguousarray(flow.cpu().numpy()), before.scale, points)


def create_flow(name: Flow, *, weights: Path | str | None = None, device: str = "cpu") -> FlowMethod | None:
    """The optical flow method of this name; None for "none".

    Raises:
        InputError: the name is unknown, or the weights of RAFT cannot be used.
    """
    if name == "lk":
        return LucasKanade()
    if name == "dis":
        return DenseInverseSearch()
    if name == "raft":
        return Raft(weights, device)
    if name == "none":
        return None
    raise unknown_name("flow", name, get_args(Flow))


def move_people(flow: FlowMethod, before: FlowImage, now: FlowImage, keypoints: np.ndarray) -> np.ndarray:
    """Keypoints (M, K, 2) of the earlier image, moved to this image.

    A joint that flow lost moves by the median of the same person's other joints; of a person who keeps too few joints
    all are lost (NaN). Missing joints stay missing.
    """
    M, K, _ = keypoints.shape
    present = np.isfinite(keypoints).all(axis=2)
    moved = np.full((M, K, 2), np.nan, np.float32)
    if not present.any():
        return moved
    moved[present] = flow.move(before, now, keypoints[present])
    kept = np.all(np.isfinite(moved), axis=2)
    enough = kept.sum(axis=1) >= np.maximum(_MIN_KEPT, _MIN_KEPT_SHARE * present.sum(axis=1))
    for person in np.flatnonzero(enough & (kept != present).any(axis=1)):
        shift = np.median((moved - keypoints)[person, kept[person]], axis=0)
        lost = present[person] & ~kept[person]
        moved[person, lost] = keypoints[person, lost] + shift
    moved[~enough] = np.nan
    return moved


def boxes_around(keypoints: np.ndarray, margin: float) -> np.ndarray:
    """Bounding boxes (M, 4) of keypoints (M, K, 2), enlarged by the share `margin`; NaN for people without joints."""
    return grown_boxes(keypoint_boxes(keypoints), margin)


def in_image(boxes: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Which boxes (M,) overlap the image; False for NaN."""
    height, width = image_shape[:2]
    clipped = np.clip(boxes, 0, [width, height, width, height])
    return np.all(clipped[:, 2:] > clipped[:, :2], axis=1)
