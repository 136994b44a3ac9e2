"""Files appear complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.files import written_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "tracks.json"
    with written_whole(path) as beside:
        beside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_on_an_error_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "tracks.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="half way"), written_whole(path) as beside:
        beside.write_text("ne")
        raise ValueError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
