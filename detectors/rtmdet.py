"""RTMDet as a person detector; the network is in networks/rtmdet.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.decode import decode_rtmdet
from detectors.letterbox import Letterbox, half_up
from detectors.networks import NETWORKS
from detectors.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import unknown_name
from posetrail.frame import Frame, images_of
from posetrail.poses import Detections
from posetrail.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from posetrail.protocols import DETECTION_INTERVAL_S
from posetrail.runtime import Runtime

NAMES = tuple(name for name in NETWORKS if name.startswith("rtmdet"))

_SOURCE = "https://github.com/open-mmlab/mmdetection/tree/main/configs/rtmdet and mmpose's projects, Apache-2.0"
_INPUT_SIZES = {"rtmdet_nano_person": 320}  # of the published score; 640 for the others
_PREPROCESSING = Preprocessing(bgr=True, mean=IMAGENET_MEAN[::-1], std=IMAGENET_STD[::-1])


class RTMDet:
    """Person detector RTMDet; a posetrail.protocols.Detector.

    Args:
        runtime: where the network runs.
        network: "rtmdet_tiny", "rtmdet_s" or "rtmdet_m" for COCO's 80 classes; "rtmdet_nano_person" or
            "rtmdet_m_person" for people only.
        weights: a checkpoint of this network; the stored one by default.
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
        network: str = "rtmdet_m_person",
        weights: Path | str | None = None,
        input_size: int | None = None,
        square: bool = True,
        min_score: float = 0.05,
        nms_iou: float = 0.6,
    ) -> None:
        if network not in NAMES:
            raise unknown_name("network", network, NAMES)
        self._letterbox = Letterbox(input_size or _INPUT_SIZES.get(network, 640), square, rounding=half_up)
        self.weights = given_weights(network, weights, source=_SOURCE, table=PUBLISHED)
        self.min_score = min_score
        self.nms_iou = nms_iou
        from posetrail.layers import FromBytes

        module = NETWORKS[network]()
        load_into(module, load_checkpoint(self.weights.path), self.weights.path)
        self._run = runtime.load_module(FromBytes(module, _PREPROCESSING))

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame: boxes in pixels, inside the image, highest score first."""
        images = images_of(frames)
        found = [Detections.empty()] * len(images)
        for rows, batch in self._letterbox.batches(images):
            answers = self._run(batch)
            levels = list(zip(answers[::2], answers[1::2], strict=True))
            for row, (boxes, scores) in zip(rows, decode_rtmdet(levels, self.min_score), strict=True):
                found[row] = self._letterbox.people(boxes, scores, images[row], self.nms_iou)
        return found
