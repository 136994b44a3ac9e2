"""`posetrail doctor`: what this machine has, what a run would use, and whether it works; the facts of a bug report.

Each check imports what it needs itself, because a library that cannot be imported is a finding, too.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tracker.cli.exit_codes import UNUSABLE
from tracker.cli.printing import Printer

if TYPE_CHECKING:
    import numpy as np

_NUM_FRAMES, _FPS, _WIDTH, _HEIGHT = 8, 30, 320, 240  # of the synthetic clip


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    detail: str  # what was found, or why the check failed
    ok: bool


def examine() -> list[Finding]:
    """Run all checks; the last ones write, read and track a small synthetic clip with the default networks."""
    checks: dict[str, Callable[[], str]] = {
        "system": lambda: f"Python {platform.python_version()}, {platform.platform()}",
        "packages": _packages,
        "imports": _imports,
        "device": _device,
        "precisions": _precisions,
        "networks": _networks,
        "video out": _video_out,
        "video in": _video_in,
        "association": _association,
        "run": _run,
    }
    return [_checked(name, check) for name, check in checks.items()]


def doctor_command() -> int:
    """Check this installation: packages, device, networks, video files; tracks a small synthetic clip."""
    findings = examine()
    for finding in findings:
        Printer().result(f"{'ok  ' if finding.ok else 'BAD '} {finding.check:<12} {finding.detail}")
    return 0 if all(finding.ok for finding in findings) else UNUSABLE


class _Failed(Exception):
    """A check found something wrong; the text says what."""


def _checked(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, check(), ok=True)
    except _Failed as error:
        return Finding(name, str(error), ok=False)
    except Exception as error:  # any failure is the finding
        return Finding(name, " ".join(f"{type(error).__name__}: {error}".split()), ok=False)


def _packages() -> str:
    from tracker.runs.versions import installed_versions

    return ", ".join(f"{name} {text}" for name, text in installed_versions().items() if name != "python")


def _imports() -> str:
    from posetrail.shadowing import check_packages, describe_shared, files_in, shared_packages

    check_packages()
    if shared := shared_packages():
        raise _Failed(describe_shared(shared))
    if files := files_in(str(Path.cwd())):
        raise _Failed(
            f"Python programs in this folder import {', '.join(files)} in place of posetrail's package; rename it, or "
            "keep programs that use posetrail elsewhere"
        )
    return "posetrail's packages are found, and no file is in their way"


def _device() -> str:
    from posetrail.runtime import Runtime, usable_cpus

    with Runtime() as runtime:
        threads = f"{runtime.threads} calls in parallel, {usable_cpus()} CPUs available"
        return f"{runtime.device}, networks run by {runtime.backend} ({threads})"


def _precisions() -> str:
    from posetrail.openvino_runtime import why_unavailable
    from posetrail.runtime import Runtime

    with Runtime() as runtime:
        if runtime.device == "cuda":
            return "float32, bfloat16; int8 with --device cpu"
    why = why_unavailable()
    return f"float32, int8; not bfloat16, because {why}" if why else "float32, int8, bfloat16"


def _networks() -> str:
    import numpy as np

    from posetrail.frame import Frame
    from tracker.runs.networks import open_networks
    from tracker.settings import Settings

    with open_networks(Settings()) as networks:
        frame = Frame(0, 0.0, "", _images()[0])
        assert networks.detector is not None
        assert networks.estimator is not None
        networks.detector([frame])
        networks.estimator([frame], [np.array([[100.0, 40, 200, 220]])])
        return ", ".join(f"{weights.name} ({weights.size_bytes / 1e6:.1f} MB)" for weights in networks.weights)


def _video_out() -> str:
    with _clip() as clip:
        return f"H.264 (libx264), {_NUM_FRAMES} frames in {clip.stat().st_size} bytes"


def _video_in() -> str:
    import av

    from tracker.io.video import open_source

    with _clip() as clip:
        frames = list(open_source(clip).frames())
        _expect(f"{_NUM_FRAMES} frames", f"{len(frames)} frames")
        codec = ".".join(map(str, av.library_versions["libavcodec"]))
        return f"{len(frames)} frames by PyAV {av.__version__} (FFmpeg's avcodec {codec})"


def _association() -> str:
    import numpy as np

    from posetrail.poses import Poses
    from tracker.association.follow import follow

    joints = np.random.default_rng(0).uniform((100, 40), (180, 220), (17, 2))
    walk = [joints + np.array([2 * index, 0]) for index in range(_NUM_FRAMES)]
    boxes = [np.concatenate([each.min(0), each.max(0)])[None] for each in walk]
    one, scores = np.ones(1), np.full((1, 17), 0.9)
    poses = [Poses(each[None], scores, box, one, one * 0) for each, box in zip(walk, boxes, strict=True)]
    people = follow([(each, index / _FPS) for index, each in enumerate(poses)])
    ids = {int(track_id) for each in people for track_id in each.track_ids}
    _expect("1 track", f"{len(ids)} track{'s' * (len(ids) != 1)}")
    return f"1 track of a synthetic person over {len(people)} frames"


def _run() -> str:
    from tracker.io.video import open_source
    from tracker.runs.folder import run_clip
    from tracker.runs.networks import open_networks
    from tracker.settings import Settings

    settings = Settings()
    with _clip() as clip, open_networks(settings) as networks:
        outcome = run_clip(open_source(clip), clip.parent / "run", networks, settings)
        _expect(f"{_NUM_FRAMES} frames, complete", f"{outcome.frames} frames, {outcome.status} {outcome.reason}")
        return f"{outcome.frames} frames tracked, {len(outcome.files)} files written"


@contextmanager
def _clip() -> Iterator[Path]:
    """A video of the synthetic images, in a temporary folder."""
    from tracker.io.video_writer import VideoWriter

    with TemporaryDirectory(prefix="posetrail_doctor_") as folder:
        path = Path(folder) / "clip.mp4"
        with VideoWriter(path, _WIDTH, _HEIGHT, _FPS) as video:
            for index, image in enumerate(_images()):
                video.add(image, index / _FPS)
        yield path


def _images() -> list[np.ndarray]:
    """A texture that moves by two pixels a frame: (240, 320, 3) uint8 RGB each."""
    import numpy as np

    coarse = np.random.default_rng(0).integers(30, 225, (_HEIGHT // 8, _WIDTH // 8, 3), np.uint8)
    texture = coarse.repeat(8, axis=0).repeat(8, axis=1)
    return [np.roll(texture, 2 * index, axis=1) for index in range(_NUM_FRAMES)]


def _expect(expected: str, got: str) -> None:
    if got.strip() != expected:
        raise _Failed(f"expected {expected}, got {got.strip()}")
