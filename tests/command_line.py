"""Runs the command line in this process: `main` of tracker/cli/app.py with arguments, its exit code and its output."""

from __future__ import annotations

import pytest

from tracker.cli.app import main


def exit_code(*arguments: object) -> int:
    """Run `posetrail ARGUMENTS`; returns the exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def run_command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run `posetrail ARGUMENTS`; returns the exit code, stdout and stderr."""
    code = exit_code(*arguments)
    output = capsys.readouterr()
    return code, output.out, output.err


def succeeds(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that ends with exit code 0; returns stdout."""
    code, stdout, stderr = run_command(capsys, *arguments)
    assert code == 0, stderr
    return stdout


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that ends with exit code 2, nothing on stdout and one line on stderr; returns that line."""
    code, stdout, stderr = run_command(capsys, *arguments)
    assert (code, stdout) == (2, "")
    (line,) = stderr.splitlines()
    return line
