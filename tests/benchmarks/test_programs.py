"""The help of every benchmark program shows its command line."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from tests.conftest import REPOSITORY

PROGRAMS = sorted(
    path.stem
    for path in (REPOSITORY / "benchmarks").glob("*.py")
    if not path.stem.endswith("_process") and "def main()" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_help_of_a_program_shows_its_command_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 0
    assert f"uv run python -m benchmarks.{name}" in capsys.readouterr().out
