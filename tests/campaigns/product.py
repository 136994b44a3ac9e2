"""The command `posetrail` with networks that cost nothing and, if asked for, a disturbed machine.

`python -m tests.campaigns.product '{"slow_s": 0.02, "disturbances": ["clock=jumps"]}' track CLIP -o OUT` runs it in a
new process; the campaigns mostly fork one that has imported everything, which takes a twentieth of the time.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from detectors import create_detector
from detectors.published import PUBLISHED as DETECTORS
from estimators.published import PUBLISHED as ESTIMATORS
from posetrail.frame import Frame, Image
from posetrail.poses import Detections, Poses
from posetrail.protocols import Detector
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17, Skeleton
from tracker.batch import batch, workers  # noqa: F401 imported before a fork, not after each
from tracker.cli import batch as batch_command  # noqa: F401
from tracker.cli.app import main
from tracker.inference.propagation import create_flow
from tracker.runs import draw, folder, follow, networks, track  # noqa: F401
from tracker.settings import Settings

from ..worlds import STANDING
from . import audit, disturbances

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRID = 4  # people stand where a picture is darkest and where it is brightest, of so many by so many tiles


@dataclass(frozen=True, kw_only=True)
class Product:
    """How the product is started."""

    slow_s: float = 0.0
    """Seconds that the detector takes for a batch of frames: a longer run to disturb."""
    disturbances: tuple[str, ...] = ()
    """NAME=VALUE, as tests/campaigns/disturbances.py has them."""
    weights: dict[str, tuple[str, str]] | None = None
    """Published names whose file is elsewhere: url and sha256 of each."""
    audit: str = ""
    """File to which paths opened or changed are written; see tests/campaigns/audit.py."""

    def run(self, arguments: Sequence[str]) -> NoReturn:
        if self.audit:
            audit.install(Path(self.audit))
        open_fake = partial(fake_networks, slow_s=self.slow_s)
        networks.open_networks = open_fake
        workers.track_in_processes = partial(workers.track_in_processes, open_networks=open_fake, start_method="fork")
        for name, (url, sha256) in (self.weights or {}).items():
            table = DETECTORS if name in DETECTORS else ESTIMATORS
            table[name] = replace(table[name], url=url, sha256=(sha256,) if sha256 else ())
        for disturbance in self.disturbances:
            disturbances.install(disturbance)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # blocked at a fork: what comes early comes now
        main(list(arguments))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Product:
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "disturbances": tuple(values.get("disturbances", ()))})


@contextmanager
def fake_networks(settings: Settings, *, slow_s: float) -> Iterator[networks.Networks]:
    """Networks that cost nothing; a detector that is asked for by its name or file is the real one."""
    chosen = settings.networks
    with Runtime("cpu", 1) as runtime:
        detector: Detector = TileDetector(slow_s)
        if chosen.detector != "auto":
            weights = {"weights": chosen.detector_weights} if chosen.detector_weights else {}
            detector = create_detector(chosen.detector, runtime=runtime, **weights)
        yield networks.Networks(detector, StandingEstimator(), create_flow("lk"), (), "cpu")


@dataclass(frozen=True)
class TileDetector:
    """Finds two people in a picture, in its darkest and its brightest tile; none where all tiles are equal."""

    slow_s: float

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        time.sleep(self.slow_s)
        return [self._detect(frame.image) for frame in frames]

    def _detect(self, image: Image) -> Detections:
        height, width, _ = image.shape
        tall, wide = max(1, height // GRID), max(1, width // GRID)
        tiles = image[: tall * GRID, : wide * GRID].mean(axis=2)
        tiles = tiles[: tiles.shape[0] // tall * tall, : tiles.shape[1] // wide * wide]
        means = tiles.reshape(-1, tall, tiles.shape[1] // wide, wide).mean(axis=(1, 3))
        places = {int(means.argmin()), int(means.argmax())} if np.ptp(means) > 1 else set()
        rows, columns = np.divmod(np.array(sorted(places), int), means.shape[1])
        corners = np.stack([columns * wide, rows * tall], axis=1)
        return Detections(
            np.hstack([corners, corners + np.array([wide, tall])]).reshape(-1, 4), np.full(len(places), 0.9)
        )


class StandingEstimator:
    """Everybody stands upright in their box."""

    skeleton: Skeleton = COCO_17

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        return [self._place(each) for each in boxes]

    def _place(self, boxes: np.ndarray) -> Poses:
        n = len(boxes)
        keypoints = boxes[:, None, :2] + STANDING * (boxes[:, None, 2:] - boxes[:, None, :2])
        return Poses(keypoints, np.full((n, len(STANDING)), 0.9), boxes, np.ones(n), np.zeros(n))


if __name__ == "__main__":
    Product.from_json(sys.argv[1]).run(sys.argv[2:])
