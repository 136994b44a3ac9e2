"""Part metrics of whole bodies: by hand, by pycocotools with the sigmas of each part, and properties of any people."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_posetrack.metrics.image_ap import AnnotatedPeople, PredictedPeople, count_images
from eval_posetrack.metrics.parts import face_figures, hand_figures, part_figures, parts_of
from eval_posetrack.readers.wholebody import PARTS as FIELDS
from posetrail.skeletons import COCO_17, COCO_WHOLEBODY_133, FACE_68, HALPE_26, HAND_21
from posetrail.wholebody import FACE_JOINTS
from tests.command_line import fails, succeeds

SKELETON = COCO_WHOLEBODY_133
PARTS = parts_of(SKELETON)


def people(seed: int, images: int = 3) -> AnnotatedPeople:
    """Random people: some without labelled hands or faces, some crowds."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.integers(0, images, random.integers(1, 4 * images)))
    centres = random.uniform(0, 600, (len(rows), 1, 2))
    sizes = random.uniform(20, 200, (len(rows), 1, 1))
    keypoints = centres + sizes * random.uniform(-0.5, 0.5, (len(rows), len(SKELETON), 2))
    keypoints[random.random(keypoints.shape[:2]) < 0.1] = np.nan
    for columns in PARTS.values():
        keypoints[np.ix_(random.random(len(rows)) < 0.4, columns)] = np.nan
    is_crowd = random.random(len(rows)) < 0.1
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=2)[:, 0]
    return AnnotatedPeople(rows, keypoints, boxes, 0.6 * (sizes**2)[:, 0, 0], is_crowd)


def poses(truth: AnnotatedPeople, seed: int, noise: float) -> PredictedPeople:
    """A noisy pose with all joints for most people, some twice, and some where nobody is."""
    random = np.random.default_rng(seed)
    chosen = np.sort(random.integers(0, len(truth), len(truth) + 3))
    keypoints = np.where(np.isnan(truth.keypoints), truth.boxes[:, None, :2], truth.keypoints)[chosen]
    errors = noise * random.uniform(0, 1, (len(chosen), 1, 1)) * np.sqrt(truth.areas[chosen])[:, None, None]
    keypoints = keypoints + errors * random.normal(size=keypoints.shape)
    keypoints[random.random(len(chosen)) < 0.1] += 900
    return PredictedPeople(truth.images[chosen], keypoints, random.random(len(chosen)))


@pytest.mark.parametrize("part", [*PARTS, "wholebody"])
@pytest.mark.parametrize("seed", range(2))
def test_ap_of_each_part_is_that_of_pycocotools(part: str, seed: int) -> None:
    truth = people(seed, images=30)
    found = poses(truth, seed, noise=0.04)
    ours = part_figures(truth, found, SKELETON)[part]
    columns = PARTS.get(part, np.arange(len(SKELETON)))
    theirs = coco_figures(truth, found, columns)
    assert 2 < theirs["AP"] < 98
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-9)


def coco_figures(truth: AnnotatedPeople, found: PredictedPeople, columns: np.ndarray) -> dict[str, float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def record(number: int, image: int, keypoints: np.ndarray) -> dict[str, Any]:
        labelled = np.isfinite(keypoints).all(axis=1)
        triples = np.column_stack([np.nan_to_num(keypoints), 2 * labelled])
        about = {"num_keypoints": int(labelled.sum()), "iscrowd": 0, "category_id": 1}
        return {"id": number, "image_id": image, "keypoints": triples.ravel().tolist(), **about}

    annotated, predicted = [], []
    for k in range(len(truth)):
        x1, y1, x2, y2 = truth.boxes[k].tolist()
        about = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": float(truth.areas[k]), "iscrowd": int(truth.is_crowd[k])}
        annotated.append(record(k + 1, int(truth.images[k]), truth.keypoints[k, columns]) | about)
    for k in range(len(found)):
        keypoints = found.keypoints[k, columns]
        about = {"area": float(np.prod(np.ptp(keypoints, axis=0))), "score": float(found.scores[k])}
        predicted.append(record(k + 1, int(found.images[k]), keypoints) | about)
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for records in (annotated, predicted):
            side = COCO()
            images = [{"id": i} for i in range(int(truth.images.max()) + 1)]
            side.dataset = {"images": images, "categories": [{"id": 1}], "annotations": records}
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, iouType="keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(SKELETON.oks_sigmas)[columns]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")
    figures = 100 * np.where(evaluation.stats == -1, np.nan, evaluation.stats)
    return {name: value for name, value in zip(names, figures.tolist(), strict=True) if not np.isnan(value)}


