"""A real RTSP server that is killed and started again; needs GStreamer's from Debian's packages (rtsp_server.py)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from posetrail.errors import InputError
from tracker.io.live_address import live_address
from tracker.io.live_source import LiveEvent, LiveSource
from tracker.live_settings import LiveSettings

SERVER = Path(__file__).parent / "rtsp_server.py"
PYTHON = "/usr/bin/python3"  # the one for which Debian's packages are installed
HAS_SERVER = (
    shutil.which(PYTHON) is not None
    and not subprocess.run(
        [PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"], capture_output=True, check=False
    ).returncode
)
pytestmark = pytest.mark.skipif(not HAS_SERVER, reason="needs gir1.2-gst-rtsp-server-1.0 and python3-gi of Debian")
QUICK = LiveSettings(stall_s=2, first_retry_s=0.1, longest_retry_s=0.3, first_frame_s=20)


@contextmanager
def rtsp_server(port: int) -> Iterator[None]:
    process = subprocess.Popen([PYTHON, SERVER, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            pytest.skip("the RTSP server does not start; is gstreamer1.0-plugins-ugly there?")
        yield
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_come_from_an_rtsp_server_and_again_after_it_was_killed(transport: str) -> None:
    port, events = free_port(), list[LiveEvent]()
    address = live_address(f"rtsp://user:secret@127.0.0.1:{port}/live")
    end_s = time.monotonic() + 30
    settings = LiveSettings(stall_s=2, first_retry_s=0.1, longest_retry_s=0.3, rtsp_transport=transport)  # type: ignore[arg-type]
    with LiveSource(address, settings) as source:
        frames = source.frames(events.append, lambda: time.monotonic() > end_s)
        with rtsp_server(port):
            got = [next(frames) for _ in range(10)]
        with rtsp_server(port):
            while source.counts.connections < 2:
                got.append(next(frames))
            got.append(next(frames))
    assert got[0].image.shape == (120, 160, 3)
    assert [event.kind for event in events if event.kind != "reconnecting"] == ["connected", "connected"]
    assert "secret" not in repr(events)


def test_a_wrong_rtsp_password_is_refused_at_once_and_not_shown() -> None:
    port = free_port()
    with rtsp_server(port):
        source = LiveSource(live_address(f"rtsp://user:wrong-secret@127.0.0.1:{port}/live"), QUICK)
        with source, pytest.raises(InputError, match="401") as refused:
            next(source.frames())
    assert "wrong-secret" not in str(refused.value)
