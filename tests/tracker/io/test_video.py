"""Video in: order, times, orientation, colour; damage that is told; and files that are no video."""

from __future__ import annotations

import hashlib
import itertools
import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracker.io.video_part
from posetrail.errors import InputError
from posetrail.frame import Frame
from tests.media import (
    HALF,
    MIRRORED,
    QUARTER_ANTICLOCKWISE,
    QUARTER_CLOCKWISE,
    TRANSPOSED,
    TRANSVERSED,
    UPRIGHT,
    UPSIDE_DOWN,
    add_silence,
    numbered_image,
    numbers,
    turn,
    write_images,
    write_video,
)
from tracker.io.video import DamagedInput, open_source


def read(path: Path | str, **wanted: Any) -> list[Frame]:
    return list(open_source(path, **wanted).frames())


def read_damaged(path: Path) -> tuple[list[Frame], str]:
    """The frames a damaged source gives, and what it says then."""
    frames = []
    with pytest.raises(DamagedInput) as told:
        for frame in open_source(path).frames():
            frames.append(frame)  # noqa: PERF402
    message = str(told.value)
    assert "\n" not in message
    return frames, message


def open_files() -> list[str]:
    here = Path("/proc/self/fd")
    if not here.is_dir():
        pytest.skip("this system does not list open files under /proc")
    names = []
    for link in here.iterdir():
        try:
            names.append(str(link.readlink()))
        except OSError:  # the listing's own
            continue
    return names


# What is read --------------------------------------------------------------------------------------------------------


def test_a_video_gives_its_frames_in_order_with_their_times(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "walk.mp4", 12))
    frames = list(source.frames())
    assert numbers(frames) == [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(12)])
    assert frames[3].name == "000003.jpg"
    assert all(frame.image.shape == (64, 128, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert (source.name, source.fps, source.width, source.height) == ("walk", 30, 128, 64)
    assert source.num_frames == 12
    assert source.is_video


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("b_frames.mkv", "libx264", "yuv420p"),
        ("full.mp4", "libx264", "yuvj420p"),
        ("444.mp4", "libx264", "yuv444p"),
        ("ten_bits.mp4", "libx264", "yuv420p10le"),
        ("gray.mp4", "libx264", "gray"),
        ("nv12.mp4", "libx264", "nv12"),
        ("hevc.mp4", "libx265", "yuv420p"),
        ("vp8.webm", "libvpx", "yuv420p"),
        ("vp9.webm", "libvpx-vp9", "yuv420p"),
        ("mpeg4.avi", "mpeg4", "yuv420p"),
        ("mpeg2.ts", "mpeg2video", "yuv420p"),
        ("mjpeg.mov", "mjpeg", "yuvj420p"),
        ("alpha.mov", "qtrle", "argb"),
        ("png.mov", "png", "rgb24"),
        ("deep.mkv", "ffv1", "gray16le"),
        ("prores.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_every_codec_and_pixel_format_comes_as_rgb(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    frames = read(write_video(tmp_path / name, 8, codec=codec, pix_fmt=pix_fmt, options=options))
    assert numbers(frames) == list(range(8))
    steps = np.diff([frame.time_s for frame in frames])
    assert steps == pytest.approx(1 / 30, abs=0.001)
    for frame in frames:
        assert np.abs(frame.image.astype(int) - numbered_image(frame.index)).mean() < 16


@pytest.mark.parametrize("range_", ["MPEG", "JPEG"])
@pytest.mark.parametrize("space", ["ITU709", "ITU601"])
def test_colours_follow_the_tags_of_the_stream(tmp_path: Path, space: str, range_: str) -> None:
    colour = (200, 60, 40)
    path = tmp_path / "colour.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv444p"
        tags = ({"ITU709": 1, "ITU601": 5}[space], {"MPEG": 1, "JPEG": 2}[range_])
        stream.codec_context.colorspace, stream.codec_context.color_range = tags
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), colour, np.uint8), format="rgb24")
        frame = frame.reformat(format="yuv444p", dst_colorspace=space, dst_color_range=range_)
        frame.colorspace, frame.color_range = tags
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert read(path)[0].image[32, 32].tolist() == pytest.approx(colour, abs=4)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_variable_rate_keeps_its_times(tmp_path: Path, container: str) -> None:
    ticks = [0, 33, 67, 400, 401, 1500, 1533]
    frames = read(write_video(tmp_path / f"telephone.{container}", len(ticks), ticks=ticks))
    assert numbers(frames) == list(range(7))
    assert [frame.time_s for frame in frames] == pytest.approx([tick / 1000 for tick in ticks])


