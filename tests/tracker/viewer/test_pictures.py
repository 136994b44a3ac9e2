"""Stills and preview pieces show exactly the frames of the run."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import requests

from tests import windows
from tests.media import QUARTER_CLOCKWISE, number_of, numbered_image, turn, write_images, write_video
from tests.viewer import Client, viewing
from tracker.runs.follow import follow_poses
from tracker.runs.record import read_record
from tracker.settings import AssociationSettings
from tracker.viewer import pieces
from tracker.viewer.clip import open_clip
from tracker.viewer.stills import MissingImage, Stills

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


def test_a_rotated_video_is_upright_and_odd_sizes_become_even(tmp_path: Path) -> None:
    images = [cv2.resize(numbered_image(number), (126, 66)) for number in range(20)]
    clip = turn(write_video(tmp_path / "clip.mp4", images), QUARTER_CLOCKWISE)
    with viewing(run_of(clip, tmp_path / "run")) as client:
        about = client.get("api/run").json()
        assert (about["width"], about["height"]) == (66, 126)
        assert number_of(np.rot90(still(client, 7))) == 7
        shown = pictures(client.get("preview/0.mp4").content)
        assert [number_of(np.rot90(image)) for _, image in shown] == list(range(20))


def test_a_large_clip_is_scaled_down_to_even_sizes(tmp_path: Path) -> None:
    images = [np.pad(numbered_image(number, 12), ((0, 2), (0, 0), (0, 0))) for number in range(3)]
    with viewing(run_of(write_video(tmp_path / "clip.mp4", images), tmp_path / "run")) as client:
        assert client.get("api/run").json()["preview"] == {"fps": 30, "piece_frames": 300, "width": 1280, "height": 642}
        assert pictures(client.get("preview/0.mp4").content)[2][1].shape == (642, 1280, 3)
        assert still(client, 1, 100).shape[:2] == (50, 100)
        assert still(client, 1, 8192).shape[:2] == (770, 1536)
        assert client.get("still/1.jpg?long=0").status_code == 400


def test_stepping_forwards_and_backwards_shows_every_frame(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", 200, options={"g": "100"})
    with viewing(run_of(clip, tmp_path / "run")) as client:
        for position in [*range(90, 150), *range(150, 90, -1)]:
            assert number_of(still(client, position)) == position


def test_an_image_of_another_size_keeps_its_pixels_in_place(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "clip", ["0.png", "1.png", "2.png"])
    larger = np.pad(numbered_image(1), ((0, 40), (0, 60), (0, 0)))
    cv2.imwrite(str(folder / "1.png"), larger)
    cv2.imwrite(str(folder / "2.png"), numbered_image(2)[:30, :50])
    with viewing(run_of(folder, tmp_path / "run")) as client:
        assert number_of(still(client, 1)) == 1
        third = still(client, 2)
        assert third.shape == (64, 128, 3)
        assert np.abs(third[:28, :48].astype(int) - numbered_image(2)[:28, :48]).mean() < 10
        assert third[40:].max() < 20
        assert len(pictures(client.get("preview/0.mp4").content)) == 3


def test_frames_that_are_lost_meanwhile_are_grey_in_the_preview(tmp_path: Path) -> None:
    run = run_of(write_images(tmp_path / "clip", [f"{number}.png" for number in range(9)]), tmp_path / "run")
    clip = open_clip(run, read_record(run), np.arange(9), ("",) * 9, None)
    (tmp_path / "clip" / "4.png").write_bytes(b"no image")
    made = pieces.Pieces(tmp_path, lambda: clip, "", np.arange(9), (128, 64)).make(0)
    shown = [image for _, image in pictures(made.read_bytes())]
    assert [number_of(image) for k, image in enumerate(shown) if k != 4] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert np.ptp(shown[4]) < 10
    with pytest.raises(MissingImage, match="frame 4"):
        Stills(clip).jpeg(4)
    assert Stills(clip).jpeg(5)


def test_without_its_clip_a_run_shows_its_poses(tmp_path: Path) -> None:
    run = run_of(steady(tmp_path), tmp_path / "run")
    (tmp_path / "clip.mp4").rename(tmp_path / "moved.mp4")
    with viewing(run) as client:
        about = client.get("api/run").json()
        assert not about["has_clip"]
        assert "clip.mp4" in about["problem"]
        for path in ("still/0.jpg", "preview/0.mp4"):
            answer = client.get(path)
            assert answer.status_code == 404
            assert "clip.mp4" in answer.json()["error"]
        assert len(client.get("api/poses?first=0&count=60").content) > 60
        assert client.get("api/overview").json()["tracks"][0]["poses"] == 60
    with viewing(run, input=tmp_path / "moved.mp4") as client:
        assert number_of(still(client, 33)) == 33
    write_video(tmp_path / "other.mp4", 30)
    with viewing(run, input=tmp_path / "other.mp4") as client:
        assert "is not the clip that was tracked" in client.get("api/run").json()["problem"]


def test_of_a_damaged_clip_the_frames_of_the_run_are_shown(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.ts", 60, options=H264)
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    clip.write_bytes(data)
    with viewing(run_of(clip, tmp_path / "run")) as client:
        numbers = client.get("api/overview").json()["frame_numbers"]
        assert 10 < len(numbers) <= 60
        right = [number_of(still(client, k)) == numbers[k] for k in (0, 3, len(numbers) - 1)]
        assert right[:2] == [True, True]
        assert len(pictures(client.get("preview/0.mp4").content)) == len(numbers)


def test_imported_poses_are_paired_with_the_names_of_images(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "clip", [f"{number:06d}.png" for number in range(20)])
    run_of(folder, tmp_path / "run", stride=2)
    follow_poses(tmp_path / "run" / "tracks.json", AssociationSettings(), output=tmp_path / "imported")
    with viewing(tmp_path / "imported") as client:
        assert "--input" in client.get("api/run").json()["problem"]
    with viewing(tmp_path / "imported", input=folder) as client:
        assert client.get("api/overview").json()["frame_numbers"][1] in (1, 2)
        assert number_of(still(client, 1)) == 2
        assert [number_of(image) for _, image in pictures(client.get("preview/0.mp4").content)] == [*range(0, 20, 2)]


# Keeping --------------------------------------------------------------------------------------------------------------


def test_pieces_are_kept_in_the_run_and_need_no_clip_then(tmp_path: Path) -> None:
    run = run_of(steady(tmp_path), tmp_path / "run")
    with viewing(run) as client:
        piece = client.get("preview/0.mp4").content
        part = client.get("preview/0.mp4", headers={"Range": "bytes=10-29"})
        assert (part.status_code, part.content) == (206, piece[10:30])
    assert len(list((run / "preview").iterdir())) == 1
    (tmp_path / "clip.mp4").unlink()
    with viewing(run) as client:
        assert client.get("preview/0.mp4").content == piece


def test_a_piece_of_other_frames_is_made_again(tmp_path: Path) -> None:
    run = run_of(steady(tmp_path), tmp_path / "run", end_s=1)
    with viewing(run) as client:
        assert len(pictures(client.get("preview/0.mp4").content)) == 30
    run_of(steady(tmp_path), tmp_path / "run", end_s=2, if_exists="replace")
    with viewing(run) as client:
        assert len(pictures(client.get("preview/0.mp4").content)) == 60


def test_the_oldest_pieces_are_deleted_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 10)
    run = run_of(steady(tmp_path), tmp_path / "run")
    clip = open_clip(run, read_record(run), np.arange(60), ("",) * 60, None)
    preview = pieces.Pieces(tmp_path / "preview", lambda: clip, "", np.arange(60), (128, 64))
    made = [preview.make(piece) for piece in range(3)]
    for age, path in enumerate(made):
        os.utime(path, (1000 - age, 1000))
    preview.find(2)  # used now
    monkeypatch.setattr(pieces, "LARGEST_BYTES", sum(path.stat().st_size for path in made))
    preview.make(3)
    assert preview.made() == [0, 2, 3]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks up open files in /proc")
def test_a_piece_that_a_request_reads_on_windows_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(steady(tmp_path), tmp_path / "run")
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 10)
    monkeypatch.setattr(pieces, "LARGEST_BYTES", 0)
    windows.keep_open_files(monkeypatch)
    clip = open_clip(run, read_record(run), np.arange(60), ("",) * 60, None)
    preview = pieces.Pieces(tmp_path / "preview", lambda: clip, "", np.arange(60), (128, 64))
    with preview.make(0).open("rb"):
        preview.make(1)
        assert preview.made() == [0, 1]
    preview.make(2)
    assert preview.made() == [2]


def test_pieces_of_a_read_only_run_are_kept_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSETRAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with viewing(run_of(steady(tmp_path), tmp_path / "run")) as client:
        assert len(pictures(client.get("preview/0.mp4").content)) == 60
    assert not (tmp_path / "run" / "preview").exists()
    assert len(list((tmp_path / "home" / "previews").glob("run-*/*.mp4"))) == 1


# Several requests -----------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Recorded:
    """Pieces that take until they are released; records which were made."""

    released: threading.Event = field(default_factory=threading.Event)
    begun: list[int] = field(default_factory=list)
    made: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return 100

    def make(self, piece: int, stopped: Callable[[], bool]) -> Path:
        self.begun.append(piece)
        while not self.released.wait(0.001):
            if stopped():
                raise pieces.Stopped
        self.made.append(piece)
        return Path(str(piece))


@pytest.fixture
def maker() -> Iterator[pieces.PieceMaker]:
    maker = pieces.PieceMaker()
    yield maker
    maker.close()


def test_requests_come_before_suggestions_and_the_newest_first(maker: pieces.PieceMaker) -> None:
    preview: Any = Recorded()
    maker.suggest(preview, [7, 8])
    wait_for(lambda: preview.begun == [7])
    requests = [maker.request(preview, 1)]
    wait_for(lambda: preview.begun == [7, 1])
    requests += [maker.request(preview, 2), maker.request(preview, 3)]
    preview.released.set()
    for each in requests:
        each.result.result(9)
    wait_for(lambda: len(preview.made) == 5)
    assert preview.made == [1, 3, 2, 7, 8]


def test_a_piece_is_given_up_when_its_last_request_has_gone(maker: pieces.PieceMaker) -> None:
    preview: Any = Recorded()
    first, second = maker.request(preview, 1), maker.request(preview, 1)
    maker.withdraw(first)
    wait_for(lambda: preview.begun == [1])
    maker.withdraw(second)
    third = maker.request(preview, 2)
    preview.released.set()
    third.result.result(9)
    assert preview.made in ([2], [1, 2])


def test_a_client_that_has_gone_waits_for_no_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, given_up = threading.Event(), threading.Event()

    def make(_self: pieces.Pieces, _piece: int, stopped: Callable[[], bool]) -> Path:
        begun.set()
        while not stopped():
            time.sleep(0.01)
        given_up.set()
        raise pieces.Stopped

    monkeypatch.setattr(pieces.Pieces, "make", make)
    with viewing(run_of(steady(tmp_path), tmp_path / "run")) as client:
        assert client.get("api/run").status_code == 200
        with pytest.raises(requests.Timeout):
            client.session.get(f"{client.root}/runs/0/preview/0.mp4", timeout=1)
        assert begun.wait(9)
        assert given_up.wait(9)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 9
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)
