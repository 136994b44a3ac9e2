"""Corrections by way of the viewer: effects, revisions, the log, association and its events."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.truth_networks import truth_networks
from tests.viewer import WAIT_S, Client, viewing
from tests.worlds import Walker, World, line, write_images
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.settings import Settings

WORLD = World((Walker(line((20, 60), (120, 0))), Walker(line((500, 75), (-120, 0)))), num_frames=24)
SWAP = {"op": "swap", "a": [10, 0], "b": [10, 1], "only_here": False}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two walkers, in every other frame of the clip."""
    source = open_source(write_images(WORLD, tmp_path / "walkers"), stride=2)
    return run_clip(source, tmp_path / "out" / "walkers", truth_networks(WORLD), Settings()).folder


@pytest.fixture
def client(run: Path) -> Iterator[Client]:
    with viewing(run) as client:
        yield client


def window(client: Client, first: int = 0, count: int = 100) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The head and the arrays of a window of poses."""
    content = client.get(f"api/poses?first={first}&count={count}").content
    (length,) = struct.unpack("<I", content[:4])
    head = json.loads(content[4 : 4 + length])
    at = 4 + length + -length % 4
    m, k = sum(head["people"]), head["joints"]
    arrays = {}
    for name, dtype, shape in (
        ("ids", "<i4", (m,)),
        ("flags", "<u4", (m,)),
        ("boxes", "<f4", (m, 4)),
        ("keypoints", "<f4", (m, k, 2)),
        ("scores", "u1", (m, k)),
    ):
        size = int(np.prod(shape))
        arrays[name] = np.frombuffer(content, dtype, size, at).reshape(shape)
        at += arrays[name].nbytes
    assert at == len(content)
    return head, arrays


def test_a_window_holds_the_poses_of_its_frames(client: Client) -> None:
    head, arrays = window(client, 3, 4)
    assert head == {"revision": 0, "first": 3, "count": 4, "joints": 17, "people": [2, 2, 2, 2]}
    assert arrays["ids"].tolist() == [1, 2] * 4
    for row, (keypoints, box) in enumerate(zip(arrays["keypoints"], arrays["boxes"], strict=True)):
        walker, time_s = WORLD.walkers[row % 2], (3 + row // 2) * 2 / 30
        assert np.allclose(keypoints, walker.keypoints(time_s), atol=1)
        assert np.allclose(box, walker.box(time_s), atol=3)
    assert (arrays["scores"] == 230).all()  # 0.9
    assert window(client, 11, 50)[0]["count"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("first=12&count=1", 404),
        ("first=0&count=0", 404),
        ("first=-1&count=1", 400),
        ("first=0", 400),
        ("first=a&count=1", 400),
        ("first=1e3&count=1", 400),
        ("first=²&count=1", 400),
        ("first=0&count=99999999999999999999", 400),
    ],
)
def test_windows_outside_of_the_run_are_refused(client: Client, query: str, status: int) -> None:
    answer = client.get(f"api/poses?{query}")
    assert answer.status_code == status
    assert "expected" in answer.json()["error"]


def test_overview_lists_tracks_times_and_frame_numbers(client: Client) -> None:
    overview = client.get("api/overview").json()
    assert overview["frame_numbers"] == list(range(0, 24, 2))
    assert overview["times_s"][:2] == [0.0, pytest.approx(2 / 30, abs=1e-5)]
    first, second = overview["tracks"]
    assert first == {
        "id": 1, "name": "", "first": 0, "last": 11, "poses": 12, "mean_score": pytest.approx(0.9, abs=0.1),
        "spans": [[0, 11]], "interpolated": [],
    }  # fmt: skip
    assert second["id"] == 2


def test_a_swap_is_shown_before_it_is_made_and_undone_after(client: Client, run: Path) -> None:
    before = window(client)[1]["ids"]
    effect = client.post("api/effect", {"revision": 0, "op": SWAP}).json()
    assert (effect["first"], effect["last"], effect["poses"], effect["tracks"]) == (10, 11, 4, [1, 2])
    assert "exchange" in effect["text"]
    assert not (run / "corrections.jsonl").exists()

    made = client.post("api/ops", {"revision": 0, "op": SWAP})
    assert made.status_code == 200
    assert made.json() == {**effect, "revision": 1}
    after = window(client)[1]["ids"]
    assert after[:20].tolist() == before[:20].tolist()
    assert after[20:].tolist() == [2, 1, 2, 1]
    overview = client.get("api/overview").json()
    assert (overview["revision"], overview["edits"]) == (1, [{"number": 1, "position": 10, "track": 1}])
    assert client.get("api/run").json()["stale"]

    assert client.post("api/ops", {"revision": 1, "op": {"op": "undo", "of": 1}}).json()["revision"] == 2
    assert window(client)[1]["ids"].tolist() == before.tolist()
    entries = client.get("api/log").json()["entries"]
    assert [(e["number"], e["op"], e["undone"], e["position"]) for e in entries] == [
        (1, "swap", True, 10),
        (2, "undo", False, 10),
    ]
    assert client.get("api/overview").json()["edits"] == []


def test_moved_joints_and_checked_frames_are_shown(client: Client) -> None:
    move = {"op": "move", "pose": [4, 1], "joint": "left_knee", "xy": [33.5, 44.25]}
    assert client.post("api/ops", {"revision": 0, "op": move}).status_code == 200
    assert client.post("api/ops", {"revision": 1, "op": {"op": "checked", "from": 2, "to": 5}}).status_code == 200
    _, arrays = window(client, 4, 1)
    assert arrays["keypoints"][1, 13].tolist() == [33.5, 44.25]
    assert arrays["flags"].tolist() == [0, 4]
    overview = client.get("api/overview").json()
    assert overview["checked"] == [[2, 5]]
    assert overview["edits"] == [{"number": 1, "position": 4, "track": 2}]


def test_the_slower_of_two_pages_is_refused_and_loses_nothing(client: Client) -> None:
    assert client.post("api/ops", {"revision": 0, "op": SWAP}).status_code == 200
    for path in ("api/ops", "api/effect"):
        late = client.post(path, {"revision": 0, "op": {"op": "name", "pose": [0, 0], "name": "Ada"}})
        assert (late.status_code, late.json()["revision"]) == (409, 1)
    again = client.post("api/ops", {"revision": 1, "op": {"op": "name", "pose": [0, 0], "name": "Ada"}})
    assert again.json()["revision"] == 2
    assert client.get("api/overview").json()["tracks"][0]["name"] == "Ada"


def test_of_many_requests_at_once_one_is_accepted(client: Client, run: Path) -> None:
    content = {"revision": 0, "op": {"op": "checked", "from": 0, "to": 3}}
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: client.post("api/ops", content).status_code, range(16)))
    assert sorted(codes) == [200] + [409] * 15
    assert len((run / "corrections.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"revision": 0, "op": {"op": "swap", "a": [99, 0], "b": [0, 1]}}, 422),
        ({"revision": 0, "op": {"op": "swap"}}, 422),
        ({"revision": 0, "op": {"op": "none"}}, 422),
        ({"revision": 0, "op": {"op": "undo", "of": 7}}, 422),
        ({"revision": 0, "op": {"op": "move", "pose": [0, 0], "joint": "tail", "xy": [1, 2]}}, 422),
        ({"revision": 0}, 400),
        ({"revision": "0", "op": {"op": "swap"}}, 400),
        ([1, 2], 400),
        ({"revision": 0, "op": "swap"}, 400),
    ],
)
def test_what_is_no_correction_is_refused_in_one_line(client: Client, run: Path, content: Any, status: int) -> None:
    for path in ("api/effect", "api/ops"):
        answer = client.post(path, content)
        assert answer.status_code == status, answer.text
        assert "\n" not in answer.json()["error"]
    assert not (run / "corrections.jsonl").exists()


def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    answer = client.session.post(f"{client.root}/runs/0/api/ops", data=b"{", headers={"Origin": client.root}, timeout=9)
    assert answer.status_code == 400


@contextmanager
def events(client: Client) -> Iterator[Iterator[dict[str, Any]]]:
    """The server-sent events of the run."""
    with client.get("api/events", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        yield (json.loads(line[6:]) for line in lines if line.startswith(b"data: "))


def test_pages_learn_of_new_revisions_and_of_association(client: Client, run: Path) -> None:
    with events(client) as told:
        assert next(told) == {"revision": 0, "stale": False, "associating": None, "error": None}
        client.post("api/ops", {"revision": 0, "op": SWAP})
        assert next(told) == {"revision": 1, "stale": True, "associating": None, "error": None}
        assert client.post("api/associate", {}).status_code == 202
        assert next(told)["associating"] == 0
        assert next(told) == {"revision": 2, "stale": False, "associating": None, "error": None}
    assert window(client)[1]["ids"][20:].tolist() == [2, 1, 2, 1]
    assert client.post("api/effect", {"revision": 1, "op": SWAP}).status_code == 409  # ids may be others now
    assert client.post("api/ops", {"revision": 2, "op": {"op": "undo", "of": 1}}).json()["revision"] == 3


def test_an_association_that_fails_is_reported(client: Client, run: Path) -> None:
    client.post("api/ops", {"revision": 0, "op": SWAP})
    with events(client) as told:
        next(told)
        (run / "poses.arrow").rename(run / "gone.arrow")
        assert client.post("api/associate", {}).status_code == 202
        assert next(told)["associating"] == 0
        ended = next(told)
    assert ended["associating"] is None
    assert "poses.arrow" in ended["error"]


def test_the_server_ends_while_pages_listen(run: Path) -> None:
    with ThreadPoolExecutor(1) as pool, viewing(run) as client:
        answer = client.get("api/events", stream=True)
        lines = pool.submit(lambda: list(answer.iter_lines()))
    assert len(lines.result(WAIT_S)) == 2


def test_corrections_survive_the_server(run: Path) -> None:
    with viewing(run) as client:
        client.post("api/ops", {"revision": 0, "op": SWAP})
    with viewing(run) as client:
        assert client.get("api/run").json()["revision"] == 1
        assert window(client)[1]["ids"][20:].tolist() == [2, 1, 2, 1]


def test_a_run_that_cannot_be_written_is_shown_but_not_changed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.viewer.run.os.access", lambda _path, _mode: False)
    with viewing(run) as client:
        assert client.get("api/run").json()["read_only"]
        assert client.post("api/effect", {"revision": 0, "op": SWAP}).status_code == 200
        refused = client.post("api/ops", {"revision": 0, "op": SWAP})
        assert refused.status_code == 422
        assert "cannot be written" in refused.json()["error"]
        assert client.post("api/associate", {}).status_code == 422
    assert not (run / "corrections.jsonl").exists()


@pytest.mark.parametrize(("to", "name"), [("posetrack", "json"), ("coco", "coco.json"), ("csv", "csv")])
def test_tracks_are_downloaded_as_corrected(client: Client, to: str, name: str) -> None:
    client.post("api/ops", {"revision": 0, "op": {"op": "name", "pose": [0, 0], "name": "Ada"}})
    answer = client.get(f"api/export/{to}")
    assert answer.status_code == 200
    assert f'filename="walkers.export.{name}"' in answer.headers["Content-Disposition"]
    assert len(answer.content) > 1000
    assert client.get(f"api/export/{to}?ground_truth=1").status_code == 422  # no frame is checked
    client.post("api/ops", {"revision": 1, "op": {"op": "checked", "from": 0, "to": 5}})
    checked = client.get(f"api/export/{to}?ground_truth=1")
    assert checked.status_code == 200
    assert f'filename="walkers.ground_truth.{name}"' in checked.headers["Content-Disposition"]


def test_an_unknown_export_format_is_refused(client: Client) -> None:
    answer = client.get("api/export/xml")
    assert answer.status_code == 422
    assert "posetrack, coco, csv" in answer.json()["error"]
