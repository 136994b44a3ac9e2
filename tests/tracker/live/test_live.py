"""Live tracking: `pt.live`, the JSON lines, the run's folder, and the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import posetrail as pt
from posetrail.errors import InputError
from tests.command_line import fails, run_command
from tests.conftest import REPOSITORY
from tests.tracker.live.servers import mjpeg_server, sends, transport_stream
from tests.tracker.live.sights import Stand, images, opened, see, sight_networks
from tracker.cli.arguments import given_source
from tracker.cli.live import Lines
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.live_source import LiveEvent
from tracker.runs import networks
from tracker.runs.images import open_input
from tracker.runs.infer import infer_frames
from tracker.runs.live_pixels import Fitting
from tracker.runs.record import read_record


def live_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("posetrail")]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe into which 30 frames are written."""
    path = tmp_path / "hall.fifo"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb") as file:
            transport_stream(images(count=30), file, fps=25, paced=False)

    threading.Thread(target=write, daemon=True).start()
    return path


def test_the_generator_yields_frames_with_images_and_closing_it_releases_everything() -> None:
    with mjpeg_server(sends(images())) as server:
        frames = pt.live(server.url(), detector=see, estimator=Stand())
        got = [next(frames) for _ in range(8)]
        assert live_threads() == ["posetrail-live"]
        frames.close()
        assert live_threads() == []
    assert got[-1].people.track_ids.tolist() == [1, 2]
    assert got[-1].image is not None
    assert got[-1].image.shape == (96, 128, 3)
    assert [frame.index for frame in got] == list(range(8))


def test_ids_and_pixels_stay_when_the_resolution_changes() -> None:
    events: list[LiveEvent] = []
    sizes = {20: (192, 144), 40: (160, 96)}

    def size(number: int) -> tuple[int, int]:
        return sizes.get(number // 20 * 20, (128, 96))

    with mjpeg_server(sends(images(size))) as server:
        frames = pt.live(server.url(), detector=see, estimator=Stand(), on_event=events.append)
        got = []
        for frame in frames:
            got.append(frame)
            if sum(event.kind == "resolution" for event in events) == 3:
                break
        frames.close()
    tracked = [frame for frame in got if len(frame.people)]
    assert {tuple(frame.people.track_ids.tolist()) for frame in tracked[3:]} == {(1, 2)}
    assert {frame.image.shape for frame in got if frame.image is not None} == {(96, 128, 3)}
    for frame in tracked[3:]:
        tops = frame.people.poses.boxes[:, 1]
        assert np.abs(tops - np.array([10, 12])).max() < 12  # 9.6 px of black above the widest pictures


def test_points_and_camera_motion_are_fitted_into_the_first_frame() -> None:
    fitting = Fitting.of((200, 400), (100, 100))
    assert fitting.points(np.array([[-0.5, -0.5], [399.5, 199.5]])).tolist() == [[-0.5, 24.5], [99.5, 74.5]]
    motion = np.array([[1.1, -0.1, 7], [0.1, 1.1, -3]])
    poses = Stand()([], [np.array([[10.0, 20, 50, 90]])])[0]
    frame = PoseFrame(0, 0.0, "", poses, PropagatedPoses.empty(17), motion)
    points = np.random.default_rng(0).uniform(0, 200, (5, 2))
    moved = fitting.points(points @ motion[:, :2].T + motion[:, 2])
    fitted = fitting.frame(frame).camera_motion
    assert np.allclose(fitting.points(points) @ fitted[:, :2].T + fitted[:, 2], moved)
    assert np.allclose(fitting.frame(frame).poses.boxes, [[2.125, 29.625, 12.125, 47.125]])


def test_inference_frame_by_frame_gives_the_same_poses_as_reading_ahead() -> None:
    frames = [pt.Frame(index, index / 25, "", image) for index, image in enumerate(images(count=12))]
    settings = pt.Settings()
    ahead, live = ([*infer_frames(iter(frames), sight_networks(), settings, live=live)] for live in (False, True))
    assert len(live) == 12
    for (_, one), (_, other) in zip(ahead, live, strict=True):
        assert np.array_equal(one.poses.keypoints, other.poses.keypoints)


def test_the_command_prints_lines_and_writes_a_run_with_the_same_ids(
    pipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "open_networks", opened)
    arguments = ("-o", tmp_path / "out", "--no-drop", "--record", "--arrival", "--save", "mot")
    code, stdout, stderr = run_command(capsys, "live", pipe, *arguments)
    assert code == 0, stderr
    lines = [json.loads(line) for line in stdout.splitlines()]
    assert [line["event"] for line in lines] == ["started", "connected", *["frame"] * 30, "ended"]
    assert lines[0]["joints"][0] == "nose"
    frames = lines[2:-1]
    assert set(frames[0]) == {"event", "frame", "time_s", "arrival", "delay_s", "dropped", "people"}
    assert [len(joint) for joint in frames[-1]["people"][0]["keypoints"]] == [3] * 17
    (run,) = (tmp_path / "out").iterdir()
    assert run.name.startswith("hall_2")
    table = pd.read_csv(run / "tracks.csv")
    shown = {(line["frame"], person["id"]) for line in frames for person in line["people"]}
    assert set(zip(table["frame"], table["track_id"], strict=True)) == shown
    record = read_record(run)
    assert record.live["ended"] == "the source ended"
    assert "tracks.mot.txt" in record.files
    recorded = list(open_input(record, None).frames())
    assert [frame.index for frame in recorded] == [line["frame"] for line in frames]
    assert np.allclose([frame.time_s for frame in recorded], [line["time_s"] for line in frames], atol=1e-3)


def test_the_session_ends_at_the_limit_on_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "open_networks", opened)
    monkeypatch.setattr("tracker.runs.live_folder._CHECKED_S", 0.0)
    with mjpeg_server(sends(images())) as server:
        arguments = ("-o", tmp_path, "--limit-disk", "60KB", "--no-lines")
        code, stdout, stderr = run_command(capsys, "live", server.url("admin:secret@"), *arguments)
    assert (code, stderr) == (0, "")
    (run,) = tmp_path.iterdir()
    assert str(run) in stdout
    assert read_record(run).live["ended"] == "the limit on disk was reached"
    assert 20_000 < sum(path.stat().st_size for path in run.iterdir() if path.name != "run.json") <= 60_000
    assert not any(b"secret" in path.read_bytes() for path in run.iterdir())


