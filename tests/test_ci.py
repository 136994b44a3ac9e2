"""CI finds working Python interpreters and fails if one of its steps fails."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import FAST, REPOSITORY, TESTS
from tools import ci
from tools.pythons import claimed_minors, find_python

pytestmark = pytest.mark.fast

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def put_program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def uv_knows_none(tmp_path: Path) -> str:
    """A folder for PATH whose uv finds no Python."""
    return str(put_program(tmp_path / "uv" / "uv", "echo 'error: no interpreter found' >&2; exit 2").parent)


def test_shims_that_fail_are_skipped_without_noise(
    tmp_path: Path, uv_knows_none: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shim = put_program(tmp_path / "shims" / f"python{THIS}", "echo 'pyenv: command not found' >&2; exit 127")
    other = put_program(tmp_path / "other" / f"python{THIS}", "echo cpython 3.0")
    no_program = tmp_path / "text" / f"python{THIS}"
    no_program.parent.mkdir()
    no_program.write_text("no program")
    real = put_program(
        tmp_path / "pyenv" / "versions" / f"{THIS}.9" / "bin" / "python", f'exec "{sys.executable}" "$@"'
    )
    put_program(tmp_path / "pyenv" / "versions" / "3.2.1" / "bin" / "python", "exit 1")

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PATH", f"{shim.parent}:{other.parent}:{no_program.parent}:{uv_knows_none}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    assert find_python(THIS) is None
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert find_python(THIS) == real
    (tmp_path / "pyenv").rename(home / ".pyenv")
    assert find_python(THIS) == home / ".pyenv" / real.relative_to(tmp_path / "pyenv")
    assert capfd.readouterr() == ("", "")


def test_a_python_on_the_path_or_known_to_uv_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    put_program(tmp_path / "uv", f'echo "{sys.executable}"')
    assert find_python(THIS) == Path(sys.executable)
    assert find_python("3.99") is None
    found = put_program(tmp_path / f"python{THIS}", f'exec "{sys.executable}" "$@"')
    assert find_python(THIS) == found


def test_claimed_pythons_match_requires_python_and_the_readme_has_the_main_command() -> None:
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    claimed = claimed_minors(pyproject)
    assert claimed == sorted(claimed, key=lambda minor: int(minor.split(".")[1]))
    assert re.search(r'requires-python = ">=(3\.\d+)"', pyproject)[1] == claimed[0]  # type: ignore[index]
    readme = (REPOSITORY / "README.md").read_text()
    assert " ".join(ci.MAIN_COMMAND) in readme
    assert "bash .ci/run" in readme


@pytest.mark.parametrize("failing", ["", "sync", "track", "fast", "suite"])
def test_ci_fails_if_any_step_fails(
    failing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []

    def passes(command: Sequence[str | Path], environment: dict[str, str]) -> bool:
        words = [str(word) for word in command]
        step = next((name for name in ("sync", "track", "fast") if name in words), "suite")
        assert ("VIRTUAL_ENV" in environment) == (step == "suite")
        steps.append(step)
        return step != failing

    monkeypatch.setenv("VIRTUAL_ENV", "/here")
    monkeypatch.setattr(ci, "_passes", passes)
    monkeypatch.setattr(ci, "find_python", lambda minor: Path("python") if minor == "3.14" else None)
    assert ci.main() == (1 if failing else 0)
    assert steps[-1] == "suite"  # whatever failed before: its summary is the last
    on_others = ["sync", "track", "fast"]
    assert steps[:-1] == (on_others[: on_others.index(failing) + 1] if failing in on_others else on_others)
    lines = capsys.readouterr().out.splitlines()
    assert "== Python 3.14: python: the main command and the fast tests" in lines
    absent = next(minor for minor in ("3.11", "3.12") if minor != THIS)
    assert f"== Python {absent}: not found" in lines
    assert ("FAILED" in lines[-1]) == (failing in on_others)


def test_the_fast_modules_exist() -> None:
    missing = [name for name in sorted(FAST) if not (TESTS / f"{name}.py").is_file()]
    assert missing == []
