"""Outputs of an evaluation: JSON, tables, plots, list of errors, oracle, sweep, comparison, command line."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.coverage import coverage, populations
from eval_posetrack.cli import main
from eval_posetrack.evaluation import evaluate, scenes
from eval_posetrack.formats.files import Clip, write_clip
from eval_posetrack.metrics.rules import DEFAULT, METRICS
from eval_posetrack.reports.compare import MIN_SEQUENCES, compare, jackknife_interval
from eval_posetrack.reports.events import Event, events
from eval_posetrack.reports.oracle import oracle
from eval_posetrack.reports.plots import save_plots
from eval_posetrack.reports.report import Report
from eval_posetrack.reports.sweep import sweep
from eval_posetrack.reports.tables import Table, benchmark_tables, difference_table
from posetrail.errors import InputError
from posetrail.skeletons import POSETRACK_15
from tests.conftest import TESTS
from tests.poses import POSE, clip_of, crowd

FAR = POSE + 3000
GOLDEN = TESTS / "golden" / "posetrack" / "synth"


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate(GOLDEN / "gt18", GOLDEN / "pred18")


# --- JSON and tables --------------------------------------------------------------------------------------------------


def assert_metric(values: dict[str, Any]) -> None:
    assert set(values) == {"per_joint", "groups", "total"}
    assert tuple(values["per_joint"]) == POSETRACK_15.joints
    assert list(values["groups"]) == ["Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl"]


def test_the_json_has_one_shape_for_the_total_and_for_every_sequence(report: Report) -> None:
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert content["mode"] == "default"
    assert list(content["sequences"]) == ["000001_mpii_test", "000002_mpii_test", "000003_bonn_test"]
    for figures in (content["total"], *content["sequences"].values()):
        assert set(figures) == {"AP", "AP_precision", "AP_recall", "MOT", "IDF1", "HOTA"}
        assert set(figures["MOT"]) == {"mota", "motp", "precision", "recall"}
        for name in ("AP", "AP_precision", "AP_recall", "IDF1", "HOTA"):
            assert_metric(figures[name])
        for values in figures["MOT"].values():
            assert_metric(values)


def test_not_a_number_is_null_in_json() -> None:
    keypoints = POSE.copy()
    keypoints[0] = np.nan
    clip = clip_of([keypoints])
    values = evaluate({"clip": clip}, {"clip": clip}).to_json()["total"]["AP"]
    assert values["per_joint"]["right_ankle"] is None
    assert values["per_joint"]["nose"] == 100


def test_each_deviation_that_changes_a_total_is_reported_with_both_values(report: Report) -> None:
    official = evaluate(GOLDEN / "gt18", GOLDEN / "pred18", mode="exact")
    assert not official.deviations
    assert [line.split(":")[0] for line in report.deviations] == [
        "the official kit ignores the last labelled frame of every sequence in tracking metrics",
        "the official kit counts one miss and one false positive per joint in frames without predictions or with all "
        "people in ignore regions, whatever is annotated there",
        "the official kit's total HOTA pools all joints instead of taking the mean over joints",
        "the official kit's HOTA counts all joints of the sequence as missed in each frame without predictions",
    ]
    assert "MOTA 58.80 instead of 58.57" in report.deviations[0]


def test_a_perfect_evaluation_reports_no_deviations() -> None:
    ground_truth = crowd(people=3, frames=4, shift=1000)
    report = evaluate({"clip": ground_truth}, {"clip": ground_truth})
    assert report.deviations == report.notes == ()


def test_the_tidy_table_has_every_figure_exactly_once(report: Report) -> None:
    frame = report.to_frame()
    assert not frame.duplicated(["sequence", "metric", "part"]).any()
    (value,) = frame.query("sequence == 'total' and metric == 'AP' and part == 'Head'")["value"]
    assert value == report.total["AP"].groups["Head"]


def test_tables_have_the_layout_of_the_benchmark_in_three_styles(report: Report) -> None:
    ap, mota, *_ = benchmark_tables({"ours_1": report})
    assert ap.columns == ("", "Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl", "Total", "Prec", "Rec")
    assert mota.columns[-3:] == ("MOTP", "Prec", "Rec")
    assert ap.rows == (("ours_1", "73.1", "73.8", "73.5", "74.9", "73.7", "72.7", "74.8", "73.8", "86.0", "77.4"),)
    assert r"ours\_1 & 73.1 & 73.8" in ap.to_latex()
    assert "| ours_1 | 73.1 | 73.8 |" in ap.to_markdown()


def test_control_characters_in_names_are_removed_from_tables() -> None:
    table = Table("t", ("", "a|b"), (("\x1b[2J[red]x\n&%", "1"),))
    assert "\x1b" not in table.to_markdown() + table.to_latex()
    assert table.to_markdown().count("\n") == 5
    assert r"\&\%" in table.to_latex()
    assert str(next(iter(table.to_rich().columns[0].cells))) == "?[2J[red]x?&%"


def test_plots_have_fixed_names(report: Report, tmp_path: Path) -> None:
    predictions = sweep(scenes(GOLDEN / "gt18", GOLDEN / "pred18"), DEFAULT, pose_steps=(0, 0.5), joint_steps=(0, 0.5))
    paths = save_plots({"../$a_": report, "b": report}, tmp_path, {"../b": predictions})
    assert [path.name for path in paths] == ["groups.png", "hota.png", "pckh.png", "sweep_1.png"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


# --- where the points are ---------------------------------------------------------------------------------------------


def one_of_each() -> tuple[Clip, Clip]:
    """A person with a switch after frame 1, joints 6 px off; a person missed for 4 frames; a false track of 2."""
    ground_truth = clip_of([POSE, POSE + 500] * 6, frames=[t for t in range(6) for _ in range(2)], ids=[0, 1] * 6)
    ground_truth = replace(ground_truth, times=np.arange(6) / 10)
    predictions = clip_of(
        [POSE + 6, POSE + 500, POSE + 6, FAR, POSE + 6, FAR, POSE + 6, POSE + 6, POSE + 6, POSE + 500],
        frames=[0, 0, 1, 1, 2, 2, 3, 4, 5, 5],
        ids=[10, 11, 10, 12, 20, 12, 20, 20, 20, 11],
    )
    return ground_truth, predictions


def test_all_errors_are_listed_most_costly_first() -> None:
    ground_truth, predictions = one_of_each()
    assert list(events(scenes({"clip": ground_truth}, {"clip": predictions}))) == [
        Event("miss", "clip", 1, 4, 0.1, 1, None, None, "all", 60),
        Event("false track", "clip", 1, 2, 0.1, None, 12, None, "all", 30),
        Event("switch", "clip", 2, 2, 0.2, 0, 20, 10, "all", 15),
    ]


def test_frames_of_events_count_in_the_file() -> None:
    ground_truth, predictions = one_of_each()
    later = [replace(clip, frames=clip.frames + 7, **longer(clip, 13)) for clip in (ground_truth, predictions)]
    assert [event.first_frame for event in events(scenes({"c": later[0]}, {"c": later[1]}))] == [8, 8, 9]


def longer(clip: Clip, frames: int) -> dict[str, Any]:
    names = tuple(map(str, range(frames)))
    return {"image_names": names, "ignore_regions": ((),) * frames, "labeled": np.ones(frames, bool), "times": None}


def test_joints_that_fail_together_are_one_event() -> None:
    ground_truth = clip_of([POSE] * 4, frames=[0, 1, 2, 3], ids=[0] * 4)
    keypoints = ground_truth.keypoints.copy()
    keypoints[:, :2] += 500
    (only,) = events(scenes({"clip": ground_truth}, {"clip": replace(ground_truth, keypoints=keypoints)}))
    assert (only.kind, only.joints, only.joint_errors) == ("miss", "right_ankle right_knee", 8)


def test_the_oracle_gives_the_figures_without_each_kind_of_error() -> None:
    ground_truth, predictions = one_of_each()
    rows = oracle(scenes({"clip": ground_truth}, {"clip": predictions}), DEFAULT, METRICS)
    total = {name: {key: figure.total for key, figure in figures.items()} for name, figures in rows.items()}
    assert total["uncorrected"]["MOTA"] == pytest.approx(100 * (1 - (4 + 2 + 1) / 12))
    assert total["perfect ids"]["MOTA"] == pytest.approx(100 * (1 - (4 + 2) / 12))
    assert total["no false positives"]["MOTA"] == pytest.approx(100 * (1 - (4 + 1) / 12))
    assert total["perfect joints where matched"]["MOTP"] == pytest.approx(100)
    assert total["all three"]["MOTA"] == pytest.approx(100 * (1 - 4 / 12))
    assert total["all three"]["IDF1"] == pytest.approx(100 * 2 * 8 / (8 + 12))


def test_the_sweep_finds_the_threshold_that_removes_false_people() -> None:
    ground_truth = clip_of([POSE, POSE + 500])
    predictions = replace(clip_of([POSE, POSE + 500, FAR]), scores=np.array([0.9, 0.8, 0.35]))
    result = sweep(scenes({"clip": ground_truth}, {"clip": predictions}), DEFAULT)
    assert result.best(result.mota) == (0.4, 0.0, 100.0)
    assert result.mota[0, 0] == pytest.approx(50)
    assert result.mota[-1, 0] == pytest.approx(50)  # a score of 0.9 is at least 0.9, 0.8 is not
    whole = evaluate({"clip": ground_truth}, {"clip": predictions}).total["MOTA"].total
    assert result.mota[0, 0] == whole


def test_predictions_without_scores_are_kept_in_a_sweep() -> None:
    ground_truth = clip_of([POSE])
    predictions = replace(ground_truth, scores=np.array([np.nan]), keypoint_scores=np.full((1, 15), np.nan))
    assert (sweep(scenes({"clip": ground_truth}, {"clip": predictions}), DEFAULT).mota == 100).all()


# --- comparison -------------------------------------------------------------------------------------------------------


def test_a_report_does_not_differ_from_itself(report: Report) -> None:
    for difference in compare(report, report):
        assert (difference.difference, difference.low, difference.high, difference.sequences) == (0, 0, 0, 0)
        assert not difference.is_significant


def many(noise: list[float]) -> Report:
    ground_truth = {f"{i:02d}": crowd(people=3, frames=3, seed=i, shift=1000) for i in range(len(noise))}
    predictions = {f"{i:02d}": crowd(people=3, frames=3, seed=i, shift=1000, noise=n) for i, n in enumerate(noise)}
    return evaluate(ground_truth, predictions)


def test_a_difference_in_most_sequences_is_significant() -> None:
    good, bad, mixed = many([4.0] * 12), many([9.0] * 12), many([4.0, 4.5] * 6)
    assert {d.metric: d.is_significant for d in compare(good, bad)} == {
        "AP": True,
        "MOTA": True,
        "IDF1": True,
        "HOTA": True,
    }
    one_bad = many([9.0] + [4.0] * 11)
    (ap,) = [d for d in compare(good, one_bad) if d.metric == "AP"]
    assert ap.difference == pytest.approx(one_bad.total["AP"].total - good.total["AP"].total)
    assert not ap.is_significant
    with pytest.raises(InputError, match="the same sequences"):
        compare(good, many([4.0]))
    assert compare(good, mixed) == compare(good, mixed)


def test_a_difference_in_too_few_sequences_has_no_verdict() -> None:
    for n in (1, 2, MIN_SEQUENCES - 1):
        for difference in compare(many([4.0] * n), many([9.0] * n)):
            assert difference.sequences == n
            assert difference.is_significant is None
            assert np.isnan(difference.low) == (n == 1)
    enough = compare(many([4.0] * MIN_SEQUENCES), many([9.0] * MIN_SEQUENCES))
    assert [difference.is_significant for difference in enough] == [True] * 4
    some = compare(many([4.0] * 8), many([9.0] * 3 + [4.0] * 5))
    assert {(difference.sequences, difference.is_significant) for difference in some} == {(3, None)}
    table = difference_table({"other": some}, "one")
    assert table.rows[0][-1] == "too few sequences differ for a verdict (3 of at least 5)"
    (row, *_) = difference_table({"other": compare(many([4.0]), many([9.0]))}, "one").rows
    assert row[3:] == ("-", "too few sequences differ for a verdict (1 of at least 5)")


@pytest.mark.parametrize(("name", "n"), [("MOTA", 5), ("IDF1, long tails", 5), ("MOTA, 1 of 5 differs", 20)])
def test_the_interval_contains_the_true_difference_in_nine_of_ten_cases(name: str, n: int) -> None:
    held = coverage(populations()[name], n, 400, {"ours": jackknife_interval}, differing=MIN_SEQUENCES)
    assert 0.9 <= held["ours"] <= 0.99


def test_the_jackknife_interval_of_a_mean_is_that_of_student() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    low, high = jackknife_interval(lambda weights: weights @ values / weights.sum(axis=1), 4)
    reach = 3.182446 * values.std(ddof=1) / 2  # Student's t of 3 degrees of freedom
    assert (low, high) == pytest.approx((4 - reach, 4 + reach))


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    ground_truth, predictions = one_of_each()
    for name, clip in (("truth", ground_truth), ("found", predictions)):
        (tmp_path / name).mkdir()
        write_clip(replace(clip, name="000001_x"), tmp_path / name / "000001_x.json")
    return tmp_path / "truth", tmp_path / "found"


def test_one_command_writes_all_outputs(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ground_truth, predictions = map(str, folders)
    outputs = {flag: str(tmp_path / f"out{flag}") for flag in ("--json", "--csv", "--errors", "--plots")}
    flags = [text for pair in outputs.items() for text in pair]
    assert (
        main(
            [
                ground_truth,
                predictions,
                ground_truth,
                *flags,
                "--oracle",
                "--sweep",
                "--sequences",
                "--style",
                "markdown",
            ]
        )
        == 0
    )
    out, err = capsys.readouterr()
    assert "**Pose tracking: MOTA**" in out
    assert "**Differences to found**" in out
    assert "MOTA by minimum score of poses (rows) and joints (columns), best" in out
    assert "found: the official kit ignores the last labelled frame" in err
    content = json.loads(Path(outputs["--json"]).read_text())
    assert content["predictions"]["truth"]["total"]["AP"]["total"] == 100
    with Path(outputs["--errors"]).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["miss", "false track", "switch"]
    assert "found,000001_x,MOTA,total," in Path(outputs["--csv"]).read_text()
    assert (Path(outputs["--plots"]) / "groups.png").exists()


def test_metrics_are_separated_by_commas_or_spaces_and_json_holds_the_report(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    ground_truth, predictions = map(str, folders)
    for i, flags in enumerate((["--metrics", "AP,MOT"], ["--metrics", "AP", "MOT"])):
        path = tmp_path / f"{i}.json"
        assert main([ground_truth, predictions, *flags, "--json", str(path)]) == 0
        assert set(json.loads(path.read_text())["total"]) == {"AP", "AP_precision", "AP_recall", "MOT"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "predictions: expected at least one folder"),
        (["nowhere"], "nowhere: expected a PoseTrack JSON file"),
        (["FOUND", "--metrics", "XP"], "unknown metric 'XP'"),
        (["FOUND", "--bla"], "--bla"),
        (["FOUND", "--json", "/no/such/place"], "/no/such/place: cannot be written"),
    ],
)
def test_unusable_arguments_give_one_line_and_exit_code_2(
    folders: tuple[Path, Path], flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(folders[0]), *(str(folders[1]) if flag == "FOUND" else flag for flag in flags)]
    assert main(arguments) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert said in error


def test_missing_predictions_are_refused_and_extra_ones_left_out(folders: tuple[Path, Path]) -> None:
    ground_truth, predictions = folders
    write_clip(clip_of([POSE]), predictions / "more.json")
    report = evaluate(ground_truth, predictions)
    assert list(report.sequences) == ["000001_x"]
    assert "1 predicted sequences without ground truth are left out, 'more' first" in report.notes
    with pytest.raises(InputError, match="no predictions for 1 of 2 sequences, 'more' first"):
        evaluate(predictions, ground_truth)