def test_times_that_run_backwards_stand_still_instead(tmp_path: Path) -> None:
    path = tmp_path / "jump.mkv"
    pts = [0, 100, 50, 100, 150]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuvj420p"
        for number, tick in enumerate(pts):
            for packet in stream.encode(av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")):
                packet.pts, packet.dts, packet.time_base = tick, 10 * number, Fraction(1, 1000)
                container.mux(packet)
    frames = read(path)
    assert numbers(frames) == list(range(5))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.1, 0.1, 0.15])


def test_a_stream_without_times_takes_them_from_its_rate(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "raw.h264", 12, fps=50))
    assert source.fps == 50
    frames = list(source.frames())
    assert numbers(frames) == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 50 for n in range(12)])


def test_a_given_rate_replaces_the_times_of_a_video(tmp_path: Path) -> None:
    slow_motion = write_video(tmp_path / "slow.mp4", 12)
    source = open_source(slow_motion, fps=240, end_s=0.025)
    assert [frame.time_s for frame in source.frames()] == pytest.approx([n / 240 for n in range(6)])
    assert source.num_frames == 6


def test_mpeg_ts_may_start_its_clock_anywhere_but_start_and_end_count_from_the_clip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.ts", 30, ticks=[90000 + 33 * n for n in range(30)])
    whole = read(path)
    assert whole[0].time_s == pytest.approx(90, abs=0.1)
    part = read(path, start_s=0.5, end_s=0.7)
    assert [frame.time_s for frame in part] == [
        frame.time_s for frame in whole if 0.5 <= frame.time_s - whole[0].time_s < 0.7
    ]
    assert part


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        (UPRIGHT, lambda image: image),
        (QUARTER_CLOCKWISE, lambda image: np.rot90(image, -1)),
        (HALF, lambda image: np.rot90(image, 2)),
        (QUARTER_ANTICLOCKWISE, lambda image: np.rot90(image)),
        (MIRRORED, lambda image: image[:, ::-1]),
        (UPSIDE_DOWN, lambda image: image[::-1]),
        (TRANSPOSED, lambda image: image.swapaxes(0, 1)),
        (TRANSVERSED, lambda image: image[::-1, ::-1].swapaxes(0, 1)),
    ],
)
def test_telephone_videos_come_upright(tmp_path: Path, matrix: tuple[int, int, int, int], shown: Any) -> None:
    stored = numbered_image(0b0010_1101)  # no symmetry maps it onto itself
    source = open_source(turn(write_video(tmp_path / "telephone.mp4", [stored] * 2), matrix))
    frame = next(source.frames())
    assert frame.image.shape == shown(stored).shape == (source.height, source.width, 3)
    assert np.abs(frame.image.astype(int) - shown(stored)).mean() < 3
    assert frame.image.flags.c_contiguous


def test_pixels_are_not_stretched_to_the_sample_aspect_ratio(tmp_path: Path) -> None:
    path = write_video(tmp_path / "dv.mp4", 2, options={"x264-params": "sar=2/1"})
    assert read(path)[0].image.shape == (64, 128, 3)


def test_what_an_edit_list_cuts_away_is_neither_shown_nor_missed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "trimmed.mp4", 30, options={"bf": "0", "g": "5"})
    data = path.read_bytes()
    place = data.index(b"elst") + 12  # version, count; then duration (1/1000 s), media time, rate
    _, media_time = struct.unpack(">ii", data[place : place + 8])
    frame_ticks = 512
    path.write_bytes(data[:place] + struct.pack(">ii", 500, media_time + 7 * frame_ticks) + data[place + 8 :])
    frames = read(path)
    assert numbers(frames) == list(range(7, 22))
    assert [frame.index for frame in frames] == list(range(15))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(15)])