def test_a_source_that_gives_up_ends_with_an_error_and_a_whole_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "open_networks", opened)
    with mjpeg_server(sends(images(count=10)), lambda _: None) as server:
        quick = ("--first-retry-s", 0.05, "--give-up-s", 0.3)
        code, _, stderr = run_command(capsys, "live", server.url("u:secret@"), "-o", tmp_path, "--no-lines", *quick)
    assert code == 2
    assert "no frame came in the last 0.3 s" in stderr
    assert "secret" not in stderr
    (run,) = tmp_path.iterdir()
    assert read_record(run).figures.frames > 3


def test_lines_end_when_their_reader_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    end, begin = os.pipe()
    with os.fdopen(begin, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        lines = Lines(True)
        lines.write(b"one\n")
        assert os.read(end, 100) == b"one\n"
        os.close(end)
        lines.write(b"two\n")
        assert lines.closed
        lines.write(b"three\n")


def test_an_address_can_stand_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "camera.txt").write_text("rtsp://u:p@camera/1\n# the hall\n")
    assert given_source(f"@{tmp_path / 'camera.txt'}") == "rtsp://u:p@camera/1"
    assert "expected @FILE with an address" in fails(capsys, "live", f"@{tmp_path / 'none.txt'}")
    assert "--limit-disk" in fails(capsys, "live", "0", "--limit-disk", "two")


def test_other_smoothing_than_frame_by_frame_is_refused() -> None:
    settings = pt.Settings(association=pt.AssociationSettings(smooth="kalman"))
    with pytest.raises(InputError, match="smooth"):
        next(pt.live("http://127.0.0.1:9/", settings, detector=see, estimator=Stand()))
    assert live_threads() == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sigterm_ends_the_session_with_a_whole_run_and_no_password_anywhere(tmp_path: Path) -> None:
    program = (
        "import sys; from tracker.runs import networks; from tests.tracker.live.sights import opened\n"
        "networks.open_networks = opened\n"
        "from tracker.cli.start import main; main()"
    )
    with mjpeg_server(sends(images())) as server:
        address = server.url("admin:secret@", "?token=secret")
        command = [sys.executable, "-c", program, "live", address, "-o", tmp_path / "out", "--record"]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(5)]
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"http://***@127.0.0.1" in shown
    assert json.loads(stdout.splitlines()[-1])["reason"] == "stopped"
    (run,) = (tmp_path / "out").iterdir()
    files = {"poses.arrow", "recording.mp4", "run.json", "tracks.csv", "tracks.json"}
    assert {path.name for path in run.iterdir()} == files
    written = b"".join([*first, stdout, stderr, shown, *(path.read_bytes() for path in run.iterdir())])
    assert b"secret" not in written
