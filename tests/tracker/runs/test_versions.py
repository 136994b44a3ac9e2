"""What run.json records of installed packages, whichever build of them is installed."""

from __future__ import annotations

import json
import platform
from importlib.metadata import Distribution, PackageNotFoundError, version
from pathlib import Path

import pytest

from tests.truth_networks import truth_networks
from tests.worlds import Walker, World, line, write_images
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.runs.versions import installed_versions
from tracker.settings import Settings

pytestmark = pytest.mark.fast


def swap(monkeypatch: pytest.MonkeyPatch, installed: str, variant: str) -> None:
    """As if the variant had been installed in the place of another distribution."""
    really = Distribution.from_name

    def from_name(name: str) -> Distribution:
        if name == installed:
            raise PackageNotFoundError(name)
        return really(installed if name == variant else name)

    monkeypatch.setattr(Distribution, "from_name", from_name)


def test_installed_distributions_have_their_versions() -> None:
    versions = installed_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == version("numpy")
    assert "absent" not in versions.values()
    assert "onnxruntime-openvino" not in versions


@pytest.mark.parametrize(
    ("usual", "variant"),
    [
        ("onnxruntime", "onnxruntime-gpu"),
        ("onnxruntime", "onnxruntime-openvino"),
        ("opencv-python-headless", "opencv-python"),
        ("torch", "no-such-distribution"),
    ],
)
def test_a_run_ends_well_whichever_build_is_installed(
    usual: str, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World((Walker(line((20, 60), (120, 0))),), num_frames=3)
    images = write_images(world, tmp_path / "images")
    really = version(usual)
    swap(monkeypatch, usual, variant)
    outcome = run_clip(open_source(images), tmp_path / "out", truth_networks(world), Settings())
    assert outcome.status == "complete"
    recorded = json.loads((tmp_path / "out" / "run.json").read_text())["versions"]
    assert recorded[usual] == "absent"
    assert recorded.get(variant) == (None if variant.startswith("no-such") else really)