def test_sound_is_ignored_however_long_it_lasts(tmp_path: Path) -> None:
    for name in ("talk.mp4", "talk.mkv", "talk.ts"):
        source = open_source(write_video(tmp_path / name, 12, audio_s=2.5))
        assert numbers(list(source.frames())) == list(range(12))


def test_the_default_stream_is_taken_and_a_cover_never(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream(codec, rate=30) for codec in ("mjpeg", "mpeg4", "mpeg4")]
        kinds = av.stream.Disposition
        for stream, kind, scale in zip(streams, (kinds.attached_pic, kinds(0), kinds.default), (4, 2, 1), strict=True):
            stream.width, stream.height = 128 * scale, 64 * scale
            stream.pix_fmt = "yuvj420p" if stream is streams[0] else "yuv420p"
            stream.disposition = kind.value  # PyAV 17 takes numbers alone
        for stream, scale in zip(streams, (4, 2, 1), strict=True):
            for number in range(1 if stream is streams[0] else 5):
                frame = av.VideoFrame.from_ndarray(numbered_image(number, scale), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    frames = read(path)
    assert numbers(frames) == list(range(5))
    assert frames[0].image.shape == (64, 128, 3)


def test_a_title_in_an_old_alphabet_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "camera.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "XXXX"
        stream: Any = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_image(9), format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"XXXX", "\xe9t\xe9!".encode("latin-1")))
    assert numbers(read(path)) == [9]


@pytest.mark.parametrize(
    "name", ["with spaces.mp4", "Füße 走る.mp4", "a[1]b.mp4", "100%d.mp4", "a:b.mp4", "what?*.mp4"]
)
def test_a_name_is_only_a_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "plain.mp4", 3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert numbers(read(name)) == [0, 1, 2]
    assert open_source(name).name == Path(name).stem


# Which part ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "h264"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 25), length=st.integers(1, 30), stride=st.integers(1, 7))
def test_a_part_is_the_same_frames_as_in_the_whole(
    tmp_path: Path, container: str, start: int, length: int, stride: int
) -> None:
    path = tmp_path / f"walk.{container}"
    if not path.exists():
        write_video(path, 30, options={"g": "8"})
    start_s, end_s = start / 30 - 0.001 if start else 0, (start + length) / 30 - 0.001
    source = open_source(path, start_s=start_s, end_s=end_s, stride=stride)
    part = list(source.frames())
    wanted = [n for n in range(start, min(start + length, 30)) if n % stride == 0]
    assert [frame.index for frame in part] == numbers(part) == wanted
    if container != "h264":
        assert source.num_frames == len(wanted)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"start_s": -1.0}, "start: expected"),
        ({"start_s": float("nan")}, "start: expected"),
        ({"end_s": float("inf")}, "end: expected"),
        ({"start_s": 0.2, "end_s": 0.2}, "end: expected a time after start"),
        ({"end_s": 0.0}, "end: expected a time after start"),
        ({"stride": 0}, "stride: expected"),
        ({"stride": 1.5}, "stride: expected"),
        ({"fps": 0.0}, "fps: expected"),
        ({"fps": float("nan")}, "fps: expected"),
        ({"start_s": 5.0}, "the clip is 0.40 s long"),
    ],
)
def test_a_senseless_part_is_refused_with_one_line(tmp_path: Path, wanted: dict[str, Any], told: str) -> None:
    for path in (
        write_video(tmp_path / "walk.mp4", 12),
        write_images(tmp_path / "walk", [f"{n}.png" for n in range(12)]),
    ):
        with pytest.raises(InputError, match=told) as error:
            open_source(path, **wanted)
        assert "\n" not in str(error.value)
        if "clip is" in told:
            break


