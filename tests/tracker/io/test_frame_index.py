"""A part of a video is decoded from a keyframe: the same frames as from the beginning, and where that cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracker.io.frame_index
import tracker.io.video_part
from posetrail.frame import Frame
from tests.media import numbers, write_images, write_video
from tracker.io.bitstreams import is_clean, is_shown_vp9, length_size, size_bytes
from tracker.io.frame_index import INDEX, IndexOnDemand, load_index, make_index, save_index
from tracker.io.video import DamagedInput, Source, open_source, read_frames

FRAMES = 50
GOP = {"g": "10"}
OPEN = {"x264-params": "open-gop=1:keyint=10:min-keyint=4:bframes=3:b-pyramid=2:scenecut=0"}
VARIABLE = np.cumsum([0, *np.random.default_rng(1).choice([5, 16, 33, 33, 40, 200, 1000], FRAMES - 1)]).tolist()
X265 = "log-level=none:keyint=10:bframes=3:open-gop="

SEEKABLE: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {"options": {**GOP, "bf": "2"}},
    "b_frames.mkv": {"options": {**GOP, "bf": "2"}},
    "b_frames.ts": {"options": {**GOP, "bf": "2"}},
    "open.mp4": {"options": OPEN},
    "open.mkv": {"options": OPEN},
    "open.ts": {"options": OPEN},
    "late.mp4": {"options": GOP, "ticks": [10_000 + 33 * n for n in range(FRAMES)]},
    "late.ts": {"options": GOP, "ticks": [10_000 + 33 * n for n in range(FRAMES)]},
    "variable.mp4": {"options": GOP, "ticks": VARIABLE},
    "variable.mkv": {"options": GOP, "ticks": VARIABLE},
    "fragments.mp4": {"options": GOP, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "sound.mp4": {"options": GOP, "audio_s": 2.5},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": f"{X265}0"}},
    "hevc_open.mkv": {"codec": "libx265", "options": {"x265-params": f"{X265}1"}},
    "hevc_open.ts": {"codec": "libx265", "options": {"x265-params": f"{X265}1"}},
    "vp8.webm": {"codec": "libvpx", "options": {**GOP, "auto-alt-ref": "1", "lag-in-frames": "16"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {**GOP, "auto-alt-ref": "1", "lag-in-frames": "16"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": GOP},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {**GOP, "bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {**GOP, "bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mjpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "wmv2.wmv": {"codec": "wmv2", "options": GOP},
    "x264.flv": {"options": GOP},
}
if "libsvtav1" in av.codecs_available:
    SEEKABLE["av1.mp4"] = {"codec": "libsvtav1", "options": {**GOP, "preset": "12"}}
FROM_THE_BEGINNING: dict[str, dict[str, Any]] = {
    "raw.h264": {"options": GOP},
    "b_frames.avi": {"codec": "mpeg4", "options": {**GOP, "bf": "2"}},
    "program.mpg": {"codec": "mpeg2video", "options": {**GOP, "bf": "2"}},
    "refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=10:bframes=0:scenecut=0"}},
    "refresh.ts": {"options": {"x264-params": "intra-refresh=1:keyint=10:bframes=0:scenecut=0"}},
    "unknown.mkv": {"codec": "ffv1", "options": GOP},
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, made in {**SEEKABLE, **FROM_THE_BEGINNING}.items():
        write_video(folder / name, FRAMES, **made)
    part = (folder / "b_frames.ts").read_bytes()
    (folder / "joined.ts").write_bytes(part + part)
    return folder


def read(source: Source) -> tuple[list[Frame], str]:
    """The frames of a source, and its damage."""
    frames = []
    try:
        for frame in source.frames():
            frames.append(frame)  # noqa: PERF402
    except DamagedInput as error:
        return frames, str(error)
    return frames, ""


def same(a: list[Frame], b: list[Frame]) -> bool:
    """Whether indices, times and pixels are the same."""
    return len(a) == len(b) and all(
        (x.index, x.time_s, x.name) == (y.index, y.time_s, y.name) and (x.image == y.image).all()
        for x, y in zip(a, b, strict=True)
    )


@pytest.fixture
def read_from_the_beginning(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of which something is decoded from the beginning from now on."""
    paths: list[Path] = []
    whole = tracker.io.video_part.pictures

    def pictures(container: Any, stream: Any, flaws: Any, frame_numbers: Any) -> Iterator[Any]:
        paths.append(flaws.path)
        return whole(container, stream, flaws, frame_numbers)

    monkeypatch.setattr(tracker.io.video_part, "pictures", pictures)
    return paths


