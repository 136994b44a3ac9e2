"""OKS sigmas from double annotations: simulated annotators whose sigmas are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.skeleton_files import read_skeleton_and_sources
from posetrail.skeletons import Skeleton
from tests.command_line import fails, succeeds
from tests.training.data import layouts
from training.data.read import read_samples
from training.sigmas import annotated_twice, estimate_sigmas, image_keys, sigma_lines


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    sigmas=st.lists(st.floats(0.01, 0.2), min_size=1, max_size=5),
    pairs=st.integers(100, 2000),
    wrong_share=st.sampled_from([0.0, 0.02]),
)
def test_the_sigmas_of_simulated_annotators_are_recovered(
    seed: int, sigmas: list[float], pairs: int, wrong_share: float
) -> None:
    random = np.random.default_rng(seed)
    areas = random.uniform(500, 50_000, pairs)
    errors = random.normal(size=(2, pairs, len(sigmas), 2)) * (
        np.array(sigmas)[:, None] * np.sqrt(areas)[:, None, None]
    )
    offsets = errors[1] - errors[0]
    wrong = random.random(offsets.shape[:2]) < wrong_share
    offsets += 5 * np.sqrt(areas)[:, None, None] * wrong[:, :, None]
    estimates = estimate_sigmas(offsets, areas)
    assert (estimates.pairs + estimates.left_out == pairs).all()
    assert (estimates.left_out >= wrong.sum(axis=0)).all()
    standard_error = 1 / (2 * np.sqrt(estimates.pairs))
    assert (np.abs(estimates.sigmas / sigmas - 1) < 6 * standard_error + 0.002).all()


def test_two_annotations_at_a_known_distance() -> None:
    offsets = np.full((50, 1, 2), [3.0, 4.0])  # 5 pixels apart, on people of 100 x 100 pixels
    assert estimate_sigmas(offsets, np.full(50, 1e4)).sigmas[0] == pytest.approx(0.05 / 2)


def test_joints_without_enough_or_independent_pairs_have_no_estimate() -> None:
    offsets = np.random.default_rng(0).normal(size=(40, 3, 2))
    offsets[29:, 0] = np.nan
    offsets[:25, 1] = 0  # copied
    estimates = estimate_sigmas(offsets, np.full(40, 1e4))
    assert np.isfinite(estimates.sigmas).tolist() == [False, False, True]
    assert estimates.identical.tolist() == [False, True, False]
    assert estimates.pairs[0] == 29
    empty = estimate_sigmas(np.zeros((0, 3, 2)), np.zeros(0))
    assert np.isnan(empty.sigmas).all()


def annotations(folder: Path, seed: int, *, twice: bool = False, people: int = 60) -> Path:
    """People with three joints, one in each of the images, annotated with sigmas .03 and .06 and only once the tip."""
    random = np.random.default_rng(seed)
    content = layouts.coco()
    content["categories"][0]["keypoints"] = ["nose", "left_knee", "tip"]
    content["images"] = [{"id": i, "file_name": f"{i % 2}/{i}.png"} for i in range(people)]
    content["annotations"] = []
    for i in range(people * (1 + twice)):
        corner, scale = np.array([20.0 + i % people, 30.0]), 100.0
        places = corner + [[50, 5], [40, 80], [60, 90]] + scale * random.normal(size=(3, 2)) * [[0.03], [0.06], [0.1]]
        flags = [2, 1, 2 * (i < 10)]
        keypoints = np.column_stack([places, flags]).ravel().tolist()
        person = {"id": i, "image_id": i % people, "bbox": [*corner, 90, 110], "area": 1e4, "keypoints": keypoints}
        content["annotations"].append(person)
    folder.mkdir(parents=True)
    (folder / "people.json").write_text(json.dumps(content))
    return folder / "people.json"


@pytest.mark.parametrize("in_one_file", [False, True])
def test_the_command_prints_a_table_for_the_skeleton_file(
    in_one_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = annotations(tmp_path / "a", 1, twice=in_one_file)
    files = [str(first)] if in_one_file else [str(first), str(annotations(tmp_path / "b", 2))]
    table = succeeds(capsys, "data", "sigmas", *files)
    assert table.startswith("# 60 people annotated twice\n[oks_sigmas]\nnose = { estimated = 0.0")
    assert "# tip: default, because there are " in table
    skeleton = tmp_path / "own.toml"
    skeleton.write_text('joints = ["nose", "left_knee", "tip", "right_hip"]\nmirror_pairs = []\n' + table)
    read, sources = read_skeleton_and_sources(skeleton)
    assert list(sources.values()) == ["estimated", "estimated", "default", "by name"]
    assert read.oks_sigmas[:2] == pytest.approx((0.03, 0.06), rel=0.3)
    assert read.oks_sigmas[2:] == (0.08, 0.107)


def test_data_sets_without_common_people_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected people who are annotated twice, got none" in fails(
        capsys, "data", "sigmas", str(annotations(tmp_path / "a", 1))
    )


def test_neighbours_in_one_data_set_are_two_people(tmp_path: Path) -> None:
    content = layouts.coco()
    for person in content["annotations"]:
        person["image_id"], person["bbox"] = 7, [10, 10, 100, 90]  # boxes of the same place, other joints
    samples = read_samples(layouts.write(tmp_path, "coco", content))
    assert len(annotated_twice([samples])[1]) == 0


def test_images_are_matched_by_name_with_as_many_folders_as_needed() -> None:
    flat = [Path("/a/images/1.png"), Path("/a/images/2.png")]
    deep = [Path("/b/x/1.png"), Path("/b/y/1.png")]
    assert image_keys([flat, flat]) == [["1.png", "2.png"]] * 2
    assert image_keys([deep, deep])[0] == ["x/1.png", "y/1.png"]
    assert image_keys([[], []]) == [[], []]


def test_names_that_are_no_bare_keys_are_quoted() -> None:
    skeleton = Skeleton(name="x", joints=("tip of tail",), limbs=(), oks_sigmas=(0.08,))
    estimates = estimate_sigmas(np.random.default_rng(0).normal(size=(40, 1, 2)), np.full(40, 1e4))
    assert sigma_lines(skeleton, estimates)[1].startswith('"tip of tail" = { estimated = ')
