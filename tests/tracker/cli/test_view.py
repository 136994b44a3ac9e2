"""`posetrail view`: prints the address, serves until Ctrl-C, and says in one line what cannot be used."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.command_line import fails
from tests.tracker.viewer.runs import numbered_run
from tests.viewer import WAIT_S
from tracker.cli import view

POSETRAIL = Path(sys.executable).with_name("posetrail")


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_address_is_printed_and_a_signal_ends_the_server(tmp_path: Path, sent: int, code: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
    command = [POSETRAIL, "view", numbered_run(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdout is not None
        address = running.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        root, _, token = address.partition("/?token=")
        assert len(token) == 32
        with requests.Session() as session:
            assert session.get(address, allow_redirects=False, timeout=WAIT_S).status_code == 303
            assert session.get(f"{root}/runs/0/api/run", timeout=WAIT_S).json()["num_frames"] == 12
            swap = {"revision": 0, "op": {"op": "checked", "from": 0, "to": 11}}
            answer = session.post(f"{root}/runs/0/api/ops", json=swap, headers={"Origin": root}, timeout=WAIT_S)
            assert answer.status_code == 200
            listening = session.get(f"{root}/runs/0/api/events", stream=True, timeout=WAIT_S)
            running.send_signal(sent)
            stdout, stderr = running.communicate(timeout=WAIT_S)
            listening.close()
    assert (running.returncode, stdout, stderr) == (code, "", "")
    log = (tmp_path / "run" / "corrections.jsonl").read_text()
    assert len(log.splitlines()) == 2
    assert log.endswith("\n")


def test_in_an_ssh_session_the_command_of_a_tunnel_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.7 50022 10.0.0.9 22")
    assert view._tunnel("http://127.0.0.1:8123/?token=x") == "ssh -L 8123:127.0.0.1:8123 ada@10.0.0.9"
    monkeypatch.delenv("SSH_CONNECTION")
    assert view._tunnel("http://127.0.0.1:8123/?token=x") == ""


def test_a_folder_without_a_run_is_reported_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "expected the folder of a run" in fails(capsys, "view", tmp_path)
    assert "gone" in fails(capsys, "view", tmp_path / "gone")


def test_a_port_in_use_is_reported_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = numbered_run(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        line = fails(capsys, "view", run, "--port", other.getsockname()[1])
    assert "--port: expected a free port" in line
    assert "--port: expected 0 to 65535" in fails(capsys, "view", run, "--port", 70000)
    assert "--host" in fails(capsys, "view", run, "--host", "no such host")
