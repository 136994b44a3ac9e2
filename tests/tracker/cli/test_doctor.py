"""`posetrail doctor` reports ok only for what it has just tried with success."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import av
import pytest

import posetrail.runtime
from tests.command_line import run_command

pytestmark = pytest.mark.fast

CHECKS = [
    *("system", "packages", "imports", "device", "precisions", "networks"),
    *("video out", "video in", "association", "run"),
]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    """The exit code, and each check's line without its name."""
    code, stdout, _ = run_command(capsys, "doctor")
    lines = stdout.splitlines()
    return code, {line[5:17].strip(): line[:5] + line[18:] for line in lines}


def bad(findings: dict[str, str]) -> list[str]:
    return [check for check, line in findings.items() if line.startswith("BAD ")]


def test_a_machine_that_works_is_ok_and_nothing_is_left(capsys: pytest.CaptureFixture[str], temporary: Path) -> None:
    code, findings = doctor(capsys)
    assert (code, list(findings), bad(findings)) == (0, CHECKS, [])
    assert "movenet_thunder" in findings["networks"]
    assert "8 frames" in findings["video in"]
    assert "8 frames tracked" in findings["run"]
    assert list(temporary.iterdir()) == []


def test_a_file_in_the_current_folder_that_python_imports_in_place_of_a_package_is_bad(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    foreign = temporary / "tracker.py"
    foreign.write_text("")
    monkeypatch.chdir(temporary)
    code, findings = doctor(capsys)
    assert (code, bad(findings)) == (2, ["imports"])
    assert f"import {foreign} in place of posetrail's package; rename it" in findings["imports"]


def test_another_distribution_with_files_in_a_package_is_bad(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = {"tracker": ["posetrail", "other-tracker"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    code, findings = doctor(capsys)
    assert (code, bad(findings)) == (2, ["imports"])
    assert "package 'tracker' also of other-tracker" in findings["imports"]


def test_a_video_that_cannot_be_opened_is_bad(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    really_open = av.open

    def takes_no_metadata_errors(path: Any, mode: str = "r", **options: Any) -> Any:
        if mode == "r":
            raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")
        return really_open(path, mode, **options)

    monkeypatch.setattr(av, "open", takes_no_metadata_errors)
    code, findings = doctor(capsys)
    assert (code, list(findings), bad(findings)) == (2, CHECKS, ["video in", "run"])
    assert findings["video in"].endswith("TypeError: open() got an unexpected keyword argument 'metadata_errors'")
    assert list(temporary.iterdir()) == []


def test_a_network_that_does_not_run_is_bad(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> NoReturn:
        raise RuntimeError("illegal\ninstruction")

    monkeypatch.setattr(posetrail.runtime._OnnxSession, "__call__", broken)
    code, findings = doctor(capsys)
    assert (code, bad(findings)) == (2, ["networks", "run"])
    assert findings["networks"].endswith("RuntimeError: illegal instruction")


def test_a_library_that_cannot_be_imported_is_bad(temporary: Path) -> None:
    program = "import sys; sys.modules['cv2'] = None; from tracker.cli.app import main; main(['doctor'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(CHECKS)
    assert "BAD  video in" in done.stdout
    assert "import of cv2 halted" in done.stdout
