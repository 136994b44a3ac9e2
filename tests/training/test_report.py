"""The report of a training, from made-up figures and estimates without a training."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from posetrail.skeletons import COCO_17
from training.figures import draw_figures
from training.log import read_log
from training.report import MOST_PICTURES, write_report
from training.report_charts import Curve, charts
from training.samples import Samples
from training.validation import Estimates, figures, joint_pck, relative_distances

SIZE = (72, 96)
NAME = "<img src=x onerror=alert(1)>.png"


def made_up(folder: Path, people: int = 15) -> Samples:
    """Drawn figures, one in each image; the left ear is labelled nowhere, and one file has a name like HTML."""
    images, keypoints, visibility = draw_figures(people, seed=5, size=SIZE)
    paths = tuple(folder / (NAME if i == 3 else f"{i}.png") for i in range(people))
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
    ear = COCO_17.joints.index("left_ear")
    keypoints[:, ear], visibility[:, ear] = np.nan, 0
    return Samples(
        name="figures & friends",
        skeleton=COCO_17,
        images=paths,
        image_rows=np.arange(people),
        boxes=np.tile([0, 0, *SIZE], (people, 1)),
        keypoints=keypoints,
        visibility=visibility,
    )


def estimates_of(samples: Samples) -> Estimates:
    """Exact estimates, but person 3 is missed entirely and the right wrists are 10 % of the box away."""
    keypoints = np.nan_to_num(samples.keypoints, nan=5.0).astype(float)
    keypoints[:, COCO_17.joints.index("right_wrist"), 0] += 0.1 * max(SIZE)
    keypoints[3] = np.nan
    return Estimates(keypoints, np.where(np.isnan(keypoints[:, :, 0]), 0.0, 0.9))


def write_record(folder: Path, samples: Samples) -> None:
    (folder / "training.json").write_text(
        json.dumps(
            {
                "network": "simplebaseline_r18",
                "skeleton": {"name": "coco_17", "joints": COCO_17.joints},
                "input_size": [96, 128],
                "samples": {"name": samples.name, "people": 100, "validation": len(samples)},
                "trained": {"steps": 60, "best": {"AP": 50.0}, "best_step": 40, "ended": "complete"},
            }
        )
    )


def log_lines() -> list[str]:
    """Three steps and two validations."""
    steps = [
        {"event": "step", "step": 20 * i, "epoch": i, "loss": 10.0**-i, "lr": 1e-3, "seconds": 60.0}
        | {"seconds_waiting_for_data": 15.0}
        for i in (1, 2, 3)
    ]
    scores = [{"event": "validation", "step": 20 * i, "epoch": i, "AP": 10.0 * i, "PCK": 20.0 * i} for i in (1, 2)]
    return [json.dumps(event) for event in ({"event": "start", "network": "n"}, *steps, *scores)]


@pytest.fixture
def page(tmp_path: Path) -> str:
    samples = made_up(tmp_path)
    write_record(tmp_path, samples)
    (tmp_path / "log.jsonl").write_text("\n".join(log_lines()) + "\n")
    return write_report(tmp_path, samples, estimates_of(samples)).read_text()


def test_the_report_is_complete_html_without_scripts_and_requests(page: str) -> None:
    opened: list[str] = []

    class Checks(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "iframe", "object")
            for name, value in attrs:
                assert not name.startswith("on")
                assert name not in ("src", "href") or (value or "").startswith("data:")
            if tag not in ("meta", "link", "img", "path"):
                opened.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag == "path"

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    checks = Checks()
    checks.feed(page)
    checks.close()
    assert opened == []
    assert "url(" not in page


def test_names_of_data_and_files_are_escaped(page: str) -> None:
    assert "figures &amp; friends" in page
    assert NAME not in page
    assert "&lt;img src=x" in page


def test_worst_predictions_come_first_as_pictures(page: str) -> None:
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == MOST_PICTURES
    for text in pictures:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape[0] <= 320
        assert image.shape[1] <= 240
    first = re.findall(r"<figcaption>([^<]+)<", page)[0]
    assert first.startswith("OKS 0.00: &lt;img")  # the missed person


def test_figures_are_those_of_the_validation(page: str, tmp_path: Path) -> None:
    samples = made_up(tmp_path)
    for name, value in figures(samples, estimates_of(samples)).items():
        assert f"<dt>{name}</dt><dd>{value:.1f} %</dd>" in page
    assert "<dt>Training</dt><dd>3.0 min</dd>" in page
    assert "25 % of the training time" in page


def test_each_joint_has_a_row(page: str) -> None:
    cells = {row[0]: row[1:] for row in re.findall(r'<th scope="row">(\w+)</th><td>(\d+)</td><td>([^<]+)</td>', page)}
    assert set(cells) == set(COCO_17.joints)
    assert cells["nose"] == ("15", "93.3 %")  # 14 of 15
    assert cells["right_wrist"] == ("15", "0.0 %")
    assert cells["left_ear"] == ("0", "-")


def test_pck_of_joints_and_relative_distances(tmp_path: Path) -> None:
    samples = made_up(tmp_path)
    pck = joint_pck(samples, estimates_of(samples))
    assert np.isnan(pck[COCO_17.joints.index("left_ear")])
    distances = relative_distances(samples, estimates_of(samples))
    assert distances[0, COCO_17.joints.index("right_wrist")] == pytest.approx(0.1, rel=1e-3)
    assert np.isinf(distances[3, 0])
    assert np.isnan(distances[:, COCO_17.joints.index("left_ear")]).all()


def test_curves_of_loss_rate_and_every_score(page: str) -> None:
    assert re.findall(r"<h3>([^<]+?)(?: <|<)", page) == ["Loss", "Learning rate", "AP (%)", "PCK (%)"]
    assert page.count('class="best"') == 2
    assert "Loss <span>logarithmic</span>" in page


def test_a_log_of_a_resumed_training_counts_repeated_steps_once(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    again = json.dumps({"event": "step", "step": 40, "epoch": 2, "loss": 7.0, "lr": 1e-3})
    log.write_text("\n".join([*log_lines(), again, '{"event": "st']))
    steps = [event for event in read_log(log) if event["event"] == "step"]
    assert [event["step"] for event in steps] == [20, 40, 60]
    assert steps[1]["loss"] == 7.0


def test_a_report_without_a_log_has_figures_and_pictures(tmp_path: Path) -> None:
    samples = made_up(tmp_path, people=4)
    write_record(tmp_path, samples)
    page = write_report(tmp_path, samples, estimates_of(samples)).read_text()
    assert page.count("<figcaption>") == 4
    assert "<svg" not in page


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [-2.0, -2.0], [-1.0, 5.0], [np.nan, 3.0], [1e-9, 1e9]])
def test_a_curve_stays_inside_its_chart(values: list[float]) -> None:
    at = np.arange(len(values), dtype=float)
    curve = Curve(name="Loss", epochs=at, values=np.array(values), may_be_logarithmic=True)
    (points,) = re.findall(r'd="M([^"]+?)(?: h0)?"', charts([curve], epochs=2.0))
    pairs = np.array([point.split(",") for point in points.split()], float)
    assert np.isfinite(pairs).all()
    assert (pairs >= 0).all()
    assert (pairs <= [1000, 100]).all()


def test_long_curves_are_thinned() -> None:
    at = np.linspace(0, 10, 50_000)
    assert len(charts([Curve(name="Loss", epochs=at, values=at)], epochs=10.0)) < 10_000


def test_settings_and_a_missing_best_file_are_stated(tmp_path: Path) -> None:
    samples = made_up(tmp_path, people=4)
    write_record(tmp_path, samples)
    record = json.loads((tmp_path / "training.json").read_text())
    recipe = {"network": "unet_s", "epochs": 40, "batch_size": 16, "optimiser": {"kind": "adamw", "lr": 0.004}}
    record |= {"recipe": recipe, "settings": {"epochs": 30.0, "lr": None, "seed": 7}, "started": {"taken": ["nose"]}}
    (tmp_path / "training.json").write_text(json.dumps(record))
    page = write_report(tmp_path, samples, estimates_of(samples), of_best=False).read_text()
    rows = dict(re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td></tr>', page.split("<h2>Settings</h2>")[1]))
    assert rows == {
        "Network": "unet_s",
        "Started from": "weights with 1 of the joints",
        "Epochs": "30.0",
        "People in a step": "16",
        "Optimiser": "adamw",
        "Highest learning rate": "0.004",
        "Seed": "7",
    }
    assert "best.safetensors is missing: these are the last." in page
