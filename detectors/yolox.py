"""YOLOX as a person detector; the network is in networks/yolox.py."""

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
from posetrail.protocols import DETECTION_INTERVAL_S
from posetrail.runtime import Runtime

NAMES = tuple(name for name in NETWORKS if name.startswith("yolox"))

_SOURCE = "https://github.com/Megvii-BaseDetection/YOLOX/releases (0.1.1rc0), Apache-2.0"
_INPUT_SIZES = {"yolox_nano": 416, "yolox_tiny": 416}  # of the published scores; 640 for the others


class YOLOX:
    """Person detector YOLOX; a posetrail.protocols.Detector.

    Args:
        runtime: where the network runs.
        network: "yolox_nano", "yolox_tiny", "yolox_s" or "yolox_m".
        weights: a checkpoint of this network for COCO's 80 classes; the stored one by default. Releases before 0.1.1rc0
            need normalised input and do not fit.
        input_size: pixels of the longer image side; a multiple of 32.
        square: pad to a square, as for the published score; without, 16:9 images take 3/5 of the time.
        min_score: boxes with a lower score are left out (0..1). Low, because the tracker has thresholds of its own.
        nms_iou: of two boxes with a higher IoU, the one with the lower score is removed (0..1).

    Raises:
        InputError: the network is unknown, the weights are missing or of another network, or `input_size` is not a
            multiple of 32.
    """

    interval_s = DETECTION_INTERVAL_S

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
            _, confidences, decoded = self._run(batch)
            for row, (boxes, scores) in zip(rows, decode_yolox(decoded, confidences, self.min_score), strict=True):
                found[row] = self._letterbox.people(boxes, scores, images[row], self.nms_iou)
        return found