# Undamaged files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEEKABLE)
def test_a_late_part_is_decoded_from_a_keyframe(videos: Path, name: str, read_from_the_beginning: list[Path]) -> None:
    source = open_source(videos / name)
    assert len(source.frame_index) == FRAMES
    assert source.frame_index.is_exact
    whole, _ = read(source)
    assert numbers(whole) == list(range(FRAMES))
    assert [source.frame_index.time_s(n) for n in range(FRAMES)] == [frame.time_s for frame in whole]
    read_from_the_beginning.clear()
    for first in range(15, FRAMES, 4):
        assert same(read(replace(source, first_index=first, end_index=first + 5))[0], whole[first : first + 5])
    start_s = whole[33].time_s - source.origin_s
    assert same(read(replace(source, start_s=start_s))[0], whole[33:])
    assert read_from_the_beginning == []


@pytest.mark.parametrize("name", [*FROM_THE_BEGINNING, "joined.ts"])
def test_a_part_that_no_keyframe_is_known_for_is_decoded_from_the_beginning(
    videos: Path, name: str, read_from_the_beginning: list[Path]
) -> None:
    source = open_source(videos / name)
    whole, _ = read(source)
    read_from_the_beginning.clear()
    assert same(read(replace(source, first_index=30, end_index=40))[0], whole[30:40])
    assert same(read(replace(source, start_s=1.4))[0], [f for f in whole if f.time_s - source.origin_s >= 1.4 - 1e-6])
    assert len(read_from_the_beginning) == 2


@pytest.mark.parametrize("name", ["open.mkv", "hevc_open.ts", "vp8.webm", "variable.mp4", "raw.h264", "joined.ts"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 60), length=st.integers(1, 60), stride=st.integers(1, 5), given_fps=st.booleans())
def test_any_part_is_the_same_frames_as_in_the_whole(
    videos: Path, name: str, first: int, length: int, stride: int, *, given_fps: bool
) -> None:
    source = open_source(videos / name, stride=stride, fps=25 if given_fps else None)
    whole, _ = read(source)
    part, damage = read(replace(source, first_index=first, end_index=first + length))
    assert same(part, [frame for frame in whole if first <= frame.index < first + length])
    assert damage == ""


def test_start_and_end_of_a_part_need_no_more_of_the_file_than_up_to_the_end(
    videos: Path, read_from_the_beginning: list[Path]
) -> None:
    whole, _ = read(open_source(videos / "open.mp4"))
    read_from_the_beginning.clear()
    source = open_source(videos / "open.mp4", start_s=0.8, end_s=1.1)
    assert same(read(source)[0], [frame for frame in whole if 0.8 <= frame.time_s < 1.1])
    assert read_from_the_beginning == []
    assert 33 <= len(source.frame_index) < FRAMES
    assert not source.frame_index.is_whole


def test_a_part_after_the_last_frame_is_empty(videos: Path) -> None:
    source = open_source(videos / "open.mp4")
    assert read(replace(source, first_index=FRAMES)) == ([], "")
    assert read(replace(source, first_index=FRAMES + 100, end_index=FRAMES + 200)) == ([], "")


# Damaged files --------------------------------------------------------------------------------------------------------


