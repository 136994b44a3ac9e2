"""Pixels to poses: pipeline, propagation by optical flow, camera motion."""
