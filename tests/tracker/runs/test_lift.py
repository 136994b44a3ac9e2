"""`posetrail lift` on made runs, with a stand-in that stands people up straight."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import posetrail as pt
from posetrail.errors import InputError
from posetrail.poses3d import PoseSequence
from posetrail.skeletons import COCO_17
from tests.command_line import run_command
from tests.corrected_runs import make_run
from tests.worlds import STANDING
from tracker.runs.corrected import CorrectedRun
from tracker.runs.follow import follow_run
from tracker.runs.lifted import read_lifted
from tracker.runs.record import read_record
from tracker.settings import AssociationSettings

BODY = np.column_stack([(STANDING - STANDING[11:13].mean(axis=0)) * [0.7, 1.7], np.zeros(17)])


class Upright:
    """Everyone stands in the plane of the picture."""

    source = skeleton = COCO_17
    rate_hz = None
    name = "upright"

    def __call__(self, sequences: Sequence[PoseSequence]) -> list[np.ndarray]:
        return [np.repeat(BODY[None], len(each), axis=0).astype(np.float32) for each in sequences]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_every_person_gets_3d_joints_and_the_record_says_how(run: Path) -> None:
    outcome = pt.lift(run, lifter=Upright(), height_m=1.8, fov_deg=60, parquet=True)
    record = json.loads((run / "run.json").read_text())
    about = record["lift"]
    assert (about["model"], about["height_m"], about["axes"], about["unit"]) == ("upright", 1.8, "camera", "m")
    assert about["focal_px"] == pytest.approx(320 / np.tan(np.radians(30)), abs=0.01)
    assert not about["focal_assumed"]
    assert {"tracks3d.csv", "tracks3d.parquet"} <= set(record["files"])
    assert [person["track_id"] for person in about["people"]] == [1, 2, 3]
    table = pd.read_csv(run / "tracks3d.csv")
    columns = ["frame", "time_s", "track_id", "joint", "x", "y", "z", "score", "interpolated", "cut_off"]
    assert list(table.columns) == list(pd.read_parquet(run / "tracks3d.parquet").columns) == columns
    assert read_lifted(run).tracks.keypoints == pytest.approx(outcome.tracks.keypoints, abs=1e-5)
    assert read_lifted(run).tracks.roots == pytest.approx(outcome.tracks.roots, abs=1e-4)
    assert not list(run.glob(".*"))


def test_results_are_the_same_to_the_byte(run: Path) -> None:
    pt.lift(run, lifter=Upright())
    before = (run / "tracks3d.csv").read_bytes()
    pt.lift(run, lifter=Upright())
    assert (run / "tracks3d.csv").read_bytes() == before


def test_corrections_and_other_settings_make_3d_tracks_stale(run: Path) -> None:
    pt.lift(run, lifter=Upright())
    with CorrectedRun(run) as opened:
        opened.apply({"op": "name", "pose": [30, 0], "name": "Ada"})
        opened.apply({"op": "checked", "from": 0, "to": 10})
        read_lifted(run)  # neither changes a track
        opened.apply({"op": "remove", "pose": [30, 0], "scope": "here"})
    with pytest.raises(InputError, match=r"made from other tracks; `posetrail lift"):
        read_lifted(run)
    assert len(read_lifted(run, stale=True).tracks)
    pt.lift(run, lifter=Upright())
    read_lifted(run)
    outcome = follow_run(run, AssociationSettings(offline=False))
    assert any("tracks3d.csv: was made from other tracks" in each for each in outcome.warnings)
    assert "tracks3d.csv" in outcome.files
    with pytest.raises(InputError, match="made from other tracks"):
        read_lifted(run)


def test_a_run_without_changes_keeps_its_3d_tracks_and_a_copy_has_none(run: Path, tmp_path: Path) -> None:
    pt.lift(run, lifter=Upright())
    follow_run(run, AssociationSettings())
    read_lifted(run)
    follow_run(run, AssociationSettings(), output=tmp_path / "copy")
    assert read_record(tmp_path / "copy").lift is None
    with pytest.raises(InputError, match="has no 3-D tracks"):
        read_lifted(tmp_path / "copy")


def test_a_changed_table_is_refused(run: Path) -> None:
    pt.lift(run, lifter=Upright())
    with (run / "tracks3d.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"is not the file that run\.json describes"):
        read_lifted(run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height_m": 178}, "height_m: expected metres"),
        ({"height_m": {9: 1.8}}, "height_m: expected track ids"),
        ({"fov_deg": 60, "focal_px": 900}, "expected one of them"),
        ({"fov_deg": 0}, "fov_deg: expected degrees"),
        ({"focal_px": -1}, "focal_px: expected pixels"),
    ],
)
def test_wrong_arguments_are_named(run: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pt.lift(run, lifter=Upright(), **options)  # type: ignore[arg-type]
    assert not (run / "tracks3d.csv").exists()


def test_a_floor_levels_the_axes(run: Path) -> None:
    outcome = pt.lift(run, lifter=Upright(), floor=True)
    head, ankle = (outcome.tracks.keypoints[:, COCO_17.index(joint), 1] for joint in ("nose", "left_ankle"))
    assert (head < ankle - 1).all()
    assert abs(np.median(ankle) + 0.08) < 0.1
    assert outcome.record.axes == "floor"


def test_a_killed_lift_leaves_the_old_files(run: Path) -> None:
    pt.lift(run, lifter=Upright())
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    program = (
        "import os, signal, sys, posetrail as pt, tracker.runs.lift as module\n"
        "from tests.tracker.runs.test_lift import Upright\n"
        "write = module.write_csv3d\n"
        "def dies(path, tracks):\n"
        "    write(path, tracks)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "module.write_csv3d = dies\n"
        "pt.lift(sys.argv[1], lifter=Upright(), height_m=1.5)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(run)], check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    after = {path.name: path.read_bytes() for path in run.iterdir() if not path.name.startswith(".")}
    assert after == before
    pt.lift(run, lifter=Upright(), height_m=1.5)
    assert not list(run.glob(".*"))


def test_the_command_names_what_is_wrong(capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((tmp_path,), "run.json"),
        ((run, "--model", "blazepos"), "unknown lifter 'blazepos'; did you mean"),
        ((run, "--height-m", "tall"), "--height-m: expected metres"),
        ((run,), "holds poses without images; give their clip with --input"),
    ):
        code, _, err = run_command(capsys, "lift", *arguments)
        assert (code, message in err) == (2, True), err


def test_a_person_is_plotted_from_the_side_and_from_above(run: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    pt.lift(run, lifter=Upright())
    ax = pt.plot_skeleton3d(run, 1, 10)
    assert len(ax.lines) == len(COCO_17.limbs)
    assert ax.yaxis_inverted()
    assert not pt.plot_skeleton3d(run, 1, 10, view="above").yaxis_inverted()
    with pytest.raises(InputError, match="no 3-D joints of person 9"):
        pt.plot_skeleton3d(run, 9, 10)
    matplotlib.pyplot.close("all")
