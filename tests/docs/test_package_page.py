"""The page of the package on an index is the README without what would not work there."""

from __future__ import annotations

import re
import tomllib

from tests.conftest import REPOSITORY


def long_description() -> str:
    """The README as pyproject.toml changes it for the package's metadata."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    readme = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = "".join((REPOSITORY / fragment["path"]).read_text() for fragment in readme["fragments"])
    for substitution in readme["substitutions"]:
        text = re.sub(substitution["pattern"], substitution["replacement"], text)
    return text


def test_the_package_page_has_no_link_or_picture_of_the_repository() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert "](docs/pictures/tracks.jpg)" in readme
    assert re.findall(r"\]\((?!https?://|#)[^)]*\)", long_description()) == []
    assert long_description().startswith("# posetrail\n\nposetrail tracks")


def test_files_that_the_readme_names_exist() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for name in re.findall(r"`((?:docs|examples)/[^`]*|[A-Z]+\.md|NOTICE)`|\]\((docs/[^)]*)\)", readme):
        assert (REPOSITORY / "".join(name)).exists(), name


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 200
