"""Python in README and documentation compiles and uses public names that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import posetrail as pt
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
BLOCKS = {
    f"{page.relative_to(REPOSITORY).as_posix()}-{number}": block
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_code_block_compiles_and_uses_public_names(name: str) -> None:
    block = BLOCKS[name]
    compile(block, name, "exec")
    assert [used for used in re.findall(r"\bpt\.(\w+)", block) if used not in pt.__all__] == []


def test_the_first_block_of_the_readme_runs_on_the_example(
    capsys: pytest.CaptureFixture[str], example_clip: Path
) -> None:
    loop, *_ = BLOCKS["README.md-0"].split("\n\nsettings = ")
    short = loop.replace('"examples/pose2sim_cam01.mp4"', f'"{example_clip}", end_s=0.05')
    exec(compile(short, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 6
