"""Exact mode gives every figure that the official programs print for the same files."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import read_folder
from eval_posetrack.reports.report import Report
from posetrail.errors import InputError
from posetrail.skeletons import POSETRACK_15
from tests.conftest import TESTS

GOLDEN = TESTS / "golden" / "posetrack"
EDGE = json.loads((GOLDEN / "edge" / "expected_official.json").read_text())
SYNTH = json.loads((GOLDEN / "synth" / "expected_official.json").read_text())
AP_TOLERANCE = 1e-4  # the kit's builds break ties between scores differently
FIGURES = {
    "AP": {"ap": "AP", "pre": "AP_precision", "rec": "AP_recall"},
    "MOT": {"mota": "MOTA", "motp": "MOTP", "pre": "MOT_precision", "rec": "MOT_recall"},
}


def assert_official(figures: dict[str, Any], expected: dict[str, list[float]], kind: str, *, but: str = "") -> None:
    for key, name in FIGURES[kind].items():
        if key != but:
            ours = np.append(figures[name].per_joint, figures[name].total)
            tolerance = AP_TOLERANCE if key == "ap" else 1e-9
            np.testing.assert_allclose(ours, np.array(expected[key]), rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("version", ["17", "18"])
def test_three_scenes_have_the_figures_of_the_2018_kit(version: str) -> None:
    expected = SYNTH[f"pt{version}"]
    report = evaluate(GOLDEN / "synth" / f"gt{version}", GOLDEN / "synth" / f"pred{version}", mode="exact")
    assert list(report.sequences) == ["000001_mpii_test", "000002_mpii_test", "000003_bonn_test"]
    for kind in FIGURES:
        assert_official(report.total, expected[f"total_{kind}_metrics"], kind)
        for name, figures in report.by_sequence.items():
            assert_official(figures, expected[f"{name}_{kind}_metrics"], kind)


@pytest.mark.parametrize("case", EDGE)
def test_edge_cases_have_the_figures_of_the_2018_kit(case: str) -> None:
    folder, expected = GOLDEN / "edge" / case, EDGE[case]
    if isinstance(expected, str):
        with pytest.raises(InputError, match=r"stops at|is there twice|frames pair by position") as error:
            evaluate(folder / "gt.json", folder / "pred.json", mode="exact")
        assert "\n" not in str(error.value)
        return
    report = evaluate(folder / "gt.json", folder / "pred.json", mode="exact")
    for kind in FIGURES:  # this build of the kit sums MOTP wrongly
        assert_official(report.total, expected[f"total_{kind}_metrics"], kind, but="motp")


@pytest.fixture(scope="module")
def posetrack21() -> Report:
    return evaluate(GOLDEN / "synth/gt18", GOLDEN / "synth/pred21", mode="exact")


TEXT = (GOLDEN / "synth" / "expected_posetrack21.txt").read_text()


def digits(values: list[float], decimals: int) -> list[float]:
    return [round(value, decimals) for value in values]


@pytest.mark.parametrize(("block", "name"), [("map", "AP"), ("precision", "AP_precision"), ("recall", "AP_recall")])
def test_ap_is_that_of_the_posetrack21_kit(posetrack21: Report, block: str, name: str) -> None:
    lines = TEXT.split(f"[{block}]")[1].splitlines()[1:6]
    rows = [figures[name] for figures in posetrack21.by_sequence.values()] + [posetrack21.total[name]]
    for line, figure in zip([*lines[:3], lines[4]], rows, strict=True):
        printed = [float(number) for number in re.findall(r"(?<=\s)\d+\.\d(?=\s|$)", line)]
        assert printed == digits([*figure.groups.values(), figure.total], 1)


# The figures in the order in which PoseTrack21 prints them for a sequence; three counts stand between the two groups.
HOTA_OVER_THRESHOLDS = (
    *("HOTA", "DetA", "AssA", "FragA", "DetRe", "DetPr", "AssRe", "AssPr"),
    *("LocA", "RHOTA", "FA-HOTA", "FA-RHOTA"),
)
HOTA_AT_FIRST_THRESHOLD = ("HOTA(0)", "LocA(0)", "HOTALocA(0)")


def test_hota_of_every_sequence_is_that_of_the_posetrack21_kit(posetrack21: Report) -> None:
    lines = TEXT.split("HOTAeypoints->evaluating")[1].splitlines()[2:5]
    for line, (name, figures), counts in zip(
        lines, posetrack21.by_sequence.items(), posetrack21.sequences.values(), strict=True
    ):
        printed = line.split()
        assert printed[0] == f"{name}.json"
        for text, metric in zip(printed[1:13], HOTA_OVER_THRESHOLDS, strict=True):
            assert f"{figures[metric].total:.5g}" == text, metric
        for text, metric in zip(printed[16:19], HOTA_AT_FIRST_THRESHOLD, strict=True):
            assert f"{figures[metric].total:.5g}" == text, metric
        assert counts.hota is not None
        everything = [counts.hota.true_positives, counts.hota.misses, counts.hota.false_positives]
        assert printed[13:16] == [str(int(table.sum(axis=1).mean())) for table in everything]
        assert printed[19:22] == [str(int(table[0].sum())) for table in everything]


# The joints in the order in which PoseTrack21 prints them.
PRINTED_JOINTS = ["nose", "neck", "head_top"] + [
    f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
]


@pytest.mark.parametrize("metric", [*HOTA_OVER_THRESHOLDS, *HOTA_AT_FIRST_THRESHOLD])
def test_hota_per_joint_and_in_total_is_that_of_the_posetrack21_kit(posetrack21: Report, metric: str) -> None:
    summary = TEXT.split("HOTAeypoints->Summary")[1]
    (line,) = [line for line in summary.splitlines() if line.split()[:1] == [metric]]
    printed = [float(number) for number in line.split()[1:]]
    figure = posetrack21.total[metric]
    ours = [figure.per_joint[POSETRACK_15.index(joint)] for joint in PRINTED_JOINTS]
    assert printed == digits([*ours, figure.total], 3)


def test_one_labelled_frame_is_refused_for_official_tracking_but_not_for_ap() -> None:
    clips = [read_folder(GOLDEN / "edge/perfect" / name)[name[:-5]] for name in ("gt.json", "pred.json")]
    alone = [
        {
            "one": replace(
                clip.with_people(clip.frames == 0),
                image_names=clip.image_names[:1],
                ignore_regions=clip.ignore_regions[:1],
                labeled=clip.labeled[:1],
            )
        }
        for clip in clips
    ]
    assert evaluate(*alone, mode="exact", metrics=["AP"]).total["AP"].total == 100
    with pytest.raises(InputError, match="fewer than two labelled frames, this one has 1"):
        evaluate(*alone, mode="exact")
    assert evaluate(*alone).total["MOTA"].total == 100