@given(seed=st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_ground_truth_scored_against_itself_is_100(seed: int) -> None:
    truth = people(seed)
    truth = truth[~truth.is_crowd]
    itself = PredictedPeople(truth.images, truth.keypoints, np.ones(len(truth)))
    for part, figures in part_figures(truth, itself, SKELETON).items():
        expected = {"NME": 0.0, "EPE_px": 0.0}
        for name, value in figures.items():
            if name not in ("people", "faces") and not np.isnan(value):
                assert value == pytest.approx(expected.get(name, 100.0)), (part, name)
        assert np.isnan(figures["AP"]) == (figures["people"] == 0)


def flat(truth: AnnotatedPeople, found: PredictedPeople) -> dict[str, float]:
    parts = part_figures(truth, found, SKELETON)
    return {f"{part} {name}": value for part, figures in parts.items() for name, value in figures.items()}


@given(seed=st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_order_and_scale_do_not_matter_and_other_parts_change_nothing(seed: int) -> None:
    truth = people(seed)
    found = poses(truth, seed, noise=0.03)
    figures = flat(truth, found)
    order = np.argsort(found.images + np.random.default_rng(seed).random(len(found)))
    assert flat(truth, found[order]) == pytest.approx(figures, nan_ok=True)

    without_hands = replace(found, keypoints=found.keypoints.copy())
    without_hands.keypoints[:, [*PARTS["lefthand"], *PARTS["righthand"]]] = np.nan
    others = flat(truth, without_hands)
    for name in figures:
        if name.startswith(("body", "foot")):
            assert others[name] == pytest.approx(figures[name], nan_ok=True)
    assert others["lefthand AP"] == 0 or not others["lefthand people"]

    larger = replace(truth, keypoints=2 * truth.keypoints, boxes=2 * truth.boxes, areas=4 * truth.areas)
    counted = [
        count_images(*pair, SKELETON.oks_sigmas).figures()["AP"]
        for pair in ((truth, found), (larger, replace(found, keypoints=2 * found.keypoints)))
    ]
    assert counted[0] == pytest.approx(counted[1], nan_ok=True)


def test_a_pose_beside_an_unlabelled_face_is_no_error_and_one_elsewhere_is() -> None:
    face = np.random.default_rng(0).uniform(0, 40, (1, 68, 2))
    keypoints = np.concatenate([face, np.full((1, 68, 2), np.nan)])
    boxes = np.array([[0.0, 0, 40, 40], [200, 0, 240, 40]])
    truth = AnnotatedPeople(np.zeros(2, int), keypoints, boxes, np.full(2, 1600.0), np.zeros(2, bool))
    for place, expected in ((200.0, 100.0), (500.0, 50.0)):
        found = PredictedPeople(
            np.zeros(2, int), np.concatenate([face + np.array([place, 0.0]), face]), np.array([0.9, 0.8])
        )
        assert count_images(truth, found, FACE_68.oks_sigmas).figures()["AP"] == pytest.approx(expected)


def test_nme_is_the_mean_error_in_distances_of_the_eyes() -> None:
    face = np.random.default_rng(0).uniform(0, 40, (1, 68, 2))
    face[0, FACE_JOINTS.index("right_eye_outer")], face[0, FACE_JOINTS.index("left_eye_outer")] = (10, 5), (60, 5)
    found = face + np.array([3.0, 4.0])
    assert face_figures(face, found)["NME"] == pytest.approx(10)  # 5 pixels of 50
    found[0, :34] = np.nan
    assert face_figures(face, found) == pytest.approx({"NME": 10, "faces": 1})
    face[0, FACE_JOINTS.index("left_eye_outer")] = np.nan
    assert np.isnan(face_figures(face, found)["NME"])


def test_pck_and_auc_of_a_hand_by_hand() -> None:
    hand = np.tile(np.linspace(0, 60, 21)[:, None], (1, 2))[None]  # the longer side is 60 pixels: PCK within 12
    found = hand + np.array([9.0, 0.0])
    found[0, :7, 0] += 15.0  # 24 pixels off
    figures = hand_figures(hand, found)
    assert figures["PCK"] == pytest.approx(100 * 14 / 21)
    assert figures["AUC"] == pytest.approx(100 * (14 * 15 + 7 * 5) / 20 / 21)  # 15 thresholds from 9, 5 from 24
    assert figures["EPE_px"] == pytest.approx((14 * 9 + 7 * 24) / 21)
    found[0, :7] = np.nan
    assert hand_figures(hand, found)["PCK"] == pytest.approx(100 * 14 / 21)
    assert hand_figures(hand, found)["EPE_px"] == pytest.approx(9)


def test_the_parts_of_skeletons() -> None:
    assert [len(columns) for columns in PARTS.values()] == [17, 6, 68, 21, 21]
    assert list(parts_of(HALPE_26)) == ["body", "foot"]
    assert list(parts_of(HAND_21)) == ["hand"]
    assert list(parts_of(COCO_17)) == ["body"]


def write(path: Path, truth: AnnotatedPeople, found: PredictedPeople | None = None) -> Path:
    """Annotations, or a list of results for images with the ids of the annotations."""
    of = truth if found is None else found
    records: list[dict[str, Any]] = []
    for k in range(len(of)):
        joints = np.nan_to_num(np.concatenate([of.keypoints[k], np.ones((133, 1))], axis=1))
        joints[np.isnan(of.keypoints[k]).any(axis=1)] = 0
        record: dict[str, Any] = {"id": k, "image_id": 100 + int(of.images[k]), "category_id": 1}
        for (key, (_, valid)), columns in zip(FIELDS.items(), PARTS.values(), strict=True):
            record[key] = joints[columns].ravel().tolist()
            if valid:
                record[valid] = bool(joints[columns, 2].any())
        if found is None:
            x1, y1, x2, y2 = truth.boxes[k].tolist()
            record |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": truth.areas[k], "iscrowd": int(truth.is_crowd[k])}
        else:
            record["score"] = float(found.scores[k])
        records.append(record)
    images = [{"id": 100 + i, "file_name": f"{i}.jpg"} for i in range(int(truth.images.max()) + 1)]
    path.write_text(json.dumps(records if found is not None else {"images": images, "annotations": records}))
    return path


def test_files_of_coco_wholebody_have_the_figures_of_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = people(3)
    found = poses(truth, 3, noise=0.03)
    files = write(tmp_path / "truth.json", truth), write(tmp_path / "found.json", truth, found)
    out = succeeds(capsys, "eval", files[0], files[1], "--json", tmp_path / "out.json")
    assert "lefthand" in out
    written = json.loads((tmp_path / "out.json").read_text())
    expected = part_figures(truth, found, SKELETON)
    for part, figures in expected.items():
        for name, value in figures.items():
            given = written["parts"][part][name]
            assert given == pytest.approx(value) or (given is None and np.isnan(value)), (part, name)
    out = succeeds(capsys, "eval", files[0], files[0], "--style", "markdown")
    assert "| wholebody | " in out
    assert out.count("100.0") > 20


def test_errors_of_files_of_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = people(3)
    file = write(tmp_path / "truth.json", truth)
    found = poses(truth, 3, noise=0.03)
    other = write(tmp_path / "other.json", truth, replace(found, images=found.images + 50))
    assert "expected images of" in fails(capsys, "eval", file, other)
    assert "--metrics: expected PoseTrack files" in fails(capsys, "eval", file, file, "--metrics", "AP")
    content = json.loads(file.read_text())
    content["annotations"][0]["face_kpts"] = [0, 0]
    other.write_text(json.dumps(content))
    assert "annotations[0]: 'face_kpts': expected 204 numbers" in fails(capsys, "eval", file, other)


def test_images_that_are_not_labelled_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = people(3)
    file = write(tmp_path / "truth.json", truth)
    content = json.loads(file.read_text())
    for image in content["images"][1:]:
        image["is_labeled"] = False
    file.write_text(json.dumps(content))
    found = write(tmp_path / "found.json", truth, poses(truth, 3, noise=0.0))
    succeeds(capsys, "eval", file, found, "--json", tmp_path / "out.json")
    first = truth[(truth.images == 0) & ~truth.is_crowd]
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["parts"]["wholebody"]["people"] == len(first)
    assert "images that the ground truth does not have" in written["notes"][0]
