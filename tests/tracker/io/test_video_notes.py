"""Video in, what is no damage but may surprise: late and missing times, joined recordings, what is left out."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.frame import Frame
from tests.media import number_of, numbered_image, numbers, write_images, write_video
from tracker.io.stream_clock import StreamClock
from tracker.io.video import DamagedInput, open_source

WITH_B, WITHOUT_B = {"bf": "2", "g": "10"}, {"bf": "0", "g": "10"}


def read(path: Path, **part: Any) -> tuple[list[Frame], tuple[str, ...]]:
    """The frames and the notes; of a whole source."""
    source = open_source(path, **part)
    return list(source.frames()), source.notes


def times(frames: list[Frame]) -> list[float]:
    return [frame.time_s for frame in frames]


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


# Late clocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_s", [0.6, 10.0])
@pytest.mark.parametrize("name", ["late.mkv", "late.webm", "late.mp4", "late.mov", "late.ts"])
def test_a_clock_that_starts_late_is_no_damage_and_a_cut_file_still_is(
    tmp_path: Path, name: str, first_s: float
) -> None:
    ticks = [round(1000 * (first_s + n / 30)) for n in range(40)]
    faststart = {"movflags": "faststart"} if name.endswith(("mp4", "mov")) else {}
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    path = write_video(tmp_path / name, 40, codec=codec, ticks=ticks, container_options=faststart)
    frames, notes = read(path)
    assert numbers(frames) == list(range(40))
    assert times(frames) == pytest.approx([tick / 1000 for tick in ticks], abs=1e-4)
    assert notes == ()
    assert open_source(path).num_frames == pytest.approx(40, abs=1)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 5])
    with pytest.raises(DamagedInput):
        list(open_source(path).frames())


def test_a_late_file_that_is_cut_off_though_its_size_is_right_is_damaged(tmp_path: Path) -> None:
    ticks = [10_000 + 33 * n for n in range(60)]
    path = write_video(tmp_path / "zeros.mkv", 60, options=WITHOUT_B, ticks=ticks)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + bytes(len(data) - len(data) // 3))
    with pytest.raises(DamagedInput, match="promises"):
        list(open_source(path).frames())


# Missing times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_with_b_frames_is_timed_by_order_and_rate_with_a_note(tmp_path: Path, codec: str) -> None:
    frames, notes = read(write_video(tmp_path / "clip.avi", 30, codec=codec, options=WITH_B))
    assert numbers(frames) == list(range(30))
    assert times(frames) == pytest.approx([n / 30 for n in range(30)])
    (note,) = notes
    assert note.endswith("clip.avi: AVI stores no times of B-frames; times are frame number / 30 fps")


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv420p"), ("mpeg4", "yuv420p"), ("mjpeg", "yuvj420p")])
def test_avi_without_b_frames_keeps_its_times(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    options = {} if codec == "mjpeg" else WITHOUT_B
    path = write_video(tmp_path / "clip.avi", 30, codec=codec, pix_fmt=pix_fmt, options=options)
    frames, notes = read(path)
    assert numbers(frames) == list(range(30))
    assert times(frames) == pytest.approx([n / 30 for n in range(30)])
    assert notes == ()
    skipping = [0, 1, 2, 5, 6, 10]
    path = write_video(
        tmp_path / "gaps.avi", 6, codec=codec, pix_fmt=pix_fmt, options=options, ticks=skipping, ticks_per_s=30
    )
    assert times(read(path)[0]) == pytest.approx([tick / 30 for tick in skipping])


@pytest.mark.parametrize(
    ("name", "codec"), [("bare.h264", "libx264"), ("bare.hevc", "libx265"), ("bare.m2v", "mpeg2video")]
)
def test_a_raw_stream_is_timed_by_its_rate_with_a_note(tmp_path: Path, name: str, codec: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else WITH_B
    path = write_video(tmp_path / name, 30, codec=codec, options=options)
    frames, notes = read(path)
    assert numbers(frames) == list(range(30))
    assert times(frames) == pytest.approx([n / 30 for n in range(30)])
    assert notes == (f"{path}: the file stores no times; times are frame number / 30 fps",)
    assert read(path, fps=60)[1] == ()  # as asked for


# Joined recordings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.ts", "libx264", WITH_B),
        ("a.ts", "mpeg2video", WITHOUT_B),
        ("a.mkv", "libx264", WITH_B),
        ("a.webm", "libvpx-vp9", {}),
        ("a.mpg", "mpeg2video", WITH_B),
        ("a.ogv", "libvpx", {}),
    ],
)
def test_the_clock_is_continued_where_recordings_are_joined(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    part = write_video(tmp_path / name, 20, codec=codec, options=options)
    path = joined(tmp_path / f"joined{part.suffix}", part, part)
    frames, notes = read(path)
    assert numbers(frames) == 2 * list(range(20))
    assert np.diff(times(frames)) == pytest.approx(1 / 30, abs=0.07 if name == "a.ogv" else 0.005)
    assert (np.diff(times(frames)) > 0).all()
    (note,) = notes
    assert (
        f"is set back at {frames[20].time_s:.2f} s, as where" in note or name == "a.ogv"
    )  # there its head comes before
    assert read(path, end_s=0.5)[1] == ()  # the joins are behind that
    late = list(open_source(path, start_s=1.0).frames())  # of which the header knows nothing
    assert numbers(late) == numbers(frames)[-len(late) :]
    with pytest.raises(InputError, match=r"the clip is 1\.\d\d s long"):
        open_source(path, start_s=5)


def test_several_joins_are_one_line(tmp_path: Path) -> None:
    part = write_video(tmp_path / "a.ts", 10)
    frames, notes = read(joined(tmp_path / "joined.ts", part, part, part))
    assert numbers(frames) == 3 * list(range(10))
    assert len(notes) == 1
    assert f"is set back 2 times, first at {frames[10].time_s:.2f} s" in notes[0]


def test_of_three_joined_matroska_files_ffmpeg_reads_two(tmp_path: Path) -> None:
    part = write_video(tmp_path / "a.mkv", 10)
    frames, notes = read(joined(tmp_path / "joined.mkv", part, part, part))
    assert numbers(frames) == 2 * list(range(10))
    assert len(notes) == 2
    assert f"another file begins at byte {2 * part.stat().st_size}" in notes[1]


def test_a_clock_that_overflows_is_continued(tmp_path: Path) -> None:
    """The second recording lies 26 hours before the first, which FFmpeg takes for an overflow of the clock."""
    late = write_video(tmp_path / "late.ts", 20, ticks=[1_000_000 + 33 * n for n in range(20)], options=WITHOUT_B)
    early = write_video(tmp_path / "early.ts", 20, options=WITHOUT_B)
    frames, notes = read(joined(tmp_path / "back.ts", late, early))
    assert numbers(frames) == 2 * list(range(20))
    assert np.diff(times(frames)) == pytest.approx(1 / 30, abs=0.005)
    assert "is set back at 1000.6" in notes[0]
    frames, notes = read(joined(tmp_path / "forth.ts", early, late))
    assert numbers(frames) == 2 * list(range(20))
    assert frames[20].time_s == pytest.approx(1000, abs=0.1)  # a gap may be true
    assert "jumps ahead by 999.37 s at 0.63 s" in notes[0]


@pytest.mark.parametrize(
    ("name", "codec", "container_options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.mov", "mpeg4", {}),
        ("a.3gp", "libx264", {}),
        ("a.flv", "libx264", {}),
        ("a.wmv", "wmv2", {}),
    ],
)
def test_a_second_file_that_is_not_read_is_noted(
    tmp_path: Path, name: str, codec: str, container_options: dict[str, str]
) -> None:
    options = {} if codec == "wmv2" else {"g": "5"}
    part = write_video(tmp_path / name, 20, codec=codec, options=options, container_options=container_options)
    other = write_video(
        tmp_path / f"other{part.suffix}", 15, codec=codec, options=options, container_options=container_options
    )
    assert read(part)[1] == ()
    path = joined(tmp_path / f"joined{part.suffix}", part, other)
    frames, notes = read(path)
    assert numbers(frames) == list(range(20))
    (note,) = notes
    assert note.startswith(f"{path}: another file begins at byte {part.stat().st_size} and is not read; `ffmpeg")
    assert read(path, end_s=0.4)[1] == ()


@pytest.mark.parametrize("name", ["a.avi", "a.gif"])
def test_formats_that_are_read_on_need_no_note(tmp_path: Path, name: str) -> None:
    codec, pix_fmt = ("mpeg4", "yuv420p") if name == "a.avi" else ("gif", "rgb8")
    part = write_video(tmp_path / name, 20, codec=codec, pix_fmt=pix_fmt)
    frames, notes = read(joined(tmp_path / f"joined{part.suffix}", part, part))
    assert numbers(frames) == 2 * list(range(20))
    assert np.diff(times(frames)) == pytest.approx(1 / 30, abs=0.01)
    assert notes == ()


@given(
    steps=st.lists(st.integers(1, 90_000 * 9), min_size=1, max_size=30),
    back_to=st.integers(-(10**6), 10**6),
    at=st.integers(1, 30),
)
def test_a_clock_never_goes_back_whatever_it_is_set_to(steps: list[int], back_to: int, at: int) -> None:
    clock = StreamClock(Fraction(90_000), 30, is_mpeg=True)
    ticks = np.cumsum([0, *steps])
    ticks[at:] += back_to - (ticks[at] if at < len(ticks) else 0)
    placed = [tick + clock.place(tick, tick, is_keyframe=True)[0] for tick in ticks.tolist()]
    slips = [b - a for a, b in itertools.pairwise(placed) if b < a]
    assert all(slip > -90_000 for slip in slips)  # a slip of less than a second is left to who reads the frames
    assert len(clock.joins_s) <= 1


# Two videos, images --------------------------------------------------------------------------------------------------


def test_a_second_video_in_a_file_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("mpeg4", rate=30) for _ in range(2)]
        for scale, stream in zip((1, 2), streams, strict=True):
            stream.width, stream.height, stream.pix_fmt = 128 * scale, 64 * scale, "yuv420p"
            stream.disposition = av.stream.Disposition(0)
        for number in range(5):
            for scale, stream in zip((1, 2), streams, strict=True):
                frame = av.VideoFrame.from_ndarray(numbered_image(number, scale), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    frames, notes = read(path)
    assert numbers(frames) == list(range(5))
    assert notes == (f"{path}: holds 2 videos; stream 1 (256x128) is read",)


def test_videos_beside_images_are_noted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "walk", ["1.png", "2.png"])
    assert open_source(folder).notes == ()
    (folder / "b.mp4").write_bytes(b"video")
    assert open_source(folder).notes == (f"{folder}: the images are read; b.mp4 beside them is not",)
    (folder / "a.mov").write_bytes(b"video")
    expected = f"{folder}: the images are read; a.mov and 1 more videos beside them are not"
    assert open_source(folder).notes == (expected,)
    assert open_source(folder / "*.png").notes == ()  # as asked for


def write_animation(path: Path, count: int = 5) -> Path:
    images = [numbered_image(number) for number in range(count)]
    if path.suffix == ".tif":
        assert cv2.imwritemulti(str(path), images)
        return path
    animation = cv2.Animation()
    animation.frames, animation.durations = images, [100] * count  # type: ignore[assignment]
    assert cv2.imwriteanimation(str(path), animation)
    return path


def test_an_animated_png_is_a_video(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "walk.png")
    frames, notes = read(path)
    assert numbers(frames) == list(range(5))
    assert times(frames) == pytest.approx([n / 10 for n in range(5)])
    assert notes == ()
    joined(tmp_path / "joined.png", path, path)
    assert "another file begins" in open_source(tmp_path / "joined.png").notes[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedInput, match="cut off after"):
        list(open_source(path).frames())


@pytest.mark.parametrize("name", ["walk.webp", "walk.tif"])
def test_an_animation_is_read_whole_or_noted(tmp_path: Path, name: str) -> None:
    frames, notes = read(write_animation(tmp_path / name))
    if len(frames) == 5:  # WebP from FFmpeg 9 on
        assert notes == ()
    else:
        assert numbers(frames) == [0]
        assert notes == (f"{tmp_path}: {name} holds several pictures; only its first is read",)


def test_animations_among_images_are_noted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "walk", ["1.png", "2.webp", "3.tif", "4.jpg"])
    assert open_source(folder).notes == ()
    write_animation(folder / "2.webp")
    assert open_source(folder).notes == (f"{folder}: 2.webp holds several pictures; only its first is read",)
    for name in ("1.png", "3.tif"):
        write_animation(folder / name)
    frames, notes = read(folder)
    assert len(frames) == 4
    assert notes == (f"{folder}: 1.png and 2 more hold several pictures; only the first of each is read",)


# End marks and odd pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [("a.gif", "gif", "rgb8"), ("a.ogv", "libvpx", "yuv420p")])
def test_gif_and_ogg_without_their_end_mark_are_cut_off(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    path = write_video(tmp_path / name, 20, codec=codec, pix_fmt=pix_fmt)
    data = path.read_bytes()
    assert numbers(read(path)[0]) == list(range(20))
    for share in (0.3, 0.5, 0.9, 0.999):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(DamagedInput, match="its end mark is missing"):
            list(open_source(path).frames())


def test_pictures_with_exif_are_turned_as_it_says(tmp_path: Path) -> None:
    """Cameras write it into each picture of a Motion JPEG, and not every PyAV knows what it is."""
    turned = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)  # 6: show turned clockwise
    stored = [cv2.imencode(".jpg", numbered_image(number))[1].tobytes() for number in range(5)]
    head = b"\xff\xe1" + struct.pack(">H", len(turned) + 2) + turned
    path = tmp_path / "camera.mjpeg"
    path.write_bytes(b"".join(image[:2] + head + image[2:] for image in stored))
    frames, _ = read(path)
    assert [number_of(np.rot90(frame.image)) for frame in frames] == list(range(5))