def damaged(path: Path, video: Path, places: list[float], length: int = 40) -> Path:
    """A copy of a video, with noise at these places, as shares of its size."""
    data = bytearray(video.read_bytes())
    for place in places:
        begin = int(place * len(data))
        data[begin : begin + length] = np.random.default_rng(begin).integers(0, 256, length, np.uint8).tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["b_frames.mp4", "b_frames.ts", "hevc.mp4", "mpeg4.mp4", "vp9.webm", "sound.mp4"])
@pytest.mark.parametrize("seed", range(4))
def test_a_part_of_a_damaged_file_is_the_same_frames_as_in_the_whole(
    tmp_path: Path, videos: Path, name: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    source = open_source(damaged(tmp_path / name, videos / name, rng.uniform(0.2, 0.6, seed + 1).tolist()))
    whole, _ = read(source)
    assert len(whole) > 30
    for first in rng.integers(1, FRAMES, 5).tolist():
        part, _ = read(replace(source, first_index=first))
        assert same(part, [frame for frame in whole if frame.index >= first])


@pytest.mark.parametrize("name", ["nob.mp4", "nob.mkv"])
def test_frames_after_a_lost_one_keep_their_numbers(tmp_path: Path, name: str) -> None:
    video = write_video(tmp_path / f"whole_{name}", FRAMES, options={**GOP, "bf": "0"})
    data = bytearray(video.read_bytes())
    with av.open(str(video)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    for number in (20, 21):  # a keyframe, and a frame that needs it
        begin = data.index(packets[number])
        data[begin + 4 : begin + len(packets[number])] = b"\xff" * (len(packets[number]) - 4)
    (tmp_path / name).write_bytes(data)
    source = open_source(tmp_path / name)
    frames, damage = read(source)
    assert "not decode cleanly" in damage
    assert len(frames) < FRAMES
    assert numbers(frames)[-15:] == [frame.index for frame in frames][-15:] == list(range(35, 50))
    assert same(read(replace(source, first_index=41))[0], frames[-9:])


def test_damage_is_reported_of_the_part_that_is_read(tmp_path: Path, videos: Path) -> None:
    source = open_source(damaged(tmp_path / "b.mp4", videos / "b_frames.mp4", [0.3, 0.8], 200))
    frames, damage = read(source)
    assert len(frames) >= 45
    assert "decode cleanly" in damage
    first = next(float(word) for word in damage.split("first at ")[1].split() if word)
    bad = round(first * 30)
    assert bad < 25
    assert read(replace(source, first_index=25, end_index=28))[1] == ""
    assert "does not decode" in read(replace(source, first_index=25))[1]
    assert read(replace(source, end_index=bad - 4))[1] == ""
    assert "decode cleanly, first at" in read(replace(source, end_index=25))[1]
    assert "decode cleanly" not in read(replace(source, first_index=bad - 5, end_index=25, lead_frames=15))[1]


def test_segments_report_the_damage_of_the_whole_once(tmp_path: Path, videos: Path) -> None:
    source = open_source(damaged(tmp_path / "b.mp4", videos / "b_frames.mp4", [0.3, 0.5, 0.8], 200))
    count = flawed_packets(read(source)[1])
    parts = [
        replace(source, end_index=20),
        replace(source, first_index=12, lead_frames=8, end_index=32),
        replace(source, first_index=24, lead_frames=8),
    ]
    assert sum(flawed_packets(read(part)[1]) for part in parts) == count > 1


def flawed_packets(damage: str) -> int:
    """How many packets a report says do not decode."""
    return int(damage.split(" packet")[0].split()[-1]) if " packet" in damage else 0


# On disk --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["open.mp4", "variable.mkv", "joined.ts", "raw.h264"])
@pytest.mark.parametrize("end_s", [None, 1.0])
def test_an_index_is_stored_and_loaded(tmp_path: Path, videos: Path, name: str, end_s: float | None) -> None:
    made = make_index(videos / name, end_s)
    save_index(tmp_path / INDEX, made, videos / name, end_s)
    loaded = load_index(tmp_path / INDEX, videos / name, end_s)
    assert loaded is not None
    for field, value in vars(made).items():
        assert np.array_equal(value, getattr(loaded, field)), field
    assert load_index(tmp_path / INDEX, videos / name, 0.5) is None
    with np.load(tmp_path / INDEX, allow_pickle=False) as stored:
        assert set(stored) == {"about", "first", "steps", "sizes", "seek_points"}


def test_the_index_of_a_file_that_has_changed_is_made_again(tmp_path: Path, videos: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes((videos / "open.mp4").read_bytes())
    IndexOnDemand(video).save(tmp_path / INDEX)
    assert load_index(tmp_path / INDEX, video, None) is not None
    os.utime(video, ns=(0, 0))
    assert load_index(tmp_path / INDEX, video, None) is None


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04", "cut", "flipped", "objects", "ragged"])
def test_an_index_that_cannot_be_used_is_made_again(tmp_path: Path, videos: Path, content: bytes | str) -> None:
    place, video = tmp_path / INDEX, videos / "open.mp4"
    index = make_index(video)
    save_index(place, index, video, None)
    data = place.read_bytes()
    if content == "cut":
        content = data[: len(data) // 2]
    elif content == "flipped":
        content = data.replace(b"seek_points.npy", b"seek_poimts.npy")
    elif content == "objects":
        np.savez(place, about=np.array([{}], object), first=1, steps=1, sizes=1, seek_points=1)
        content = place.read_bytes()
    elif content == "ragged":
        save_index(place, replace(index, sizes=index.sizes[:3]), video, None)
        content = place.read_bytes()
    assert isinstance(content, bytes)
    place.write_bytes(content)
    assert load_index(place, video, None) is None
    source = open_source(video)
    source.look_for_index(tmp_path)
    assert len(source.frame_index) == FRAMES


def test_a_wrong_index_gives_no_wrong_frames(tmp_path: Path, videos: Path) -> None:
    video = videos / "b_frames.mp4"
    whole, _ = read(open_source(video))
    index = make_index(video)
    for wrong in (
        replace(index, pts=index.pts + 512),
        replace(index, pts=np.delete(index.pts, 25), sizes=np.delete(index.sizes, 25)),
        replace(index, sizes=index.sizes + 1),
        replace(index, seek_points=index.seek_points + np.array([3, 0, 0, 0])),
        replace(index, seek_points=index.seek_points + np.array([0, 0, 10**9, 0])),
    ):
        save_index(tmp_path / INDEX, wrong, video, None)
        source = open_source(video)
        source.look_for_index(tmp_path)
        assert same(read(replace(source, first_index=33))[0], whole[33:])


def test_the_packets_are_read_once(tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(path: Path, end_s: float | None = None) -> Any:
        made.append(path)
        return make_index(path, end_s)

    monkeypatch.setattr(tracker.io.frame_index, "make_index", counted)
    source = open_source(videos / "open.mp4", start_s=0.5)
    source.look_for_index(tmp_path)
    assert source.notes == ()
    read(source)
    read(replace(source, first_index=30))
    list(read_frames(source, [12, 45]))
    assert len(made) == 1
    assert source.index_on_demand is not None
    source.index_on_demand.save(tmp_path / INDEX)
    again = open_source(videos / "open.mp4")
    again.look_for_index(tmp_path)
    read(replace(again, first_index=30))
    assert len(made) == 1


def test_a_long_video_has_a_small_index(tmp_path: Path, videos: Path) -> None:
    index = make_index(videos / "open.mp4")
    hours = 10 * 3600 * 30
    long = replace(
        index,
        pts=np.arange(hours) * 512,
        sizes=np.zeros(hours, np.uint16),
        seek_points=np.zeros((hours // 250, 4), np.int64),
    )
    save_index(tmp_path / INDEX, long, videos / "open.mp4", None)
    assert (tmp_path / INDEX).stat().st_size < 5e6


# Stills ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["open.mkv", "raw.h264"])
def test_single_frames_are_those_of_the_whole(videos: Path, name: str) -> None:
    source = open_source(videos / name, start_s=1.0, stride=7)
    whole, _ = read(open_source(videos / name))
    stills = list(read_frames(source, [48, 3, 4, 31, 3, 1000]))
    assert same(stills, [whole[n] for n in (3, 4, 31, 48)])


def test_single_images_of_a_folder_are_opened_alone(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "walk", [f"{n}.png" for n in range(12)])
    (folder / "5.png").write_bytes(b"broken")
    stills = list(read_frames(open_source(folder), [9, 2, 5]))
    assert [frame.index for frame in stills] == numbers(stills) == [2, 9]


# Bits -----------------------------------------------------------------------------------------------------------------


def units(*contents: bytes, length: int = 0) -> bytes:
    return b"".join(
        (len(each).to_bytes(length) if length else b"\0\0\0\1") + each for each in contents
    )  # fmt: skip


RECOVERY, BROKEN, LATE = b"\x06\x06\x01\xc0\x80", b"\x06\x06\x01\xe0\x80", b"\x06\x06\x01\x50\x80"
OTHER_MESSAGE = b"\x06\x05\xff\x03" + bytes(range(1, 256)) + b"abc" + b"\x06\x01\xc4\x80"


@pytest.mark.parametrize("length", [0, 4])
@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        ((b"\x67sps", b"\x68pps", b"\x65slice"), True),
        ((b"\x41slice",), False),
        ((b"\x09\xf0", RECOVERY, b"\x41slice"), True),
        ((OTHER_MESSAGE, b"\x41slice"), True),
        ((BROKEN, b"\x41slice"), False),
        ((LATE, b"\x41slice"), False),
        ((b"\x06\x06",), False),
        ((), False),
    ],
)
def test_keyframes_of_h264_at_which_decoding_may_begin(
    packet: tuple[bytes, ...], length: int, *, expected: bool
) -> None:
    assert is_clean("h264", units(*packet, length=length), length) is expected


def test_keyframes_of_hevc_at_which_decoding_may_begin() -> None:
    for kind in range(32):
        assert is_clean("hevc", units(b"\x4e\x01", bytes([kind << 1, 1, 2])), 0) is (16 <= kind <= 21)


def test_the_length_of_units_is_in_the_header_of_the_stream() -> None:
    assert length_size("h264", b"\0\0\0\1\x67") == 0
    assert length_size("h264", b"\1\x64\0\x1f\xff\xe1") == 4
    assert length_size("hevc", b"\1" + bytes(20) + b"\xfd") == 2


def test_hidden_frames_of_vp9() -> None:
    assert is_shown_vp9(memoryview(b"\x82\x49\x83\x42"))  # a keyframe that is shown
    assert not is_shown_vp9(memoryview(b"\x84\x00\x00\x00"))  # a frame for prediction only
    assert is_shown_vp9(memoryview(b"\x84\x00\xc0\x01\xc0"))  # a superframe
    assert is_shown_vp9(memoryview(b"\x88"))  # shows an existing frame


def test_the_size_of_images_is_in_their_keyframes() -> None:
    small, large = (units(b"\x67" + size, b"\x65slice") for size in (b"small", b"large"))
    assert size_bytes("h264", small, 0) != size_bytes("h264", large, 0)
    assert size_bytes("h264", small, 0) == size_bytes("h264", units(b"\x67small", b"\x65other"), 0)
    assert size_bytes("mpeg2video", b"..\0\0\1\xb3\x2d\x02\x40\x33", 0) == b"\x2d\x02\x40"
    assert size_bytes("mjpeg", b"...", 0) == b""
