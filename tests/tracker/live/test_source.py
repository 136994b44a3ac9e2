"""Live sources against servers that run here: newest frames, bounded delay, reconnection, stalls, garbage."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from posetrail.errors import InputError
from posetrail.frame import Frame
from tests.tracker.live.servers import (
    Datagrams,
    Send,
    free_udp_port,
    grey,
    jpeg,
    mjpeg_server,
    sends,
    transport_stream,
)
from tracker.io.live_address import live_address
from tracker.io.live_source import LiveEvent, LiveSource
from tracker.live_settings import LiveSettings

LIMIT_S = 20.0
QUICK = LiveSettings(stall_s=0.5, first_retry_s=0.05, longest_retry_s=0.2, first_frame_s=5)


def read(source: LiveSource, enough: Callable[[list[Frame]], bool]) -> tuple[list[Frame], list[LiveEvent]]:
    """Frames until there are enough, or the source ends, or the test takes too long."""
    frames: list[Frame] = []
    events: list[LiveEvent] = []
    end_s = time.monotonic() + LIMIT_S
    with source:
        for frame in source.frames(events.append, lambda: time.monotonic() > end_s):
            frames.append(frame)
            if enough(frames):
                break
    assert time.monotonic() < end_s
    return frames, events


def count(number: int) -> Callable[[list[Frame]], bool]:
    return lambda frames: len(frames) >= number


def kinds(events: list[LiveEvent]) -> list[str]:
    return [event.kind for event in events]


def test_frames_have_their_arrival_as_time_and_count_from_0() -> None:
    with mjpeg_server(sends(map(grey, range(40)), fps=100)) as server:
        source = LiveSource(live_address(server.url()), QUICK)
        frames, events = read(source, count(15))
    assert [frame.index for frame in frames] == list(range(15))
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    assert 0.1 < times[-1] - times[0] < 5
    assert frames[0].image.shape == (48, 64, 3)
    assert kinds(events) == ["connected"]
    assert not source._thread.is_alive()


def test_a_slow_consumer_gets_the_newest_frame_and_drops_are_counted() -> None:
    with mjpeg_server(sends(map(grey, itertools.count()), fps=200)) as server:
        source = LiveSource(live_address(server.url()), QUICK)
        waits = []
        with source:
            for frame in itertools.islice(source.frames(), 8):
                waits.append(source.now_s - frame.time_s)
                time.sleep(0.05)
            counts = source.counts
    assert max(waits[1:]) < 0.05  # one interval of 5 ms, with room for a busy machine
    assert counts.dropped >= 30
    assert counts.arrived >= counts.dropped + 8


def test_frames_that_waited_too_long_are_dropped() -> None:
    def act(send: Send) -> None:
        for number in range(3):
            send(jpeg(grey(number)))
        server.released.wait(1.0)
        sends(map(grey, range(10, 20)))(send)

    settings = LiveSettings(waiting_frames=10, max_delay_s=0.2)
    with mjpeg_server(act) as server:
        source = LiveSource(live_address(server.url()), settings)
        with source:
            frames = source.frames()
            next(frames)
            time.sleep(0.4)  # slower than the limit
            server.released.set()
            frame = next(frames)
            assert source.now_s - frame.time_s < 0.2
            assert source.counts.dropped >= 2


def test_a_server_that_stops_stalls_or_sends_garbage_is_connected_again() -> None:
    def stall(send: Send) -> None:
        sends(map(grey, range(3)))(send)
        server.released.wait(10)

    def garbage(send: Send) -> None:
        for number in range(5):
            send(os.urandom(5000))
            send(jpeg(grey(number)))

    whole = sends(grey(number, (96, 64)) for number in itertools.count())
    with mjpeg_server(sends(map(grey, range(3))), stall, garbage, whole) as server:
        source = LiveSource(live_address(server.url("user:secret@", "?token=secret")), QUICK)
        frames, events = read(source, lambda frames: frames[-1].image.shape == (64, 96, 3) and len(frames) > 8)
    assert kinds(events).count("reconnecting") >= 3
    assert source.counts.connections >= 3
    assert "resolution" in kinds(events)
    assert "no data within the time limit" in [event.values.get("reason") for event in events]
    assert "secret" not in repr(events)
    assert "secret" in server.paths[0]
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)


def test_pauses_double_up_to_the_longest_and_the_first_frame_is_awaited_for_a_limited_time() -> None:
    settings = LiveSettings(first_retry_s=0.05, longest_retry_s=0.15, first_frame_s=0.5)
    source = LiveSource(live_address("http://user:secret@127.0.0.1:9/"), settings)
    events: list[LiveEvent] = []
    with source, pytest.raises(InputError, match=r"no frame came in the first 0.5 s \(Connection refused\)") as refused:
        next(source.frames(events.append))
    pauses = [event.values["pause_s"] for event in events[:-1]]
    assert pauses[:4] == [0.05, 0.1, 0.15, 0.15]
    assert "secret" not in f"{refused.value} {events}"
    assert refused.value.__context__ is None or "secret" not in str(refused.value.__context__)


def test_a_wrong_path_or_protocol_is_refused_at_once(tmp_path: Path) -> None:
    noise = tmp_path / "noise.ts"
    noise.write_bytes(np.random.default_rng(0).bytes(50_000))
    for text, reason in (("nosuch://x", "Protocol not found"), (str(noise), "Invalid data")):
        with LiveSource(live_address(text)) as source, pytest.raises(InputError, match=reason):
            next(source.frames())


def test_the_source_gives_up_after_a_time_without_frames() -> None:
    settings = LiveSettings(first_retry_s=0.05, longest_retry_s=0.05, give_up_s=0.3, stall_s=0.2)
    source = LiveSource(live_address(f"udp://127.0.0.1:{(port := free_udp_port())}"), settings)
    sender = threading.Thread(target=transport_stream, args=(map(grey, range(30)), Datagrams(port)))
    sender.start()
    with pytest.raises(InputError, match=r"no frame came in the last 0.3 s"):
        read(source, count(1000))
    sender.join()
    assert source.counts.arrived > 3


def test_udp_survives_garbage_and_a_change_of_resolution() -> None:
    port, done = free_udp_port(), threading.Event()

    def images() -> Iterator[np.ndarray]:
        for number in itertools.count():
            if done.is_set():
                return
            yield grey(number, (160, 120))

    def send() -> None:
        transport_stream(map(grey, range(40)), Datagrams(port, lambda sent: sent % 7 == 6), fps=100)
        transport_stream(images(), Datagrams(port), fps=100)

    source = LiveSource(live_address(f"udp://127.0.0.1:{port}"), QUICK)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        frames, events = read(source, lambda frames: frames[-1].image.shape == (120, 160, 3))
    finally:
        done.set()
        sender.join()
    assert frames[0].image.shape == (48, 64, 3)
    assert "resolution" in kinds(events)


def test_a_named_pipe_is_read_whole_without_dropping_and_by_its_own_times(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with (tmp_path / "pipe").open("wb") as pipe:
            transport_stream(map(grey, range(30)), pipe, fps=25, paced=False)

    writer = threading.Thread(target=write)
    writer.start()
    source = LiveSource(live_address(tmp_path / "pipe"), LiveSettings(drop=False))
    frames, events = read(source, count(1000))
    writer.join()
    assert len(frames) == 30
    assert source.counts.dropped == 0
    assert np.allclose(np.diff([frame.time_s for frame in frames]), 1 / 25, atol=1e-3)
    assert kinds(events) == ["connected", "ended"]


def test_a_pipe_without_a_writer_can_be_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source = LiveSource(live_address(tmp_path / "pipe"))
    stop_s = time.monotonic() + 0.2
    with source:
        assert list(source.frames(stopped=lambda: time.monotonic() > stop_s)) == []
    assert not source._thread.is_alive()


class FakeCamera:
    """A camera that OpenCV might open: three pictures, then it is unplugged."""

    opened = 0

    def __init__(self, device: int | str) -> None:
        assert device == 3
        FakeCamera.opened += 1
        self._left = 3

    def isOpened(self) -> bool:
        return FakeCamera.opened != 2

    def get(self, _: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.01)
        self._left -= 1
        return (True, np.full((48, 64, 3), (255, 0, 0), np.uint8)) if self._left >= 0 else (False, None)

    def release(self) -> None:
        pass


def test_a_camera_that_is_unplugged_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    source = LiveSource(live_address("3"), QUICK)
    frames, events = read(source, count(5))
    assert FakeCamera.opened == 3
    assert frames[0].image[0, 0].tolist() == [0, 0, 255]  # OpenCV's pictures are BGR
    assert kinds(events) == ["connected", "reconnecting", "reconnecting", "connected"]
    assert source.fps == 30.0


def test_a_camera_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCamera, "opened", 1)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    with LiveSource(live_address(3)) as source, pytest.raises(InputError, match="camera 3: cannot be opened"):
        next(source.frames())
