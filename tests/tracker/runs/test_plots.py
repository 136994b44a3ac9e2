"""`pt.plot_timeline` and `pt.plot_joint`: what they plot of a made-up run, and what they refuse."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import posetrail as pt
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17
from tests.corrected_runs import WALKERS, make_run
from tests.pose_frames import missed_in, pose_frames
from tests.worlds import Walker, World, line
from tracker.runs.corrected import CorrectedRun
from tracker.tracked_clip import TrackedClip

matplotlib = pytest.importorskip("matplotlib", reason="comes with the extra plots")
matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402 after the choice of the backend
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

GAP = (20, 24)  # the first person is missed in these frames, which are interpolated
KNEE = COCO_17.joints.index("left_knee")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`WALKERS`; the first is named Ada, and has no pose in frames 40 to 42."""
    folder = make_run(tmp_path_factory.mktemp("plots") / "run")
    with CorrectedRun(folder, by="test") as opened:
        ada = int(opened.clip.people(0).poses.boxes[:, 0].argmin())
        opened.apply({"op": "name", "pose": [0, ada], "name": "Ada"})
        for position in (40, 41, 42):
            place = opened.clip.people(position).track_ids.tolist().index(ada_id(opened.clip))
            opened.apply({"op": "remove", "pose": [position, place], "scope": "here"})
    return folder


@pytest.fixture
def clip(run: Path) -> TrackedClip:
    with CorrectedRun(run) as opened:
        return opened.clip


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    pyplot.close("all")


def ada_id(clip: TrackedClip) -> int:
    (track_id,) = (track_id for track_id, name in clip.names.items() if name == "Ada")
    return track_id


def bars(ax: Axes, row: int) -> list[tuple[float, float, bool]]:
    """Begin and end in seconds of the bars of a row, and whether they are pale."""
    shown = [bar for bar in ax.patches if round(bar.get_y() + bar.get_height() / 2) == row]
    return [(bar.get_x(), bar.get_x() + bar.get_width(), (bar.get_alpha() or 1) < 1) for bar in shown]


def drawn(curve: Line2D) -> np.ndarray:
    """The frames in which a curve has a place."""
    return np.flatnonzero(np.isfinite(np.asarray(curve.get_ydata(), float)))


def test_the_timeline_has_a_row_per_person_with_the_name_that_was_given(run: Path, clip: TrackedClip) -> None:
    ax = pt.plot_timeline(run)
    ids = np.unique(clip.track_ids).tolist()
    assert len(ids) == 3
    assert [label.get_text() for label in ax.get_yticklabels()] == [clip.names.get(each, str(each)) for each in ids]
    assert "Ada" in clip.names.values()
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "time (s)"


def test_the_timeline_is_pale_where_poses_are_interpolated_and_open_where_there_are_none(
    run: Path, clip: TrackedClip
) -> None:
    row = np.unique(clip.track_ids).tolist().index(ada_id(clip))
    expected = [(0, 20, False), (20, 24, True), (24, 40, False), (43, 60, False)]
    found = bars(pt.plot_timeline(run), row)
    assert [pale for *_, pale in found] == [pale for *_, pale in expected]
    np.testing.assert_allclose([each[:2] for each in found], np.array([each[:2] for each in expected]) / 30)


def test_a_joint_is_plotted_where_the_corrected_run_has_it(run: Path, clip: TrackedClip) -> None:
    ax = pt.plot_joint(run, "Ada", "left_knee")
    of = clip.track_ids == ada_id(clip)
    for axis, curve in enumerate(ax.get_lines()[::3]):
        np.testing.assert_allclose(curve.get_xdata(), np.arange(60) / 30)
        found = np.asarray(curve.get_ydata(), float)[clip.positions[of & ~clip.interpolated]]
        np.testing.assert_allclose(found, clip.poses.keypoints[of & ~clip.interpolated, KNEE, axis])
        truth = [WALKERS.walkers[0].keypoints(k / 30)[KNEE, axis] for k in clip.positions[of & ~clip.interpolated]]
        np.testing.assert_allclose(found, truth, atol=2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Ada: left_knee x", "Ada: left_knee y"]
    assert ax.yaxis_inverted()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "position (pixels)")


