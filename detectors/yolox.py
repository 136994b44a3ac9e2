"""YOLOX as a person detector, with weights that the user has. The network is in networks/yolox.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.decode import decode_yolox
from detectors.letterbox import Letterbox
from detectors.networks import NETWORKS
from detectors.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import unknown_name
from posetrail.frame import Frame, images_of
from posetrail.poses import Detections
from posetrail.preprocessing import Preprocessing
from posetrail.runtime import Runtime

NAMES = tuple(name for name in NETWORKS if name.startswith("yolox"))

_SOURCE = "https://github.com/Megvii-BaseDetection/YOLOX/releases (0.1.1rc0), Apache-2.0"
_INPUT_SIZES = {"yolox_nano": 416, "yolox_tiny": 416}  # at which they were scored; the others at 640


class YOLOX:
    """Person boxes by YOLOX; a posetrail.protocols.Detector.

    Args:
        runtime: where the network runs.
        network: "yolox_nano", "yolox_tiny", "yolox_s" or "yolox_m".
        weights: a checkpoint of this network for COCO's 80 classes, of release 0.1.1rc0 or later: earlier ones want
            their input normalised.
        input_size: the image's longer side is scaled to so many pixels; a multiple of 32.
        square: fill up to a square, as was done when it was scored; False takes 3/5 of the time for 16:9 images.
        min_score: boxes below it are not reported (0..1). Low, since the tracker has thresholds of its own.
        nms_iou: of two boxes that overlap more than this only the better stays (box IoU, 0..1).

    Raises:
        InputError: no such network; no weights, or not those of this network; `input_size` is no multiple of 32.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        network: str = "yolox_s",
        weights: Path | str | None = None,
        input_size: int | None = None,
        square: bool = True,
        min_score: float = 0.05,
        nms_iou: float = 0.65,
    ) -> None:
        if network not in NAMES:
            raise unknown_name("network", network, NAMES)
        self._letterbox = Letterbox(input_size or _INPUT_SIZES.get(network, 640), square, rounding=int)
        self.weights = given_weights(network, weights, source=_SOURCE, table=PUBLISHED)
        self.min_score = min_score
        self.nms_iou = nms_iou
        from posetrail.layers import FromBytes

        module = NETWORKS[network]()
        load_into(module, load_checkpoint(self.weights.path), self.weights.path)
        self._run = runtime.load_module(FromBytes(module, Preprocessing(bgr=True)))

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame: boxes in pixels, inside the image, highest score first."""
        images = images_of(frames)
        found = [Detections.empty()] * len(images)
        for rows, batch in self._letterbox.batches(images):
            _, sure, decoded = self._run(batch)
            for row, (boxes, scores) in zip(rows, decode_yolox(decoded, sure, self.min_score), strict=True):
                found[row] = self._letterbox.people(boxes, scores, images[row], self.nms_iou)
        return found
