"""Every switch of the tracker, each default written once: flags, the TOML file and run.json all come from here.

Two frozen dataclasses, one per stage: `SeeSettings` decides what is seen and needs pixels again when it changes;
`FollowSettings` decides who is who and is replayed from the pose log in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Flow = Literal["lk", "dis", "raft", "none"]
Similarity = Literal["iou", "oks", "flow_oks", "multi_flow_oks"]
Assignment = Literal["greedy", "hungarian"]


@dataclass(frozen=True, kw_only=True)
class SeeSettings:
    """What is seen in each frame: boxes, carried boxes, joints."""

    detect_every: int = 1
    """Run the detector on every n-th frame; carried boxes bridge the frames between."""
    start_box_score: float = 0.4
    """A detected box of at least this score may start a person (0..1)."""
    keep_box_score: float = 0.15
    """A detected box between this score and the one above may only continue a person (0..1)."""
    box_nms_iou: float = 0.5
    """A carried or low box that overlaps a better box more than this goes (box IoU, 0..1)."""
    carry: bool = True
    """Carry the last frame's people over by optical flow and look for joints there too."""
    flow: Flow = "lk"
    """Optical flow: Lucas-Kanade on the joints, dense DIS, RAFT (needs --flow-weights), or none."""
    carry_margin: float = 0.15
    """A carried box is the bounding box of the moved joints, enlarged by this share of its sides."""
    queue_frames: int = 3
    """Poses of so many frames back are carried along, for similarity multi_flow_oks."""
    pose_nms_oks: float = 0.7
    """Of two poses more alike than this only the better stays (OKS, 0..1)."""
    min_joint_score: float = 0.1
    """A joint below this score is neither carried nor compared (0..1)."""
    min_pose_score: float = 0.2
    """A carried person whose mean joint score falls below this is no longer seen (0..1)."""


@dataclass(frozen=True, kw_only=True)
class FollowSettings:
    """Who is who: how the poses of a frame are matched with the people known so far."""

    similarity: Similarity = "flow_oks"
    """Box IoU, OKS, OKS after flow, or OKS after flow over the queue of the last frames."""
    assignment: Assignment = "hungarian"
    """Greedy takes the most alike pair first; Hungarian the best sum (lap)."""
    min_similarity: float = 0.2
    """A pose less alike to a track than this is not the same person (0..1)."""
    start_score: float = 0.4
    """A pose needs this box score to start a person (0..1)."""
    memory_s: float = 2.0
    """A person unseen is remembered so long, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The two stages' settings together."""

    see: SeeSettings = field(default_factory=SeeSettings)
    follow: FollowSettings = field(default_factory=FollowSettings)
