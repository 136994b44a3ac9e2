"""The header of a pose log: skeleton, source, settings and models, as JSON that is checked on reading."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from posetrail.errors import InputError
from posetrail.skeleton_files import LARGEST_NUMBER_OF_JOINTS, skeleton_from_dict
from posetrail.skeletons import Skeleton

FORMAT_VERSION = 4
_LARGEST_FPS = 1e6
_LARGEST_SIDE = 10**7  # pixels; poses of other programs may reach far
_LARGEST_APPEARANCE = 65536
_LARGEST_QUEUE = 1000
_RERUN = "infer again: posetrail track {clip} -o OUTPUT, with --redo where results are there"


class OtherFormat(InputError):
    """A pose log whose format version this posetrail does not read."""


@dataclass(frozen=True, kw_only=True)
class PoseLogHeader:
    """Metadata of a pose log; JSON keeps all values unchanged.

    Raises:
        InputError: a value has the wrong type or is out of range.
    """

    skeleton: Skeleton
    fps: float  # nominal; each frame has its own time
    width: int  # pixels
    height: int
    source: str  # name of the video or folder of images
    source_fingerprint: str
    inference_settings: dict[str, Any]
    models: list[dict[str, str]]  # each with name and sha256
    posetrail_version: str
    appearance_size: int = 0  # E of every frame's appearance
    provenance: dict[str, Any] = field(default_factory=dict)
    """What else decides the numbers: the chosen part of the clip, and how the networks were used."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name, expected in _flaws(self):
            raise InputError(f"{name}: expected {expected}, got {str(getattr(self, name, ''))[:80]!r}")

    @property
    def num_joints(self) -> int:
        """K of every frame's poses."""
        return len(self.skeleton)

    @property
    def queue_frames(self) -> int:
        """How many earlier frames' poses were propagated into each frame."""
        return int(self.inference_settings.get("queue_frames", 1))

    def to_json(self) -> bytes:
        """The header as JSON in UTF-8."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> PoseLogHeader:
        """Parse the text that `to_json` returned.

        Raises:
            OtherFormat: it has another format version.
            ValueError: it is no header.
            RecursionError: it is JSON of great depth.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or type(values.get("format_version")) is not int:
            raise ValueError("no header")
        if (version := values["format_version"]) != FORMAT_VERSION:
            source = values["source"] if isinstance(values.get("source"), str) else "CLIP"
            advice = "update posetrail" if version > FORMAT_VERSION else _RERUN.format(clip=shlex.quote(source))
            raise OtherFormat(f"expected format {FORMAT_VERSION}, got format {version}; {advice}")
        if unknown := values.keys() - {each.name for each in fields(cls)}:
            raise ValueError(f"unknown {sorted(unknown)}")
        try:
            return cls(**{**values, "skeleton": skeleton_from_dict(values["skeleton"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"missing {error}") from None


def _flaws(header: PoseLogHeader) -> Iterator[tuple[str, str]]:
    """Names of wrong fields, and what was expected."""
    if not 1 <= header.num_joints <= LARGEST_NUMBER_OF_JOINTS:
        yield "skeleton", f"1 to {LARGEST_NUMBER_OF_JOINTS} joints"
    if type(header.fps) not in (int, float) or not 0 < header.fps <= _LARGEST_FPS:
        yield "fps", f"frames per second, more than 0 and up to {_LARGEST_FPS:g}"
    for name, low, high in (
        ("width", 1, _LARGEST_SIDE),
        ("height", 1, _LARGEST_SIDE),
        ("appearance_size", 0, _LARGEST_APPEARANCE),
    ):
        if not _is_count(getattr(header, name), low, high):
            yield name, f"{low} to {high}"
    for name in ("source", "source_fingerprint", "posetrail_version"):
        if not isinstance(getattr(header, name), str):
            yield name, "text"
    for name in ("inference_settings", "provenance"):
        if not isinstance(getattr(header, name), dict):
            yield name, "values by name"
    if isinstance(header.inference_settings, dict) and not _is_count(
        header.inference_settings.get("queue_frames", 1), 1, _LARGEST_QUEUE
    ):
        yield "inference_settings", f"queue_frames of 1 to {_LARGEST_QUEUE}"
    if not isinstance(header.models, list) or not all(map(_is_model, header.models)):
        yield "models", "name and sha256 of each"


def _is_count(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _is_model(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("name", "sha256"))