def test_a_start_beyond_the_end_is_found_even_where_the_header_tells_no_length(tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", 12)
    with pytest.raises(InputError, match=r"start 5.0 s is beyond the end; the clip is 0.40 s long"):
        read(path, start_s=5.0)


# Damage --------------------------------------------------------------------------------------------------------------

CUTTABLE: dict[str, dict[str, Any]] = {
    "fast.mp4": {"container_options": {"movflags": "faststart"}},
    "plain.mov": {"codec": "mpeg4", "container_options": {"movflags": "faststart"}},
    "b_frames.mkv": {},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "with_sound.mkv": {"audio_s": 0.7},
    "broadcast.ts": {},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for name, made in CUTTABLE.items():
        write_video(folder / name, 20, **made)
    return folder


@pytest.mark.parametrize("name", CUTTABLE)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_gives_its_frames_and_reports_damage(
    tmp_path: Path, whole: Path, name: str, share: float
) -> None:
    data = (whole / name).read_bytes()
    path = tmp_path / name
    size = int(share * len(data))
    path.write_bytes(data[: size - (path.suffix == ".ts" and size % 188 == 0)])  # MPEG-TS between packets: see there
    frames: list[Frame] = []
    with pytest.raises(InputError) as told:
        for frame in open_source(path).frames():
            frames.append(frame)  # noqa: PERF402
    assert "\n" not in str(told.value)
    assert isinstance(told.value, DamagedInput) == bool(frames)
    # The decoder may repair the last pictures; all before are whole, and none is out of order.
    assert numbers(frames)[:-3] == list(range(len(frames) - 3 if len(frames) > 3 else 0))
    indices = [frame.index for frame in frames]
    assert indices[:-3] == numbers(frames)[:-3]
    assert indices == sorted(set(indices))
    if frames:
        assert f"{len(frames)} frames read, up to {frames[-1].time_s:.2f} s" in str(told.value)


def test_a_cut_file_reports_its_size_and_the_expected_one(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mp4", 30, container_options={"movflags": "faststart"}, options={"g": "5"})
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size * 2 // 3])
    frames, message = read_damaged(path)
    assert 5 < len(frames) < 30
    assert f"the file is cut off after {size * 2 // 3} of {size} bytes" in message


@pytest.mark.parametrize("name", ["mud.mp4", "mud.ts", "mud.avi"])
def test_damage_in_the_middle_is_reported_and_reading_continues(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = write_video(tmp_path / name, 40, codec=codec, options={"g": "8", "bf": "0"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(0).integers(0, 256, 300, np.uint8).tobytes()
    path.write_bytes(data)
    frames, message = read_damaged(path)
    # Which of the two depends on where an encoder's bytes fall: within a picture, or on the header of its chunk.
    assert "not decode cleanly" in message or "are unreadable" in message
    assert numbers(frames)[:2] == [0, 1]
    assert numbers(frames)[-8:] == list(range(32, 40))
    lost = numbers(frames)[-1] - frames[-1].index  # packets that are lost altogether are not counted
    assert lost == 0 or not name.endswith("mp4")
    assert [frame.index + lost for frame in frames[-8:]] == numbers(frames)[-8:]
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    again, _ = read_damaged(path)
    assert all((a.image == b.image).all() for a, b in zip(frames, again, strict=True))


@pytest.mark.parametrize("lost", [b"\0", b"\xff", b"00dc"])
def test_chunks_of_avi_that_ffmpeg_skips_without_a_word_are_damage(tmp_path: Path, lost: bytes) -> None:
    path = write_video(tmp_path / "hole.avi", 40, codec="mpeg4", options={"g": "8", "bf": "0"})
    assert numbers(read(path)) == list(range(40))
    data = path.read_bytes()
    begin = data.index(b"00dc", len(data) // 2)
    path.write_bytes(data[:begin] + lost * (8 // len(lost)) + data[begin + 8 :])
    frames, message = read_damaged(path)
    assert len(frames) < 40
    assert "are unreadable" in message or "not decode cleanly" in message


def test_an_early_end_is_reported_even_if_the_size_is_right(tmp_path: Path) -> None:
    path = write_video(tmp_path / "zeros.mkv", 60, options={"g": "10", "bf": "0"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + bytes(len(data) - len(data) // 3))
    frames, message = read_damaged(path)
    assert len(frames) < 60
    assert "the file promises 2.00 s" in message


def test_a_part_of_matroska_that_ffmpeg_skips_silently_is_reported(tmp_path: Path) -> None:
    clusters = {"cluster_time_limit": "500"}
    path = write_video(tmp_path / "hole.webm", 80, codec="libvpx-vp9", options={"g": "8"}, container_options=clusters)
    assert numbers(read(path)) == list(range(80))
    data = path.read_bytes()
    a, b = len(data) // 3, len(data) // 2
    path.write_bytes(data[:a] + bytes(b - a) + data[b:])
    frames, message = read_damaged(path)
    assert len(frames) < 75
    assert numbers(frames)[-8:] == list(range(72, 80))
    assert "are unreadable" in message


def test_a_file_that_cannot_be_read_further_gives_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "far_away.mp4", 20, options={"bf": "0"})
    whole_demux = av.container.InputContainer.demux

    class Unplugged:
        def __init__(self, container: Any) -> None:
            self.container = container

        def __enter__(self) -> Unplugged:
            return self

        def __exit__(self, *_: object) -> None:
            self.container.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.container, name)

        def demux(self) -> Any:
            yield from itertools.islice(whole_demux(self.container), 10)
            raise av.error.OSError(5, "Input/output error", str(path))

    source = open_source(path)
    whole_open = tracker.io.video_part.open_container
    monkeypatch.setattr(tracker.io.video_part, "open_container", lambda path: Unplugged(whole_open(path)))
    frames = []
    with pytest.raises(DamagedInput, match=r"reading stopped \(Input/output error\)"):
        for frame in source.frames():
            frames.append(frame)  # noqa: PERF402
    assert numbers(frames) == list(range(len(frames)))
    assert len(frames) >= 5


def test_damage_after_the_chosen_end_is_not_reported(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mp4", 60, container_options={"movflags": "faststart"}, options={"g": "5"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert numbers(read(path, end_s=0.3)) == list(range(9))


def test_a_picture_that_changes_size_ends_the_clip_with_one_line(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.h264", 6).read_bytes()
    large = write_video(tmp_path / "large.h264", [numbered_image(n, 2) for n in range(6)]).read_bytes()
    path = tmp_path / "both.h264"
    path.write_bytes(small + large)
    frames, message = read_damaged(path)
    assert numbers(frames) == list(range(6))
    assert "changes from 128x64 to 256x128 at 0.20 s: cut the clip there" in message


def test_a_broadcast_joined_in_the_middle_is_not_damaged(tmp_path: Path) -> None:
    path = write_video(tmp_path / "joined.ts", 60, options={"g": "10"})
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 3 // 188 * 188 :])
    frames = read(path)
    assert numbers(frames) == list(range(60 - len(frames), 60))
    assert len(frames) > 20


# No video at all -----------------------------------------------------------------------------------------------------


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        add_silence(container, 0.5)
    return path


def headless(path: Path) -> Path:
    data = write_video(path, 12).read_bytes()  # the header stands at the end
    path.write_bytes(data[: data.index(b"moov")])
    return path


UNUSABLE = {
    "missing.mp4": (lambda path: path, "no such file or folder"),
    "missing/*.png": (lambda path: path, "matches nothing"),
    "empty.mp4": (lambda path: path.touch(), "the file is empty"),
    "text.mp4": (lambda path: path.write_text("not a video\n" * 50), "cannot be opened as a video"),
    "list.txt": (lambda path: path.write_text("a.mp4\nb.mp4\n" * 50), "this is a text file"),
    "sound.m4a": (write_sound, r"no video in this file \(it holds audio\)"),
    "headless.mp4": (headless, "its header is lost"),
    "nothing": (lambda path: path.mkdir(), "no images in this folder"),
    "clips": (lambda path: write_video(path.with_suffix(".mp4"), 2) and gather(path), "posetrail batch"),
    "clips*": (lambda path: write_video(path.with_name("clips1.mp4"), 2), "posetrail batch"),
    "broken.png": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n broken"), "broken.png cannot be read"),
    "playlist.m3u8": (
        lambda path: path.write_text("#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        "cannot be opened",
    ),
}


def gather(folder: Path) -> None:
    folder.mkdir()
    folder.with_suffix(".mp4").rename(folder / "one.mp4")


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_video_is_refused_with_one_line_and_nothing_left_open(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make, told = UNUSABLE[name]
    make(tmp_path / name)
    capfd.readouterr()
    with pytest.raises(InputError, match=told) as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert not [opened for opened in open_files() if str(tmp_path) in opened]
    if name != "broken.png":  # OpenCV's PNG reader speaks up by itself
        assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="the superuser may read everything")
def test_what_may_not_be_read_is_refused_with_one_line(tmp_path: Path) -> None:
    path = write_video(tmp_path / "private.mp4", 2)
    folder = write_images(tmp_path / "private", ["1.png"])
    for locked in (path, folder):
        locked.chmod(0)
        with pytest.raises(InputError, match=r"cannot be read .*check its permissions"):
            open_source(locked)
        locked.chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_device_or_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        open_source(tmp_path / "pipe.mp4")


def test_the_file_is_closed_however_reading_ends(tmp_path: Path) -> None:
    path = write_video(tmp_path / "walk.mp4", 12)

    def is_open() -> bool:
        return str(path) in open_files()

    source = open_source(path)
    assert not is_open()
    frames = source.frames()
    next(frames)
    assert is_open()
    frames.close()  # type: ignore[attr-defined]
    assert not is_open()
    for _ in source.frames():
        break
    assert not is_open()
    frames = source.frames()
    next(frames)
    del frames
    assert not is_open()
    with pytest.raises(ZeroDivisionError):
        _ = [frame.index // 0 for frame in source.frames()]
    assert not is_open()
    assert len(list(source.frames())) == 12
    assert not is_open()


def test_memory_stays_flat(tmp_path: Path) -> None:
    resident = Path("/proc/self/statm")
    if not resident.exists():
        pytest.skip("this system does not tell memory under /proc")
    path = turn(write_video(tmp_path / "long.mp4", [numbered_image(n, 5) for n in range(150)]), UPRIGHT)
    used = []
    for frame in open_source(path).frames():
        if frame.index in (49, 149):
            used.append(int(resident.read_text().split()[1]) * 4096)
    assert used[1] - used[0] < 25 * frame.image.nbytes


def test_a_frame_outlives_its_file(tmp_path: Path) -> None:
    frames = read(write_video(tmp_path / "walk.mp4", 12))
    assert numbers(frames) == list(range(12))


def test_ffmpeg_prints_nothing_and_its_log_level_is_not_changed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "cut.mp4", 30, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-500])
    capfd.readouterr()
    before = av.logging.get_level()
    read_damaged(path)
    assert av.logging.get_level() == before
    assert capfd.readouterr() == ("", "")


# Images --------------------------------------------------------------------------------------------------------------


def test_a_folder_of_images_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "walk", ["img1.png", "img2.png", "img10.png", "img100.png"])
    (folder / "notes.txt").write_text("not an image")
    (folder / ".img3.png").write_bytes(b"a shadow some systems leave")
    (folder / "masks").mkdir()
    source = open_source(folder)
    frames = list(source.frames())
    assert numbers(frames) == [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.name for frame in frames] == ["img1.png", "img2.png", "img10.png", "img100.png"]
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(4)])
    assert (source.name, source.fps, source.num_frames, source.is_video) == ("walk", 30, 4, False)


def test_a_posetrack_sequence_keeps_its_names_though_frames_are_missing(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "000342_mpii_test", ["000001.jpg", "000002.jpg", "000007.jpg"])
    frames = read(folder, fps=25)
    assert [(frame.index, frame.name) for frame in frames] == [(0, "000001.jpg"), (1, "000002.jpg"), (2, "000007.jpg")]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08])
    assert [frame.name for frame in read(folder, stride=2)] == ["000001.jpg", "000007.jpg"]


def test_every_image_format_comes_as_upright_8_bit_rgb(tmp_path: Path) -> None:
    suffixes = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
    folder = write_images(tmp_path / "mixed", [f"{n}{suffix}" for n, suffix in enumerate(suffixes)])
    red = np.zeros((64, 128, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(folder / "10.png"), red.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "11.png"), np.dstack([red, np.zeros((64, 128), np.uint8)]))
    cv2.imwrite(str(folder / "12.png"), red[..., 2])
    frames = read(folder)
    assert numbers(frames[:7]) == list(range(7))
    assert [frame.image[0, 0].tolist() for frame in frames[7:]] == [[255, 0, 0], [255, 0, 0], [255, 255, 255]]
    assert all(frame.image.shape == (64, 128, 3) and frame.image.dtype == np.uint8 for frame in frames)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    stored = numbered_image(0b0010_1101)
    _, data = cv2.imencode(".jpg", stored)
    turned = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)  # 6: show turned clockwise
    plain = data.tobytes()
    (tmp_path / "photo.jpg").write_bytes(
        plain[:2] + b"\xff\xe1" + struct.pack(">H", len(turned) + 2) + turned + plain[2:]
    )
    source = open_source(tmp_path / "photo.jpg")
    (frame,) = source.frames()
    assert (source.width, source.height, frame.name) == (64, 128, "photo.jpg")
    assert np.abs(frame.image.astype(int) - np.rot90(stored, -1)).mean() < 3


def test_images_may_differ_in_size(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos", ["1.png"])
    cv2.imwrite(str(folder / "2.png"), numbered_image(1, 2))
    frames = read(folder)
    assert [frame.image.shape for frame in frames] == [(64, 128, 3), (128, 256, 3)]
    assert numbers(frames) == [0, 1]


def test_a_broken_image_is_left_out_and_reported_at_the_end(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "walk", [f"{n}.jpg" for n in range(6)])
    photo = (folder / "2.jpg").read_bytes()
    (folder / "2.jpg").write_bytes(photo[: len(photo) // 2])
    (folder / "4.jpg").write_bytes(b"")
    frames, message = read_damaged(folder)
    assert numbers(frames) == [frame.index for frame in frames] == [0, 1, 3, 5]
    assert "2.jpg and 1 more cannot be read" in message


def test_a_glob_reads_as_a_folder_does(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "cam [1]", ["a2.png", "a10.png", "b1.png", "a3.jpg"])
    source = open_source(folder / "a*.png")
    assert (source.path, source.name) == (folder, "cam [1]")
    assert [frame.name for frame in source.frames()] == ["a2.png", "a10.png"]
    deep = open_source(tmp_path / "*" / "a*")
    assert [frame.name for frame in deep.frames()] == ["cam [1]/a2.png", "cam [1]/a3.jpg", "cam [1]/a10.png"]
    with pytest.raises(InputError, match="matches 1 files but no image"):
        open_source(tmp_path / "cam*")


# Fingerprints --------------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    path = write_video(tmp_path / "walk.mp4", 12)
    source = open_source(path)
    assert source.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert open_source(path, start_s=0.1, stride=2).fingerprint == source.fingerprint

    folder = write_images(tmp_path / "walk", ["1.png", "2.png"])
    before = open_source(folder).fingerprint
    assert open_source(folder).fingerprint == before
    (folder / "2.png").rename(folder / "3.png")
    renamed = open_source(folder).fingerprint
    write_images(folder, ["3.png"])
    assert len({before, renamed, open_source(folder).fingerprint}) == 3


# Real clips ----------------------------------------------------------------------------------------------------------


def test_the_example_clip_is_read_whole(example_clip: Path) -> None:
    if not example_clip.exists():
        pytest.skip("the example clip is not here")
    source = open_source(example_clip)
    assert (source.width, source.height, source.fps, source.num_frames) == (1088, 1920, 60, 100)
    frames = read(example_clip, stride=10)
    assert [frame.index for frame in frames] == list(range(0, 100, 10))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 60 for n in range(0, 100, 10)])


@pytest.mark.parametrize(("name", "count", "fps"), [("pose2sim_cam03.mp4", 100, 60), ("sports2d_demo.mp4", 230, 30)])
def test_real_clips_are_read_whole(shared: Path, name: str, count: int, fps: int) -> None:
    source = open_source(shared / "data" / "clips" / name, stride=20)
    frames = list(source.frames())
    assert source.fps == fps
    assert len(frames) == source.num_frames == count // 20 + (count % 20 > 0)
    assert frames[-1].time_s == pytest.approx(frames[-1].index / fps)
