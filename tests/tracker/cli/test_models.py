"""`posetrail models`: the list of networks, and fetching, verifying and exporting their weights."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from detectors.published import PUBLISHED as DETECTORS
from estimators.published import PUBLISHED as ESTIMATORS
from posetrail.errors import InputError
from posetrail.export import export_onnx
from posetrail.store import HOME_VARIABLE
from tests.command_line import run_command
from tests.estimators.test_trained import trained
from tests.server import Server, serving, status, whole
from tracker.cli.models_list import page
from tracker.runs.published import published_weights

CONTENT = hashlib.shake_256(b"models").digest(100_000)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")  # the width without a terminal; pytest's workers set 80
    return tmp_path / "home"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves the weights of two detectors; those of a third one are gone (404)."""
    with serving(whole(CONTENT)) as here, serving(status(404)) as gone:
        for name in ("yolox_nano", "yolox_tiny", "yolox_s"):
            url = (gone if name == "yolox_s" else here).url
            sha256 = (hashlib.sha256(CONTENT).hexdigest(),)
            monkeypatch.setitem(DETECTORS, name, replace(DETECTORS[name], url=url, sha256=sha256))
        yield here


def test_the_list_shows_built_in_downloadable_and_other_networks(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown, _ = run_command(capsys, "models")
    assert code == 0
    assert run_command(capsys, "models", "list") == (0, shown, "")
    lines = shown.splitlines()
    assert len(lines) < 140  # families, not their sizes
    assert lines[0] == "Built in, ready to use:"
    ready, fetchable, own = shown.split("\n\n")[:3]
    for part, names in (
        (ready, ("nanodet", "movenet_thunder")),
        (
            fetchable,
            ("posetrail models fetch", "yolox_{nano, tiny, s, m}", "rtmpose_{t, s, m, l}_coco", "25.8 to 46.9"),
        ),
        (own, ("hrnet_{w32, w48}", "non-commercial", "GPL-3.0", "osnet_")),
    ):
        for name in names:
            assert name in part
    assert f"(0 of {len(published_weights())}), in {home / 'weights'}" in shown
    restricted = [line for line in lines if "†" in line]
    assert [line.split("  ")[1] for line in restricted[:-1]] == [
        "RTMDet",
        "RTMPose (7 sets)",
        "RTMPose (feet)",
        "RTMPose (feet, large)",
        "RTMPose (whole)",
        "DWPose",
        "RTMPose (hands)",
        "RTMPose (faces)",
        "VideoPose3D (MMPose)",
        "SimpleBaseline3D",
        "MotionBERT (MMPose)",
        "RTMW",
        "MotionBERT",
        "MotionAGFormer",
        "VideoPose3D",
    ]


def test_list_all_shows_each_file_with_its_url_and_score(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, shown, _ = run_command(capsys, "models", "list", "--all")
    for each in published_weights().values():
        assert f"\n{each.name}  ({each.kind}, " in shown
        assert (each.url or each.page) in shown
    assert "75.8 COCO AP at 256x192, coco_17; by MMPose's metafile" in shown
    assert "no published weights" in shown


def test_the_list_fits_a_narrow_terminal(home: Path) -> None:
    assert max(map(len, page(width=80).splitlines())) <= max(80, len(str(home)) + 40)


def test_fetched_weights_are_listed_located_and_verified(
    home: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_command(capsys, "models", "fetch", "yolox_nano", "yolox_nano")
    file = home / "weights" / "yolox_nano.pth"
    assert (code, out, err) == (0, f"yolox_nano: {file} (0.1 MB, Apache-2.0)\n", "")
    assert file.read_bytes() == CONTENT
    assert "yolox_{nano*, tiny, s, m}" in page()
    assert "yolox_nano  (detector, in the cache" in page(everything=True)
    assert run_command(capsys, "models", "path", "yolox_nano") == (0, f"{file}\n", "")
    assert f"ok  yolox_nano: {file}" in run_command(capsys, "models", "verify")[1]
    file.write_bytes(CONTENT[1:])
    code, out, err = run_command(capsys, "models", "verify")
    assert code == 2
    assert out.count("ok  ") == 5  # what is built in, in float32 and int8
    assert err.startswith("posetrail: weights yolox_nano: ")
    assert "damaged" in err


def test_weights_that_cannot_be_fetched_do_not_stop_the_others(
    home: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_command(capsys, "models", "fetch", "yolox_nano", "yolox_s", "hrnet_w32", "yolox_tiny")
    assert code == 2
    assert [line.partition(":")[0] for line in out.splitlines()] == ["yolox_nano", "yolox_tiny"]
    gone, drive = err.splitlines()
    assert "404 Not Found" in gone
    assert "linked at https://github.com/leoxiaobin" in drive


def test_fetch_to_a_folder_for_a_machine_without_internet(
    home: Path, server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    code, out, _ = run_command(capsys, "models", "fetch", "yolox_nano", "yolox_tiny", "--to", stick)
    assert code == 0
    assert "set POSETRAIL_HOME to it" in out
    assert [each["name"] for each in json.loads((stick / "manifest.json").read_text())["weights"]] == [
        "yolox_nano",
        "yolox_tiny",
    ]
    assert not home.exists()
    monkeypatch.setenv(HOME_VARIABLE, str(stick))
    assert run_command(capsys, "models", "path", "yolox_tiny") == (0, f"{stick / 'weights' / 'yolox_tiny.pth'}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch"], "expected one or more names"),
        (["fetch", "yolox"], "did you mean 'yolox_"),
        (["fetch", "yolox_s", "yolox_m", "--sha256", "0" * 64], "expected one name with it, got 2"),
        (["fetch", "yolox_s", "--sha256", "12"], "expected 64 hexadecimal digits"),
        (["path", "yolox_m"], "`posetrail models fetch yolox_m` downloads them from https://github.com/Megvii"),
        (["verify", "yolox_m"], "`posetrail models fetch yolox_m`"),
        (["verify", "nothing"], "unknown weights"),
        (["export", "torchvision:ssd300_vgg16", "-o", "x.onnx"], "expected a network of posetrail"),
        (["export", "rtmpose_t", "-o", "x.onnx"], "`posetrail models fetch rtmpose_t`"),
        (["export", "rtmpose_t", "-o", "x.onnx", "--weights", "gone.pth"], "gone.pth: no such file"),
    ],
)
def test_unusable_arguments_are_refused_in_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code, out, err = run_command(capsys, "models", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_the_list_imports_nothing_heavy() -> None:
    program = (
        "import sys; from tracker.cli.models_list import page; page(); print([m for m in ('torch', 'requests', 'av') "
    )
    program += "if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


class Tiny(nn.Module):
    """Its outputs are nested, as those of the estimators are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, stride=2)

    def forward(self, images: torch.Tensor) -> dict[str, object]:
        maps = self.conv(images)
        return {"maps": [maps, maps.relu()], "mean": maps.mean(dim=(2, 3))}


def test_export_writes_an_onnx_file_with_the_same_outputs(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from estimators.networks import NETWORKS

    torch.manual_seed(0)
    network = Tiny()
    torch.save(network.state_dict(), tmp_path / "tiny.pth")
    monkeypatch.setitem(NETWORKS, "cpm_mmpose", Tiny)
    monkeypatch.setitem(ESTIMATORS, "cpm_mmpose", replace(ESTIMATORS["cpm_mmpose"], input_size=(64, 48)))
    output = tmp_path / "tiny.onnx"
    code, out, err = run_command(
        capsys, "models", "export", "cpm_mmpose", "-o", output, "--weights", tmp_path / "tiny.pth"
    )
    assert (code, err) == (0, "")
    assert "outputs batchx2x31x23 batchx2x31x23 batchx2" in out
    assert "differs from torch by at most " in out
    images = np.random.default_rng(1).random((5, 3, 64, 48), np.float32)
    session = onnxruntime.InferenceSession(output)
    found = session.run(None, {session.get_inputs()[0].name: images})
    with torch.inference_mode():
        expected = network.conv(torch.from_numpy(images)).numpy()
    assert np.allclose(found[0], expected, atol=1e-5)
    assert np.allclose(found[1], np.maximum(expected, 0), atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert (metadata["name"], metadata["weights"], metadata["licence"]) == ("cpm_mmpose", "tiny.pth", "Apache-2.0")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["nanodet", "movenet_thunder"])
def test_export_of_a_built_in_network_writes_one_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    output = tmp_path / "x.onnx"
    code, out, err = run_command(capsys, "models", "export", name, output)
    assert (code, err) == (0, "")
    assert "differs from that in the package by at most 0.0e+00" in out
    session = onnxruntime.InferenceSession(output.read_bytes())  # needs no other file
    assert session.get_modelmeta().custom_metadata_map["name"] == name
    code, _, err = run_command(capsys, "models", "export", name, output, "--weights", "x.pth")
    assert code == 2
    assert "leave --weights out" in err


def test_trained_weights_are_exported_by_their_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, output = trained(tmp_path, "simplebaseline_r18"), tmp_path / "own.onnx"
    code, out, err = run_command(capsys, "models", "export", weights, "-o", output)
    assert (code, err) == (0, "")
    assert "outputs batchx4x24x16" in out
    assert f"use it with: posetrail track CLIP --estimator onnx:{output}" in out
    code, _, err = run_command(capsys, "models", "export", "rtmpose_t", "-o", output, "--weights", weights)
    assert (code, err.count("\n")) == (2, 1)
    assert f"--weights: expected weights of rtmpose_t, got {weights}, which are of simplebaseline_r18" in err
    (tmp_path / "other.pth").write_bytes(b"")
    code, _, err = run_command(capsys, "models", "export", tmp_path / "other.pth", "-o", output)
    assert code == 2
    assert "give NAME --weights" in err


def test_export_writes_no_file_whose_outputs_differ(tmp_path: Path) -> None:
    class Dice(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + torch.rand_like(images)

    with pytest.raises(RuntimeError, match="outputs of the file differ from the network's by"):
        export_onnx(Dice(), (8, 8), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_export_without_its_extra_names_the_packages_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posetrail.export.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"export: needs onnx and onnxscript; pip install 'posetrail\[export\]'"):
        export_onnx(Tiny(), (8, 8), tmp_path / "x.onnx")
