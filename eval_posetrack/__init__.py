"""PoseTrack files, and what they score. Knows no network and nothing of the tracker.

>>> from eval_posetrack import evaluate
>>> evaluate("ground_truth", "predictions").total["MOTA"].total
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from posetrail.lazy import names_from

if TYPE_CHECKING:
    from eval_posetrack.clip import Clip as Clip
    from eval_posetrack.evaluation import evaluate as evaluate
    from eval_posetrack.files import read_clip as read_clip
    from eval_posetrack.files import write_clip as write_clip

_HOMES = {
    "Clip": "eval_posetrack.clip",
    "evaluate": "eval_posetrack.evaluation",
    "read_clip": "eval_posetrack.files",
    "write_clip": "eval_posetrack.files",
}

# `posetrail --help` waits for none of them.
__getattr__ = names_from(__name__, _HOMES)
