"""Published weights of optical flow networks: RAFT, from torchvision."""

from __future__ import annotations

from posetrail.published import Published, by_name, torchvision_file


def _raft(size: str, file: str, score: str, megabytes: float) -> Published:
    return torchvision_file(
        f"raft_{size}", file, score, megabytes, kind="flow", family="RAFT", scored_by="torchvision", side=440
    )


PUBLISHED = by_name(
    _raft("small", "raft_small_C_T_V2-01064c6d.pth", "1.99 px off on Sintel clean", 4.0),
    _raft("large", "raft_large_C_T_SKHT_V2-ff5fadd5.pth", "1.82 px off on Sintel clean", 21.1),
)
"""By name."""
