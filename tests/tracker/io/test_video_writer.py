"""Video out: what is written is read back by tracker.io.video, picture by picture and time by time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.frame import Frame
from tests.media import HEIGHT, WIDTH, number_of, numbered_image
from tracker.io.video import open_source
from tracker.io.video_writer import VideoWriter

MICROSECOND = 1e-6


def write(path: Path, images: Sequence[np.ndarray], times: Sequence[float] | None = None, fps: float = 30) -> Path:
    times = [n / fps for n in range(len(images))] if times is None else times
    height, width, _ = images[0].shape
    with VideoWriter(path, width, height, fps) as video:
        for image, time_s in zip(images, times, strict=True):
            video.add(image, time_s)
    return path


def read(path: Path) -> list[Frame]:
    return list(open_source(path).frames())


def numbered(count: int) -> list[np.ndarray]:
    return [numbered_image(number) for number in range(count)]


def test_every_image_comes_back_in_order_at_its_time(tmp_path: Path) -> None:
    path = write(tmp_path / "walk.mp4", numbered(40))
    source = open_source(path)
    frames = list(source.frames())
    assert [number_of(frame.image) for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(40)], abs=MICROSECOND)
    assert (source.width, source.height, source.total_frames) == (WIDTH, HEIGHT, 40)
    assert source.fps == pytest.approx(30)


@pytest.mark.parametrize("fps", [24, 24000 / 1001, 25, 30000 / 1001, 50, 60000 / 1001, 120, 240])
def test_the_times_of_every_usual_rate_are_exact(tmp_path: Path, fps: float) -> None:
    times = [n / fps for n in range(10)]
    frames = read(write(tmp_path / "rate.mp4", numbered(10), times, fps))
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(first=st.floats(0, 4000), steps=st.lists(st.floats(0.002, 3.0), min_size=1, max_size=12))
def test_uneven_times_and_a_late_start_are_kept(
    tmp_path_factory: pytest.TempPathFactory, first: float, steps: list[float]
) -> None:
    times = np.cumsum([first, *steps])
    frames = read(write(tmp_path_factory.mktemp("uneven") / "clip.mp4", numbered(len(times)), times.tolist()))
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=2 * MICROSECOND)


@pytest.mark.parametrize("fps", [1 / 3600, 1 / 86400, 1 / (7 * 86400), 0.5, 1 / 7.3])
def test_slow_rates_keep_their_times(tmp_path: Path, fps: float) -> None:
    times = [n / fps for n in range(12)]
    path = write(tmp_path / "slow.mp4", numbered(12), times, fps)
    source = open_source(path)
    assert [frame.time_s for frame in source.frames()] == pytest.approx(times, abs=1e-3)
    assert source.fps == pytest.approx(fps, rel=1e-3)


@settings(max_examples=15, deadline=None)
@given(fps=st.floats(1e-12, 1e12), steps=st.lists(st.floats(0, 1e10), min_size=1, max_size=6))
def test_no_rate_and_no_gap_is_too_much(
    tmp_path_factory: pytest.TempPathFactory, fps: float, steps: list[float]
) -> None:
    times = np.cumsum([0.0, *steps])
    path = tmp_path_factory.mktemp("odd") / "clip.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, fps) as video:
        for number, time_s in enumerate(times.tolist()):
            video.add(numbered_image(number), time_s)
    frames = read(path)
    assert [number_of(frame.image) for frame in frames] == list(range(len(times)))
    came, expected = np.diff([frame.time_s for frame in frames]), np.array(steps)
    longest = 5965 if fps >= 1 else 2147483
    tick = 2e-3
    assert (came <= expected + tick * len(times)).all()
    assert (came >= np.minimum(expected, longest) - tick * len(times)).all()
    assert bool(video.notes) == bool((expected > longest + 1).any())


def test_times_that_do_not_increase_are_moved_to_the_next_tick(tmp_path: Path) -> None:
    frames = read(write(tmp_path / "same.mp4", numbered(5), [-0.1, 0.0, 0.5, 0.5, 0.5]))
    times = np.array([frame.time_s for frame in frames])
    assert (np.diff(times) > 0).all()
    assert times == pytest.approx([0, 0, 0.5, 0.5, 0.5], abs=1e-5)
    assert [number_of(frame.image) for frame in frames] == list(range(5))


def test_colours_come_back_within_a_few_levels(tmp_path: Path) -> None:
    colours = [(230, 40, 50), (30, 200, 60), (40, 60, 220), (250, 200, 30), (200, 120, 250), (255, 255, 255), (0, 0, 0)]
    image = np.repeat(np.array(colours, np.uint8)[None], 48, axis=1).repeat(64, axis=0)
    frames = read(write(tmp_path / "colours.mp4", [image] * 3))
    for n, colour in enumerate(colours):
        came = frames[-1].image[8:-8, 48 * n + 8 : 48 * (n + 1) - 8].reshape(-1, 3).astype(int)
        assert np.abs(came - colour).max() <= 6, colour


def test_the_file_is_tagged_with_its_colour_space(tmp_path: Path) -> None:
    with av.open(str(write(tmp_path / "tags.mp4", numbered(2)))) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert (codec.colorspace, codec.color_range, codec.color_primaries, codec.color_trc) == (6, 1, 1, 1)


def test_the_index_stands_before_the_pictures(tmp_path: Path) -> None:
    data = write(tmp_path / "stream.mp4", numbered(3)).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # so that a browser plays before all of it has come


def test_an_odd_size_grows_by_one_and_stays_in_place(tmp_path: Path) -> None:
    image = numbered_image(5)[:63, :127]
    frame = read(write(tmp_path / "odd.mp4", [image] * 2))[0]
    assert frame.image.shape == (64, 128, 3)
    assert np.abs(frame.image[:63, :127].astype(int) - image).mean() < 4


def test_an_image_of_another_size_is_fitted_in_between_black_bars(tmp_path: Path) -> None:
    tall = np.full((200, 100, 3), 200, np.uint8)
    frames = read(write(tmp_path / "mixed.mp4", [numbered_image(3), tall, numbered_image(9, scale=2)]))
    assert [frame.image.shape for frame in frames] == [(64, 128, 3)] * 3
    assert number_of(frames[2].image) == 9
    bars, middle = frames[1].image[:, [4, 124]], frames[1].image[:, 56:72]
    assert bars.max() < 12
    assert np.abs(middle.astype(int) - 200).max() < 12


def test_no_image_makes_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "none.mp4", 64, 64, 30):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_nothing_and_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), VideoWriter(path, WIDTH, HEIGHT, 30) as video:
        video.add(numbered_image(1), 0.0)
        _ = 1 / 0
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, 30) as video:
        video.add(numbered_image(1), 0.0)
        assert not path.exists()
    assert number_of(read(path)[0].image) == 1


def test_what_cannot_be_written_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"videos are written as MP4; give a name that ends in \.mp4"):
        VideoWriter(tmp_path / "clip.avi", 64, 64, 30)

    def no_such_codec(name: str, mode: str) -> None:
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av, "Codec", no_such_codec)
    with pytest.raises(InputError, match="libx264; reinstall it"):
        VideoWriter(tmp_path / "clip.mp4", 64, 64, 30)


def test_the_same_images_make_the_same_file(tmp_path: Path) -> None:
    one, other = (write(tmp_path / f"{name}.mp4", numbered(30)) for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_memory_stays_flat(tmp_path: Path) -> None:
    resident = Path("/proc/self/statm")
    if not resident.exists():
        pytest.skip("this system does not tell memory under /proc")
    images = [numbered_image(number, scale=2) for number in range(20)]
    used = []
    with VideoWriter(tmp_path / "long.mp4", 2 * WIDTH, 2 * HEIGHT, 30) as video:
        for number in range(2000):
            video.add(images[number % 20], number / 30)
            if number in (499, 1999):
                used.append(int(resident.read_text().split()[1]) * 4096)
    assert used[1] - used[0] < 60 * images[0].nbytes  # of 1500 images
    assert len(read(tmp_path / "long.mp4")) == 2000
