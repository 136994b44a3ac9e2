"""Small clips in every container and codec that PyAV writes here, and what can happen to a file."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

from ..media import write_video
from .sandbox import in_child

FRAMES, FPS = 24, 24


@dataclass(frozen=True)
class Kind:
    """A container with a codec, and what is known of it."""

    suffix: str
    codec: str
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (128, 96)  # width, height
    audio_s: float = 0.0
    promises: bool = True  # the container says how much there is, so that what is cut off must be noticed
    joins: bool = False  # one file behind another is one longer stream
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        more = [key for key, _ in self.options[:1]] + ["audio"] * bool(self.audio_s)
        return "-".join([self.codec, *more]) + self.suffix


B_FRAMES = (("bf", "2"), ("x264-params", "keyint=12:bframes=2"))
KINDS = (
    Kind(".mp4", "libx264", options=B_FRAMES),
    Kind(".mp4", "libx264", audio_s=1.0),
    Kind(".mp4", "libx265"),
    Kind(".mp4", "libsvtav1"),
    Kind(".mov", "mpeg4"),
    Kind(".mov", "prores_ks", "yuv422p10le"),
    Kind(".mov", "mjpeg", "yuvj420p"),
    Kind(".mkv", "libx264", options=B_FRAMES),
    Kind(".mkv", "ffv1"),
    Kind(".webm", "libvpx"),
    Kind(".webm", "libvpx-vp9"),
    Kind(".avi", "libx264", options=B_FRAMES),
    Kind(".avi", "mpeg4"),
    Kind(".avi", "mjpeg", "yuvj420p"),
    Kind(".avi", "huffyuv", "yuv422p"),
    Kind(".ts", "libx264", promises=False, joins=True),
    Kind(".ts", "mpeg2video", promises=False, joins=True),
    Kind(".mpg", "mpeg1video", promises=False, joins=True),
    Kind(".flv", "flv", promises=False),
    Kind(".flv", "libx264", promises=False, options=B_FRAMES),
    Kind(".wmv", "wmv2", promises=False),
    Kind(".3gp", "h263", size=(176, 144)),
    Kind(".3gp", "mpeg4"),
    Kind(".ogv", "libvpx"),
    Kind(".gif", "gif", "rgb8"),
    Kind(".apng", "apng", "rgb24"),
    Kind(".webp", "libwebp_anim", "yuv420p"),
    Kind(".h264", "libx264", promises=False, joins=True),
    Kind(".m4v", "mpeg4", promises=False, joins=True),
    Kind(".nut", "mpeg4", promises=False),
)


def pictures(size: tuple[int, int]) -> list[np.ndarray]:
    """FRAMES images (H, W, 3): a dark and a bright square walk before a wall."""
    wall = np.random.default_rng(1).integers(90, 160, (8, 8, 3), np.uint8)
    out = []
    for t in range(FRAMES):
        image = cv2.resize(wall, size, interpolation=cv2.INTER_CUBIC)
        x = t * (size[0] - 32) // FRAMES
        image[8:40, x : x + 32], image[56:88, size[0] - 32 - x : size[0] - x] = 10, 245
        out.append(image)
    return out


@cache
def clip(kind: Kind, folder: Path) -> Path | None:
    """A whole clip of this kind; None where PyAV writes none here."""
    path = folder / f"{KINDS.index(kind):02d}{kind.suffix}"
    if kind.codec in av.codecs_available and in_child(lambda: write(kind, path)):
        return path
    return None


def write(kind: Kind, path: Path) -> None:
    write_video(
        path,
        pictures(kind.size),
        codec=kind.codec,
        pix_fmt=kind.pix_fmt,
        fps=FPS,
        options=dict(kind.options),
        audio_s=kind.audio_s,
    )


def readable_frames(path: Path) -> int:
    """Frames that FFmpeg gives with the first error as the end: no reader should find fewer."""
    count = 0
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            for _ in container.decode(video=0):
                count += 1
    except (av.FFmpegError, OSError, IndexError, ValueError):
        pass
    return count


# What happens to a file -----------------------------------------------------------------------------------------------

Mutation = Callable[[bytes, random.Random], bytes]


def whole(data: bytes, _: random.Random) -> bytes:
    return data


def truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def flipped(data: bytes, rng: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 10, 100])):
        mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
    return bytes(mutant)


def head_flipped(data: bytes, rng: random.Random) -> bytes:
    """Headers decide the most."""
    end = min(len(data), 2000)
    return flipped(data[:end], rng) + data[end:]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    length = min(rng.choice([16, 64, 512, 4096]), len(data) - start)
    return data[:start] + bytes(length) + data[start + length :]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice([1, 7, 188, 1000, 5000]) :]


def repeated(data: bytes, rng: random.Random) -> bytes:
    """A stretch of the file once more, in its middle."""
    start = rng.randrange(len(data))
    return data[:start] + data[start : start + rng.choice([4, 188, 1000])] + data[start:]


def followed_by_rubbish(data: bytes, rng: random.Random) -> bytes:
    return data + rng.randbytes(rng.choice([1, 100, 10_000]))


def doubled(data: bytes, _: random.Random) -> bytes:
    """As `cat a a` does."""
    return data + data


MUTATIONS: tuple[Mutation, ...] = (
    truncated, flipped, head_flipped, zeroed, cut_out, repeated, followed_by_rubbish, doubled, whole,
)  # fmt: skip
