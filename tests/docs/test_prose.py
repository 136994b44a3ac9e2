"""Words that the project does not use any more stay out of what users read: one word for one thing."""

from __future__ import annotations

import re

import pytest

from tests.conftest import REPOSITORY
from tracker.cli.app import app

WORDS = {  # what is not said -> what is said instead
    r"hindsight": "offline linking",
    r"who is who": "association, identities",
    r"nobody|somebody|everybody|everyone|anybody": "person, track, identity, people",
    r"tracklet pieces?|pieces of (?:a|the) track": "tracklet",
    r"carr(?:y|ied|ies) (?:over|by flow)|carried (?:box|pose|person|people)": "propagated",
    r"second looks?|seen twice": "duplicate, pose NMS",
    r"(?:is|are|was|were) told\b": "known, given, reported",
    r"surer|sure (?:pose|joint|score)s?": "confident",
    r"un(?:sure|seen) people": "people of low confidence; unmatched tracks",
    r"likeness|so alike|more alike": "similarity",
    r"wanted [^,]{0,60}, got": "expected ..., got ...",
    r"filled_poses|`filled`": "interpolated",
    r"goes? on where": "resumes",
}
FOLDERS = ("benchmarks", "detectors", "estimators", "eval_posetrack", "posetrail", "tools", "tracker", "training")
PAGES = {
    page.relative_to(REPOSITORY).as_posix(): page
    for page in (
        REPOSITORY / "README.md",
        REPOSITORY / "CONTRIBUTING.md",
        REPOSITORY / "pyproject.toml",
        *sorted((REPOSITORY / "docs").rglob("*.md")),
        *sorted((REPOSITORY / "examples").glob("*.py")),
        *(file for folder in FOLDERS for file in sorted((REPOSITORY / folder).rglob("*.py"))),
    )
}


def help_of(command: str) -> str:
    """The texts of a command and of all its flags."""
    arguments = app[command].assemble_argument_collection(parse_docstring=True)
    return "\n".join([app[command].help, *(argument.parameter.help or "" for argument in arguments)])


COMMANDS = (
    "track",
    "batch",
    "follow",
    "draw",
    "export",
    "report",
    "angles",
    "view",
    "suspects",
    "eval",
    "eval3d",
    "convert",
    "train",
    "doctor",
)


def check(place: str, text: str) -> None:
    """Fail at the first word that is not used any more."""
    text = " ".join(text.split())
    for word, instead in WORDS.items():
        for found in re.finditer(rf"\b(?:{word})\b", text, re.IGNORECASE):
            around = text[max(found.start() - 40, 0) : found.end() + 40]
            raise AssertionError(f"{place}: ...{around}...: say {instead}")


@pytest.mark.parametrize("page", PAGES)
def test_no_word_of_the_old_private_language_in_files(page: str) -> None:
    check(page, PAGES[page].read_text())


@pytest.mark.parametrize("command", COMMANDS)
def test_no_word_of_the_old_private_language_in_help(command: str) -> None:
    check(f"posetrail {command}", help_of(command))
