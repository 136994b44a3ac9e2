"""An installed posetrail has the files of the page; tools/check_versions.py runs this on the wheel."""

from __future__ import annotations

from importlib.resources import files

import pytest

from tests.conftest import REPOSITORY

STATIC = REPOSITORY / "tracker" / "viewer" / "static"


@pytest.mark.skipif(not STATIC.is_dir(), reason="the page is not here")
def test_the_page_is_installed_with_the_package() -> None:
    installed = files("tracker.viewer") / "static"
    names = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
    assert {"index.html", "queue.html"} <= set(names)
    for name in names:
        assert installed.joinpath(name).read_bytes() == (STATIC / name).read_bytes()
