"""Inputs of `eval`: ground truth without head boxes, runs, zip files, names of metrics, empty clips."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_posetrack.cli import main
from eval_posetrack.evaluation import evaluate, scenes
from eval_posetrack.formats.files import Clip, find_files, read_clip, write_clip
from eval_posetrack.metrics.rules import METRICS, metrics_of
from eval_posetrack.reports.report import Report
from posetrail.errors import InputError
from tests.conftest import TESTS
from tests.poses import POSE, clip_of, crowd

GOLDEN = TESTS / "golden" / "posetrack" / "synth"


def headless(clip: Clip) -> Clip:
    return replace(clip, head_boxes=np.full((len(clip), 4), np.nan))


# --- without head boxes -----------------------------------------------------------------------------------------------


def test_without_head_boxes_people_are_scored_by_oks() -> None:
    # Two people over four frames. One is followed; of the other the id changes after the second frame.
    truth = headless(clip_of([POSE, POSE + 500] * 4, frames=[t for t in range(4) for _ in range(2)], ids=[0, 1] * 4))
    found = replace(truth, track_ids=np.array([5, 6, 5, 6, 5, 7, 5, 7]))
    report = evaluate({"clip": truth}, {"clip": found})
    total = {name: figure.total for name, figure in report.total.items()}
    assert set(total) == {f"{name} (OKS)" for name in ("IDF1", "IDP", "IDR", "HOTA", "DetA", "AssA")}
    assert total["IDF1 (OKS)"] == pytest.approx(100 * 2 * 6 / (8 + 8))
    assert total["DetA (OKS)"] == pytest.approx(100)
    assert total["AssA (OKS)"] == pytest.approx(100 * (4 * 1 + 4 * 0.5) / 8)
    assert total["HOTA (OKS)"] == pytest.approx(100 * np.sqrt(0.75))
    assert report.oks["AP"] == pytest.approx(100)
    (line,) = report.notes
    assert "no head boxes in the ground truth of 1 of 1 sequences, 'clip' first; AP, MOTA, PCK left out" in line
    far = evaluate({"clip": truth}, {"clip": replace(found, keypoints=found.keypoints + 60)}).total
    assert far["IDF1 (OKS)"].total == 0
    json.dumps(report.to_json(), allow_nan=False)


def test_one_sequence_without_head_boxes_makes_all_use_oks_with_any_number_of_jobs() -> None:
    truth = {name: crowd(people=3, frames=4, seed=i, shift=1000) for i, name in enumerate("abc")}
    found = {name: crowd(people=3, frames=4, seed=i, shift=1000, noise=4) for i, name in enumerate("abc")}
    mixed = truth | {"b": headless(truth["b"])}
    report = evaluate(mixed, found)
    assert "of 1 of 3 sequences, 'b' first" in report.notes[0]
    none = evaluate({name: headless(clip) for name, clip in truth.items()}, found)
    assert report.total["HOTA (OKS)"].total == none.total["HOTA (OKS)"].total
    assert "MOTA" not in report.total
    assert set(evaluate(truth, found).total) >= {"AP", "MOTA", "IDF1", "HOTA"}  # with head boxes all is as ever


def test_only_metrics_that_need_head_boxes_are_refused_without_them() -> None:
    truth = headless(clip_of([POSE]))
    with pytest.raises(InputError, match=r"of MOTA; without them, choose among IDF1, HOTA, OKS, which then use OKS"):
        evaluate({"clip": truth}, {"clip": truth}, metrics=["MOTA"])
    with pytest.raises(InputError, match="expected head boxes"):
        list(scenes({"clip": truth}, {"clip": truth}))  # of --oracle, --sweep and --errors
    with pytest.raises(InputError, match="official kit stops at a person without head box"):
        evaluate({"clip": truth}, {"clip": truth}, mode="exact")


def test_two_runs_of_posetrail_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, noise in (("one", 0.0), ("two", 3.0), ("three", 9.0)):
        (tmp_path / name).mkdir()
        write_clip(headless(crowd(people=3, frames=5, shift=1000, noise=noise)), tmp_path / name / "tracks.json")
    folders = [str(tmp_path / "one"), str(tmp_path / "two"), str(tmp_path / "three" / "tracks.json")]
    assert main([*folders, "--style", "markdown", "--plots", str(tmp_path / "plots"), "--sequences"]) == 0
    out, err = capsys.readouterr()
    assert "Pose tracking by OKS of people (not the benchmark's figures)" in out
    assert "| tracks | HOTA (OKS) |" in out
    assert "too few sequences differ for a verdict (1 of at least 5)" in out
    assert "AP, MOTA, PCK left out" in err


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_names_of_metrics_and_figures_are_accepted_in_any_case() -> None:
    assert metrics_of(["mota", "MOT", "idf1", "AssA"]) == ("MOT", "IDF1", "HOTA")
    assert metrics_of(METRICS) == METRICS
    with pytest.raises(InputError, match=r"unknown metric 'MOTTA'; did you mean 'MOTA'\? \(known: AP, MOTA, IDF1"):
        metrics_of(["MOTTA"])
    with pytest.raises(InputError, match="metrics: expected at least one"):
        evaluate(GOLDEN / "gt18", GOLDEN / "pred18", metrics=[])


# --- zips -------------------------------------------------------------------------------------------------------------


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("folder", ["", "submission/", "my team/val/"])
def test_a_zip_file_is_read_without_unpacking(folder: str, tmp_path: Path) -> None:
    files = {f"{folder}{path.name}": path.read_bytes() for path in (GOLDEN / "pred18").glob("*.json")}
    junk = {f"__MACOSX/{folder}._000001_mpii_test.json": b"\0", f"{folder}.DS_Store": b"", f"{folder}notes.txt": b"hm"}
    path = packed(tmp_path / "submission.ZIP", files | junk)
    before = sorted(tmp_path.rglob("*"))

    def figures(report: Report) -> dict[str, Any]:
        return report.to_json()

    assert figures(evaluate(GOLDEN / "gt18", path, metrics=["MOTA"])) == figures(
        evaluate(GOLDEN / "gt18", GOLDEN / "pred18", metrics=["MOTA"])
    )
    assert sorted(tmp_path.rglob("*")) == before


def lying_about_its_size(path: Path) -> Path:
    """A zip whose one file claims to be small and is not."""
    packed(path, {"x.json": b" " * 30_000_000})
    return path


def encrypted(path: Path) -> Path:
    packed(path, {"x.json": b"{}"})
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1
    path.write_bytes(content)
    return path


def damaged(path: Path) -> Path:
    packed(path, {"x.json": bytes(range(256)) * 20})
    content = bytearray(path.read_bytes())
    content[60:70] = b"\xff" * 10
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: packed(path, {}), "expected PoseTrack JSON files in the zip file, got none"),
        (lambda path: packed(path, {"../x.json": b"{}"}), "leads outside of the zip file"),
        (lambda path: packed(path, {"/etc/x.json": b"{}"}), "leads outside of the zip file"),
        (lambda path: packed(path, {"a/x.json": b"{}", "b/x.json": b"{}"}), "two files of sequence 'x'"),
        (lambda path: packed(path, {"x.json": b"nothing"}), "x.json: expected JSON"),
        (lying_about_its_size, "x.json: unpacks to more than"),
        (encrypted, "x.json: cannot be read .* pack it again, without a password"),
        (damaged, "x.json: cannot be read"),
        (lambda path: path.write_bytes(b"PK no zip"), "expected a zip file, got one that cannot be read"),
    ],
)
def test_an_unusable_zip_file_is_refused_in_one_line(make: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    make(path)
    with pytest.raises(InputError, match=said) as refused:
        [read_clip(file) for file in find_files(path).values()]
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [path]


# --- little or nothing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("people", [0, 1])
@pytest.mark.parametrize("frames", [0, 1])
def test_figures_without_counts_are_null(people: int, frames: int) -> None:
    clip = clip_of([POSE] * (people * frames), num_frames=frames)
    nobody = clip_of([], num_frames=frames)
    for truth, found in ((clip, clip), (clip, nobody), (nobody, clip)):
        content = evaluate({"clip": truth}, {"clip": found}).to_json()
        json.dumps(content, allow_nan=False)
        if len(truth) == len(found) == 0:
            assert content["total"]["MOT"]["mota"]["total"] is None
            assert content["total"]["AP"]["total"] is None
    with pytest.raises(InputError, match="expected clips to score, got none"):
        evaluate({}, {})