def test_lines_of_a_joint_are_pale_where_poses_are_interpolated_and_open_where_there_are_none(run: Path) -> None:
    x, pale_x, _, y, pale_y, _ = pt.plot_joint(run, "Ada", "left_knee").get_lines()
    measured = [k for k in range(60) if not (GAP[0] <= k < GAP[1] or 40 <= k < 43)]
    for curve in (x, y):
        assert drawn(curve).tolist() == measured
        assert curve.get_alpha() is None
    for curve in (pale_x, pale_y):  # from the last pose before the gap to the first one after it
        assert drawn(curve).tolist() == list(range(GAP[0] - 1, GAP[1] + 1))
        assert (curve.get_alpha() or 1) < 0.5


def test_a_single_pose_between_gaps_is_a_point(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    with CorrectedRun(copy, by="test") as opened:
        for position in (44, 45):
            place = opened.clip.people(position).track_ids.tolist().index(ada_id(opened.clip))
            opened.apply({"op": "remove", "pose": [position, place], "scope": "here"})
        truth = opened.clip.people(43).poses.keypoints[opened.clip.people(43).track_ids == ada_id(opened.clip), KNEE]
    _, _, x, _, _, y = pt.plot_joint(copy, "Ada", "left_knee").get_lines()
    assert [x.get_xdata().tolist(), x.get_marker()] == [[43 / 30], "."]
    np.testing.assert_allclose([[x.get_ydata()[0], y.get_ydata()[0]]], truth)


def test_a_person_is_found_by_id_and_by_name_in_any_case(run: Path, clip: TrackedClip) -> None:
    plots = [pt.plot_joint(run, person, "nose") for person in ("Ada", "ada", ada_id(clip), str(ada_id(clip)))]
    for ax in plots[1:]:
        for one, other in zip(plots[0].get_lines(), ax.get_lines(), strict=True):
            np.testing.assert_array_equal(one.get_ydata(), other.get_ydata())


def test_plots_share_given_axes_and_leave_the_y_axis_inverted(run: Path, clip: TrackedClip) -> None:
    _, ax = pyplot.subplots()
    other = next(each for each in np.unique(clip.track_ids).tolist() if each != ada_id(clip))
    assert pt.plot_joint(run, "Ada", "nose", ax=ax) is ax
    assert pt.plot_joint(run, other, "nose", ax=ax) is ax
    assert ax.yaxis_inverted()
    assert len(ax.get_legend().get_texts()) == 4
    assert pt.plot_timeline(run, ax=pyplot.subplots()[1]).figure.number == 2
    assert len(pyplot.get_fignums()) == 2


def test_a_run_without_people_has_an_empty_timeline(tmp_path: Path) -> None:
    nowhere = World(
        (Walker(line((20, 60), (90, 0)), hidden=missed_in((0, 9)), missed=missed_in((0, 9))),), num_frames=9
    )
    ax = pt.plot_timeline(make_run(tmp_path / "run", pose_frames(nowhere)))
    assert list(ax.patches) == []
    assert list(ax.get_yticks()) == []


def test_an_unknown_person_or_joint_is_refused_with_those_that_exist(run: Path) -> None:
    with pytest.raises(InputError, match=r"^person: expected .*, got 'Bob'; it has [^\n]*\bAda\b[^\n]*$"):
        pt.plot_joint(run, "Bob", "nose")
    with pytest.raises(InputError, match=r"^joint: expected one of nose, left_eye, .*right_ankle, got 'knee'$"):
        pt.plot_joint(run, "Ada", "knee")


def test_a_folder_without_a_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*run\.json[^\n]*$"):
        pt.plot_timeline(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [False, True])
def test_without_matplotlib_one_line_says_how_to_install_it(
    run: Path, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ax = pyplot.subplots()[1] if given else None
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for plot in (lambda: pt.plot_timeline(run, ax=ax), lambda: pt.plot_joint(run, "Ada", "nose", ax=ax)):
        with pytest.raises(InputError, match=r"^plots: needs matplotlib; .*pip install 'posetrail\[plots\]'$"):
            plot()
