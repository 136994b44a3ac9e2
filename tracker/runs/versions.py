"""Versions of the packages that a run depends on, for run.json and `posetrail doctor`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

ABSENT = "absent"
_RECORDED = ("posetrail", "numpy", "opencv-python-headless", "av", "onnxruntime", "torch", "lap", "pyarrow")
# Other distributions of the same modules, such as those for GPUs, which may be installed instead.
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
_OPTIONAL = ("openvino",)


def installed_versions() -> dict[str, str]:
    """Versions by distribution, "absent" if it is not installed; variants and optional ones only if they are."""
    found = {name: _version(name) for name in (*_RECORDED, *_VARIANTS, *_OPTIONAL)}
    recorded = {name: text for name, text in found.items() if name in _RECORDED or text != ABSENT}
    return {"python": platform.python_version(), **recorded}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ABSENT
