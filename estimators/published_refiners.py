"""Published weights of networks that correct poses; a table of `estimators.published`."""

from __future__ import annotations

from posetrail.published import Published

REFINERS = tuple(
    Published(
        name=f"posefix_{size}",
        network=f"posefix_{size}",
        kind="refiner",
        family="PoseFix",
        file="",
        page="https://github.com/mks0601/PoseFix_RELEASE",
        licence="MIT",
        skeleton="coco_17",
        input_size=input_size,
        score="not published",
        scored_by="",
        megabytes=megabytes,
        remark="in TensorFlow's format: turn it into a state dict with the variables' names first",
    )
    for size, input_size, megabytes in (("r50_256x192", (256, 192), 136.2), ("r152_384x288", (384, 288), 274.7))
)
