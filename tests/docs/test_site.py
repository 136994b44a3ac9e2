"""The documentation builds without a warning and without a network; its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tracker.cli.help import sections
from tracker.runs.record import Outcome


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocstrings", reason="comes with the dependency group docs")
    folder = tmp_path_factory.mktemp("site")
    command = [Path(sys.executable).parent / "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    dead = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **dead, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(https?:)?//[^"]*"', page.read_text())
        assert loaded == [], page.name


def test_every_setting_is_on_the_generated_page(site: Path) -> None:
    page = (site / "reference" / "settings.html").read_text()
    assert [name for name in sections() if f"<code>{name}</code>" not in page] == []


def test_pictures_are_small_and_used() -> None:
    pictures = list((REPOSITORY / "docs" / "pictures").iterdir())
    assert sum(picture.stat().st_size for picture in pictures) < 450_000
    pages = "".join(page.read_text() for page in (REPOSITORY / "docs").rglob("*.md"))
    assert [picture.name for picture in pictures if f"pictures/{picture.name}" not in pages] == []


def test_the_fields_of_a_result_are_documented() -> None:
    page = (REPOSITORY / "docs" / "reference" / "events.md").read_text()
    (row,) = (line for line in page.splitlines() if line.startswith("| result |"))
    assert [field.name for field in fields(Outcome) if f"`{field.name}`" not in row] == []
