"""Suspects as the page gets them, and their states."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.truth_networks import truth_networks
from tests.viewer import Client, viewing
from tests.worlds import Walker, World, line, write_images
from tracker.association.suspects import Suspect
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.runs.record import read_record
from tracker.runs.suspects import find_suspects, write_suspects
from tracker.settings import Settings
from tracker.viewer.suspects import read_suspects

WORLD = World(
    (
        Walker(line((20, 60), (120, 0))),
        Walker(line((300, 75), (-60, 0)), hidden=lambda f: 16 <= f < 40),
        Walker(line((500, 75), (-30, 0)), hidden=lambda f: f < 30),
    ),
    num_frames=80,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("suspects")
    source = open_source(write_images(WORLD, place / "walkers"), stride=2)
    return run_clip(source, place / "run", truth_networks(WORLD), Settings()).folder


def suspect(kind: str, doubt: float, *poses: tuple[int, int], candidates: tuple[tuple[int, int], ...] = ()) -> Suspect:
    return Suspect(
        kind=kind,
        frame=poses[0][0],
        last_frame=poses[-1][0],
        poses=poses,
        candidates=candidates,
        doubt=doubt,
        parts={"gap": doubt},
        reason="A reason, with a comma.",
        suspect_id=f"{kind}:{poses[0][0]}.{poses[0][1]}",
    )


SUSPECTS = [
    suspect("link", 0.9, (58, 0), (60, 0), candidates=((60, 1),)),
    suspect("birth", 0.8, (30, 1), candidates=((14, 1),)),
    suspect("joint", 0.7, (20, 0)),
    suspect("flip", 0.6, (44, 0), (46, 0), (48, 0)),
    suspect("end", 0.5, (78, 2)),
]
STATES = ["open"] * 5


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run with the suspects above."""
    run = Path(shutil.copytree(made, tmp_path / "run"))
    names = [name for each in SUSPECTS for name in (*each.poses, *each.candidates)]
    write_suspects(run, read_record(run), SUSPECTS, dict.fromkeys(names, 1))
    return run


@pytest.fixture
def client(run: Path) -> Iterator[Client]:
    with viewing(run) as client:
        yield client


def suspects(client: Client) -> list[dict[str, Any]]:
    answer = client.get("api/suspects")
    assert answer.status_code == 200, answer.text
    return answer.json()["suspects"]


def states(client: Client) -> list[str]:
    return [each["state"] for each in suspects(client)]


def apply(client: Client, revision: int, **op: Any) -> None:
    answer = client.post("api/ops", {"revision": revision, "op": op})
    assert answer.status_code == 200, answer.text


def test_suspects_have_positions_ids_and_reasons(client: Client) -> None:
    found = suspects(client)
    assert [each["id"] for each in found] == [each.suspect_id for each in SUSPECTS]
    assert found[0] == {
        "id": "link:58.0",
        "kind": "link",
        "position": 29,
        "last": 30,
        "doubt": 0.9,
        "parts": {"gap": 0.9},
        "reason": "A reason, with a comma.",
        "state": "open",
        "people": [1],
        "candidates": [2],
    }
    assert (found[1]["people"], found[1]["candidates"]) == ([3], [2])


def test_suspects_are_looked_for_when_the_page_asks_first(made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made, tmp_path / "run"))
    with viewing(run) as client:
        found = suspects(client)
    assert found
    assert [each.suspect_id for each in find_suspects(run)] == [each["id"] for each in found]
    assert find_suspects(run) == read_suspects(run / "suspects.csv")


def test_a_suspect_is_fine_when_a_person_says_so_until_that_is_undone(client: Client) -> None:
    apply(client, 0, op="fine", suspect="birth:30.1")
    assert states(client) == ["open", "fine", "open", "open", "open"]
    apply(client, 1, op="undo", of=1)
    assert states(client) == STATES
    apply(client, 2, op="undo", of=2)
    assert states(client)[1] == "fine"


def test_a_link_is_fixed_by_an_exchange_near_it(client: Client) -> None:
    apply(client, 0, op="swap", a=[27, 0], b=[27, 1])  # two frames early
    assert states(client) == ["fixed", "open", "open", "open", "open"]
    apply(client, 1, op="undo", of=1)
    assert states(client) == STATES


def test_suspects_of_a_removed_track_are_fixed(client: Client) -> None:
    apply(client, 0, op="remove", pose=[39, 2], scope="track")
    assert states(client) == ["open", "fixed", "open", "open", "fixed"]


def test_joints_are_fixed_by_moving_them_and_flips_by_flipping(client: Client) -> None:
    apply(client, 0, op="move", pose=[10, 0], joint="nose", xy=[30, 60])
    assert states(client) == ["open", "open", "fixed", "open", "open"]
    apply(client, 1, op="flip", pose=[22, 0], to=24, part="all")
    assert states(client) == ["open", "open", "fixed", "fixed", "open"]


def test_the_queue_counts_open_suspects(client: Client, run: Path, made: Path, tmp_path: Path) -> None:
    def queue() -> dict[str, Any]:
        return client.session.get(f"{client.root}/api/queue", timeout=60).json()["runs"][0]

    assert queue()["open"] == 5
    apply(client, 0, op="fine", suspect="birth:30.1")
    apply(client, 1, op="swap", a=[30, 0], b=[30, 1])
    assert queue()["open"] == 3
    with viewing(made) as other:
        answer = other.session.get(f"{other.root}/api/queue", timeout=60)
        assert answer.json()["runs"][0]["open"] is None
