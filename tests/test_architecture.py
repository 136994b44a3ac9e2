"""The structure that import-linter's contracts cannot express: what an import loads, import levels, sizes of files."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


def modules_of(folder: str) -> list[str]:
    """Dotted names of the modules of a folder, its `__init__` among them."""
    paths = sorted((REPOSITORY / folder).glob("*.py"))
    return [".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for path in paths]


@pytest.mark.parametrize("module", [*modules_of("tracker/association"), "tracker.frames", "tracker.settings"])
def test_association_loads_no_video_network_or_file_library(module: str) -> None:
    heavy = ("av", "cv2", "onnxruntime", "pandas", "pyarrow", "requests", "torch")
    program = f"import sys, {module}; print(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
