"""Angles and speeds of made-up walkers in space, seen by a known camera, against those they were made with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import posetrail as pt
from eval_posetrack.evaluation_3d import evaluate_3d
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, POSETRACK_15
from tests.corrected_runs import make_run
from tests.mocap import WALKER_HEIGHT_M, SeenPeople, StandIn, gait_angles, recorded_motions, still_camera, walker
from tracker.lifting.angles import angles_3d
from tracker.runs.angles import write_angles
from tracker.runs.corrected import CorrectedRun
from tracker.runs.export3d import export_3d
from tracker.runs.record import read_record

FRAMES = 60
INNER = slice(6, -6)  # of the frames: the filter does less at the ends


@pytest.mark.parametrize("heading_deg", [0.0, 50.0])
@pytest.mark.parametrize("speed", [1.2, -1.2])
def test_angles_in_space_are_those_of_the_walk(heading_deg: float, speed: float) -> None:
    people = SeenPeople((walker(FRAMES, speed=speed, heading_deg=heading_deg),), still_camera())
    found = angles_3d(people.camera_joints[0], COCO_17)
    for name, degrees in gait_angles(FRAMES).items():
        assert found[f"{name}_deg"] == pytest.approx(degrees, abs=1e-6), name
    assert found["trunk_deg"] == pytest.approx(90)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Angles of two people who walk past each other, the second one behind; it is missed for 5 frames."""
    people = (walker(FRAMES), walker(FRAMES, start=(1.5, -1.5), speed=-1.0))
    seen = SeenPeople(people, still_camera(distance_m=10.0))
    folder = make_run(
        tmp_path_factory.mktemp("walk") / "run", seen.frames(noise_px=0.5, missed={1: set(range(20, 25))})
    )
    return pt.angles(folder, height_m=WALKER_HEIGHT_M)


def test_the_side_view_has_the_angles_of_the_walk(table: pd.DataFrame) -> None:
    first = table[table["facing"] == "right"]
    assert len(first) == FRAMES
    for name, degrees in gait_angles(FRAMES).items():
        error = np.abs(first[f"{name}_deg"].to_numpy() - degrees)[INNER]
        assert error.mean() < 3, name


def test_metres_per_second_are_those_of_the_walk(table: pd.DataFrame) -> None:
    for facing, speed in (("right", 1.2), ("left", 1.0)):
        found = table.loc[table["facing"] == facing, "centre_m_per_s"].median()
        assert found == pytest.approx(speed, rel=0.05), facing


@pytest.fixture(scope="module")
def lifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with 3-D tracks of a person who walks towards the camera, to one side."""
    seen = SeenPeople((walker(FRAMES, start=(-0.5, -1.0), heading_deg=-40.0),), still_camera())
    folder = make_run(tmp_path_factory.mktemp("lifted") / "run", seen.frames(), size=seen.camera.size)
    pt.lift(folder, lifter=StandIn(seen), focal_px=seen.camera.focal_px)
    return folder


def test_a_lifted_run_has_the_angles_of_the_walk_from_any_side(lifted: Path) -> None:
    table = pt.angles(lifted)
    assert "facing" not in table
    for name, degrees in gait_angles(FRAMES).items():
        assert np.abs(table[f"{name}_deg"].to_numpy() - degrees)[INNER].max() < 1, name
    assert table["centre_m_per_s"].median() == pytest.approx(1.2, rel=0.05)
    with pytest.raises(InputError, match="height_m: expected none for 3-D tracks"):
        pt.angles(lifted, source="3d", height_m=1.7)


def test_an_exported_npz_has_no_error_against_its_run(lifted: Path, tmp_path: Path) -> None:
    [file] = export_3d(lifted, "npz", output=tmp_path / "tracks.npz")
    total = evaluate_3d(lifted, file).total
    assert total.frames == FRAMES
    assert total.mpjpe_mm < 0.1


def test_settings_of_2d_angles_choose_2d_joints(lifted: Path) -> None:
    for chosen in ({"source": "2d"}, {"height_m": 1.7}, {"facing": "right"}):
        assert "facing" in pt.angles(lifted, **chosen)


def test_stale_3d_tracks_are_not_used(lifted: Path, tmp_path: Path) -> None:
    run = shutil.copytree(lifted, tmp_path / "run")
    with CorrectedRun(run, by="test") as opened:
        opened.apply({"op": "remove", "pose": [30, 0], "scope": "here"})
    notes: list[str] = []
    write_angles(run, figure="none", on_note=notes.append)
    assert "made from other tracks" in notes[0]
    assert read_record(run).angles.source == "2d"
    with pytest.raises(InputError, match="made from other tracks"):
        pt.angles(run, source="3d")


def test_recorded_walking_and_running_look_like_gait() -> None:
    motions = recorded_motions()
    if not motions:
        pytest.skip("../shared/data/mocap is not here")
    for name, least_deg, most_deg in (("walk", 45, 90), ("run", 80, 150)):
        world, _ = motions[name]
        found = angles_3d(still_camera().joints(world), POSETRACK_15)
        assert least_deg < found["knee_right_deg"].max() < most_deg, name
        assert found["knee_right_deg"].min() < 35, name
        assert found["hip_right_deg"].max() > 15 > -5 > found["hip_right_deg"].min(), name
