"""Small real videos and images for tests: every frame has its own number in its pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from posetrail.frame import Frame

WIDTH, HEIGHT = 128, 64
BLOCK = 32  # 4 x 2 blocks, one bit each: large enough for any codec

# Display matrices a b c d: the stored picture's x y are shown at a x + c y, b x + d y.
UPRIGHT, QUARTER_CLOCKWISE, HALF, QUARTER_ANTICLOCKWISE = (1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)
MIRRORED, UPSIDE_DOWN, TRANSPOSED, TRANSVERSED = (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)


def numbered_image(number: int, scale: int = 1) -> np.ndarray:
    """An image (64, 128, 3) whose eight blocks, in rows from the top left, are the bits of a number, lowest first."""
    bits = np.array([number >> bit & 1 for bit in range(8)], np.uint8).reshape(2, 4)
    gray = (bits * 180 + 40).repeat(BLOCK * scale, 0).repeat(BLOCK * scale, 1)
    # Some texture, so that every frame takes bytes in a codec.
    gray += np.random.default_rng(number).integers(0, 24, (16, 32), np.uint8).repeat(4 * scale, 0).repeat(4 * scale, 1)
    return np.repeat(gray[:, :, None], 3, axis=2)


def number_of(image: np.ndarray) -> int:
    """The number that `numbered_image` wrote, whatever a codec did to it."""
    height, width, _ = image.shape
    middles = image[height // 4 :: height // 2, width // 8 :: width // 4].mean(axis=2)
    return sum(1 << bit for bit, middle in enumerate(middles.ravel()) if middle > 128)


def numbers(frames: Iterable[Frame]) -> list[int]:
    """The numbers of the images of frames."""
    return [number_of(frame.image) for frame in frames]


def write_video(
    path: Path,
    images: int | Iterable[np.ndarray] = 12,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    fps: int = 30,
    ticks: Sequence[int] | None = None,
    ticks_per_s: int = 1000,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    audio_s: float = 0.0,
) -> Path:
    """A video of these images, or of so many numbered ones, at a steady rate or at the given ticks of a clock."""
    images = [numbered_image(number) for number in range(images)] if isinstance(images, int) else list(images)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.options = options or {}
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, ticks_per_s)
        if audio_s:
            add_silence(container, audio_s)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index if ticks is None else ticks[index]
            frame.time_base = Fraction(1, fps) if ticks is None else Fraction(1, ticks_per_s)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def add_silence(container: Any, seconds: float) -> None:
    """An AAC stream of silence, all of it, in a container that is being written."""
    rate = 48000
    stream = container.add_stream("aac", rate=rate)
    silence = av.AudioFrame.from_ndarray(np.zeros((1, int(rate * seconds)), np.int16), format="s16", layout="mono")
    silence.rate, silence.pts = rate, 0
    container.mux(stream.encode(silence))
    container.mux(stream.encode())


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write this display matrix a b c d into an MP4 file, as a phone does that is held sideways."""
    data = path.read_bytes()
    place = data.index(b"tkhd") + 44  # in a track header of version 0
    a, b, c, d = (value << 16 for value in matrix)
    path.write_bytes(data[:place] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[place + 36 :])
    return path


def write_images(folder: Path, names: Iterable[str]) -> Path:
    """A folder of numbered images with these names, the n-th with number n."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        done, data = cv2.imencode(Path(name).suffix, numbered_image(number))
        assert done
        (folder / name).write_bytes(data.tobytes())
    return folder
