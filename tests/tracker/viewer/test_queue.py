"""A folder of runs is a queue of what is left to check."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from posetrail.errors import InputError
from tests.media import number_of, write_video
from tests.viewer import Client, viewing
from tracker.viewer import app
from tracker.viewer.queue import find_runs

from .runs import run_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs, two of them in a folder of their own, and a folder that is none."""
    for index, name in enumerate(("a", "deep/b", "deep/c")):
        clip = write_video(tmp_path / f"{index}.mp4", 20 + index)
        run_of(clip, tmp_path / "out" / name, stride=2)
    (tmp_path / "out" / "empty").mkdir()
    return tmp_path / "out"


def at(client: Client, path: str) -> dict:  # type: ignore[type-arg]
    answer = client.session.get(f"{client.root}/{path}", timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_queue_lists_all_runs_of_a_folder(folder: Path) -> None:
    with viewing(folder) as client:
        runs = at(client, "api/queue")["runs"]
        assert [(run["index"], run["name"], run["frames"], run["people"]) for run in runs] == [
            (0, "a", 10, 1),
            (1, "deep/b", 11, 1),
            (2, "deep/c", 11, 1),
        ]
        assert [run["checked_share"] for run in runs] == [0, 0, 0]
        for run in runs:
            answer = client.session.get(f"{client.root}/{run['thumbnail']}", timeout=60)
            image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
            assert number_of(image) == 10
        assert at(client, "runs/1/api/run")["name"] == "deep/b"
        assert at(client, "runs/2/api/run")["num_frames"] == 11


def test_the_queue_counts_checked_frames_once(folder: Path) -> None:
    with viewing(folder) as client:
        for revision, (first, last) in enumerate([(0, 3), (2, 4), (8, 8)]):
            checked = {"op": "checked", "from": first, "to": last}
            assert client.post("api/ops", {"revision": revision, "op": checked}).status_code == 200
        assert at(client, "api/queue")["runs"][0]["checked_share"] == 0.6
        client.post("api/ops", {"revision": 3, "op": {"op": "undo", "of": 3}})
        assert at(client, "api/queue")["runs"][0]["checked_share"] == 0.5


def test_a_damaged_run_is_listed_with_its_problem(folder: Path) -> None:
    (folder / "deep/b/run.json").write_text("{")
    with viewing(folder) as client:
        run = at(client, "api/queue")["runs"][1]
        assert "run.json" in run["problem"]
        answer = client.session.get(f"{client.root}/runs/1/api/run", timeout=9)
        assert answer.status_code == 404
        assert "run.json" in answer.json()["error"]
        assert at(client, "runs/2/api/run")["num_frames"] == 11


def test_runs_that_no_page_shows_are_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_MOST_OPEN", 1)
    with viewing(folder) as client:
        for index in (0, 1, 2, 0):
            assert at(client, f"runs/{index}/api/run")["has_clip"]


def test_a_run_alone_is_shown_at_once(folder: Path) -> None:
    with viewing(folder / "a") as client:
        answer = client.session.get(client.root, allow_redirects=False, timeout=9)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/runs/0/")
        assert at(client, "api/queue")["runs"][0]["name"] == "a"


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got one without run\.json"):
        find_runs(tmp_path)


def test_a_clip_is_given_for_one_run_only(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--input: expected one run, got 3"), viewing(folder, input=tmp_path / "0.mp4"):
        pass
