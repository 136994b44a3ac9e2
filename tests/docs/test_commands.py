"""Every command line in README and documentation is one that the program accepts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from posetrail.errors import InputError
from tests.conftest import REPOSITORY
from tracker.cli.app import app
from tracker.cli.arguments import repeat_set, without_short_names

NAMES = (
    "track",
    "batch",
    "live",
    "follow",
    "draw",
    "export",
    "report",
    "view",
    "suspects",
    "eval",
    "convert",
    "models",
    "data",
    "train",
    "doctor",
)
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]


def command_lines(text: str) -> list[str]:
    """The `posetrail` commands of a page: indented or fenced blocks, and code in running text with arguments.

    In a block, two spaces end the command and begin an explanation.
    """
    joined = re.sub(r"\\\n\s*", "", text)
    blocks = re.findall(r"^(?: {4}|\$ )?(?:pip install uv && )?(?:uv run )?(posetrail [a-z].*)$", joined, re.MULTILINE)
    inline = re.findall(r"`(?:uv run )?(posetrail [a-z][^`]*)`", joined)
    wrapped = re.findall(r"--wrap '(posetrail [^']*)'", joined)
    commands = [re.split(r" {2,}| +#|`", line)[0].strip() for line in (*blocks, *inline, *wrapped)]
    return sorted({command for command in commands if is_complete(command)})


def is_complete(command: str) -> bool:
    """Whether it has arguments; the name of a command alone, and prose that begins with "posetrail", do not count."""
    name, *arguments = command.split()[1:]
    return name in NAMES and (name == "doctor" or any(not word.isalpha() or word.isupper() for word in arguments))


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(REPOSITORY).as_posix() for page in PAGES])
def test_every_command_line_is_accepted(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("settings.toml").write_text("detect_every = 3\n")
    for line in command_lines(page.read_text()):
        try:
            app.parse_args(
                without_short_names(repeat_set(shlex.split(line)[1:])), print_error=False, exit_on_error=False
            )
        except (InputError, CycloptsError) as error:
            raise AssertionError(f"{page.name}: {line}: {error}") from error


def test_readme_and_pages_have_command_lines() -> None:
    found = [line for page in PAGES for line in command_lines(page.read_text())]
    assert len(found) > 30
    assert "posetrail track examples/pose2sim_cam01.mp4" in found
    assert "posetrail track CLIP --config settings.toml" in found
