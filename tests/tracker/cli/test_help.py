"""Help in two lengths: few flags by `--help`, all by `--help-all`."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest
from rich.console import Console

from tests.command_line import succeeds
from tracker.cli.app import app
from tracker.cli.help import USUAL, sections
from tracker.settings import SECTIONS, AssociationSettings, InferenceSettings, NetworkSettings

SETTINGS = (NetworkSettings, InferenceSettings, AssociationSettings)
NAMES = [field.name for group in SETTINGS for field in fields(group)]
WITH_SETTINGS = ["track", "batch", "follow"]


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """The text of a help page, wide enough that no flag is divided."""
    monkeypatch.setattr(app, "console", Console(width=300))  # cyclopts keeps the first one that a process makes
    return succeeds(capsys, *arguments)


def flags(text: str) -> set[str]:
    """The flags that have a row on a help page."""
    return set(re.findall(r"^│ \*? *(?:[A-Z-]+ )?--([a-z0-9-]+)", text, re.MULTILINE)) | {
        name.lower() for name in re.findall(r"^│ ([A-Z]+) +\w", text, re.MULTILINE)
    }


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_help_shows_the_usual_flags_and_points_to_help_all(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(capsys, monkeypatch, command, "--help")
    assert flags(text) == set(USUAL[command])
    assert len(USUAL[command]) <= 16
    assert text.rstrip().endswith(f"posetrail {command} --help-all lists all flags.")


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_help_all_shows_every_flag_in_sections(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(capsys, monkeypatch, command, "--help-all")
    groups = SETTINGS if command != "follow" else (AssociationSettings,)
    every = {field.name.replace("_", "-") for group in groups for field in fields(group)}
    assert every | set(USUAL[command]) <= flags(text)
    headings = {SECTIONS[name] for name in SECTIONS if name.replace("_", "-") in every}
    assert headings <= set(re.findall(r"╭─ (.*?) ─", text))
    assert "lists all flags" not in text


def test_short_commands_show_all_of_their_flags(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("draw", "export", "report", "eval", "convert"):
        text = shown(capsys, monkeypatch, command, "--help")
        assert text == shown(capsys, monkeypatch, command, "--help-all")
        assert flags(text)


def test_sections_follow_the_order_of_the_fields() -> None:
    assert list(sections()) == NAMES
    assert set(SECTIONS) <= set(NAMES)
    assert list(dict.fromkeys(sections().values())) == list(SECTIONS.values())


def test_every_setting_has_a_text_that_names_only_settings() -> None:
    for command in WITH_SETTINGS:
        for argument in app[command].assemble_argument_collection(parse_docstring=True):
            if argument.parameter.name == ("*",):  # the settings as a whole
                continue
            text = argument.parameter.help
            assert text, argument.name
            assert text[0].isupper() or text.split()[0] in ("auto", "local"), argument.name
            assert text.rstrip().endswith((".", "...", "].")), argument.name
    source = inspect.getsource(inspect.getmodule(NetworkSettings))  # type: ignore[arg-type]
    for name in re.findall(r"[Ss]ee (?:also )?([a-z]+(?:_[a-z]+)+)", source):
        assert name in NAMES, name


def test_usage_names_the_arguments(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for command, usage in {
        "track": "posetrail track [OPTIONS] INPUT",
        "batch": "posetrail batch [OPTIONS] INPUTS...",
        "eval": "posetrail eval [OPTIONS] GROUND_TRUTH PREDICTIONS...",
    }.items():
        assert shown(capsys, monkeypatch, command, "--help").startswith(f"Usage: {usage}\n")
