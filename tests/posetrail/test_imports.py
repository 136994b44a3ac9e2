"""Which libraries are imported: tables of networks are cheap to read, and the default run needs no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


def imported(program: str, *libraries: str) -> list[str]:
    """Which of the libraries a program imports."""
    program += f"\nimport sys; print(*[name for name in {libraries!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("package", ["detectors", "estimators"])
def test_tables_of_networks_import_neither_torch_nor_scipy(package: str) -> None:
    program = f"from {package} import NETWORKS; assert NETWORKS"
    assert imported(program, "torch", "torchvision", "scipy") == []


def test_the_default_run_imports_neither_torch_nor_torchvision(example_clip: Path, tmp_path: Path) -> None:
    program = f"""
from posetrail import runtime
runtime._cuda_driver_loads = lambda: False
from tracker.cli.app import main
try:
    main(["track", {str(example_clip)!r}, "-o", {str(tmp_path)!r}, "--end", "0.1"])
except SystemExit as ended:
    assert not ended.code, ended.code
"""
    assert imported(program, "torch", "torchvision", "onnxruntime") == ["onnxruntime"]
    assert (tmp_path / example_clip.stem / "tracks.json").is_file()
