"""Stills and preview pieces show exactly the frames of the run."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.media import number_of, write_images, write_video
from tests.viewer import Client, viewing
from tracker.viewer import pieces

from .runs import run_of

H264 = {"g": "12", "bf": "2"}


def steady(place: Path) -> Path:
    return write_video(place / "clip.mp4", 60, options=H264)


def variable(place: Path) -> Path:
    ticks = np.cumsum(np.random.default_rng(1).integers(5, 90, 60)).tolist()
    return write_video(place / "clip.mp4", 60, ticks=ticks, options=H264)


def late(place: Path) -> Path:
    return write_video(place / "clip.mp4", 60, ticks=range(500, 500 + 60 * 40, 40), options=H264)


def matroska(place: Path) -> Path:
    return write_video(place / "clip.mkv", 60, options=H264)


def motion_jpeg(place: Path) -> Path:
    return write_video(place / "clip.avi", 60, codec="mjpeg", pix_fmt="yuvj420p")


def images(place: Path) -> Path:
    return write_images(place / "clip", [f"{number}.png" for number in range(60)])


CLIPS = [steady, variable, late, matroska, motion_jpeg, images]
PARTS = [{}, {"start_s": 0.7, "stride": 3}, {"start_s": 0.61, "end_s": 1.5}]


def still(client: Client, position: int, long_side: int = 128) -> np.ndarray:
    answer = client.get(f"still/{position}.jpg?long={long_side}")
    assert answer.status_code == 200, answer.text
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def pictures(content: bytes) -> list[tuple[float, np.ndarray]]:
    """Times and pictures of a preview piece."""
    with av.open(io.BytesIO(content)) as piece:
        return [(float(each.time), each.to_ndarray(format="rgb24")) for each in piece.decode(video=0)]


@pytest.mark.parametrize("part", PARTS, ids=["whole", "stride", "middle"])
@pytest.mark.parametrize("make", CLIPS)
def test_stills_and_pieces_are_the_frames_of_the_run(
    make: Callable[[Path], Path], part: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 16)
    with viewing(run_of(make(tmp_path), tmp_path / "run", **part)) as client:
        numbers = client.get("api/overview").json()["frame_numbers"]
        count = len(numbers)
        assert count >= 10
        rng = np.random.default_rng(0)
        for position in [0, 1, 2, count - 1, count - 2, count - 3, *rng.integers(0, count, 12).tolist()]:
            assert number_of(still(client, position)) == numbers[position], position
        for piece in range(-(-count // 16)):
            shown = pictures(client.get(f"preview/{piece}.mp4").content)
            assert [number_of(image) for _, image in shown] == numbers[piece * 16 : (piece + 1) * 16]
            assert [time_s for time_s, _ in shown] == pytest.approx([k / 30 for k in range(len(shown))])
        assert client.get(f"preview/{piece + 1}.mp4").status_code == 404
        assert client.get(f"still/{count}.jpg").status_code == 404
