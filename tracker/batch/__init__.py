"""Many clips: processes, Ray, shards, the table, PoseTrack submissions."""

MOTA_JOINT_SCORE = 0.3
"""Joints with a lower score are left out of submissions for MOTA, unless another score is given.

On images of COCO, CrowdPose and PoseTrack18 with annotated joints, MOTA of the default networks is highest from 0.25 to
0.4 (docs/how-to/posetrack.md).
"""
