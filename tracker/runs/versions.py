"""Versions of what a run depends on, for run.json and `posetrail doctor`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

ABSENT = "absent"
_RECORDED = ("posetrail", "numpy", "opencv-python-headless", "av", "onnxruntime", "torch", "lap", "pyarrow")
# The same module under other names: whoever has a GPU, or other software, may have installed one of these instead.
_VARIANTS = (
    "onnxruntime-cann",
    "onnxruntime-directml",
    "onnxruntime-gpu",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-rocm",
    "onnxruntime-webgpu",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
)


def installed_versions() -> dict[str, str]:
    """Name of a distribution to its version, or to "absent"; variants are in it if they are installed."""
    found = {name: _version(name) for name in (*_RECORDED, *_VARIANTS)}
    recorded = {name: text for name, text in found.items() if name in _RECORDED or text != ABSENT}
    return {"python": platform.python_version(), **recorded}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ABSENT
