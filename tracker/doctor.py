"""What this machine has, what a run would use, and whether it works: the answers a bug report needs."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from core.runtime import Runtime, usable_cpus
from tracker.networks import open_networks
from tracker.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    what: str
    told: str
    fine: bool


def examine() -> list[Finding]:
    """Look at the machine, load the default networks and run them once."""
    checks: dict[str, Callable[[], str]] = {
        "posetrail": lambda: f"{version('posetrail')}, Python {platform.python_version()}, {platform.platform()}",
        "processors": lambda: f"{usable_cpus()} usable",
        "device": _device,
        "networks": _networks,
        "video in": _video_in,
        "video out": _video_out,
    }
    return [_checked(what, check) for what, check in checks.items()]


def _checked(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, check(), fine=True)
    except Exception as error:  # whatever is broken here is what the user wants to be told
        return Finding(what, " ".join(f"{type(error).__name__}: {error}".split()), fine=False)


def _device() -> str:
    with Runtime() as runtime:
        return f"{runtime.device}, networks run in {runtime.backend} ({runtime.threads} at a time)"


def _networks() -> str:
    with open_networks(Settings()) as networks:
        grey = np.full((240, 320, 3), 127, np.uint8)
        networks.detector([grey])
        networks.estimator([grey], [np.array([[100.0, 40, 200, 220]])])
        return ", ".join(f"{weights.name} ({weights.size_bytes / 1e6:.1f} MB)" for weights in networks.weights)


def _video_in() -> str:
    import av

    return f"PyAV {av.__version__}, FFmpeg's avcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


def _video_out() -> str:
    import av

    av.Codec("libx264", "w")
    return "H.264 (libx264)"
