"""`import posetrail as pt`: all public names exist, have types, and are imported on first use."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import posetrail as pt
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.fast

SHIPPED = ("posetrail", "detectors", "estimators", "eval_posetrack", "training", "tracker")


def names_for_type_checkers() -> dict[str, str]:
    """The names that `if TYPE_CHECKING:` imports, with their modules."""
    program = ast.parse(Path(str(pt.__file__)).read_text(encoding="utf-8"))
    block = next(part for part in program.body if isinstance(part, ast.If))
    imports = [part for part in block.body if isinstance(part, ast.ImportFrom)]
    return {alias.asname or alias.name: str(each.module) for each in imports for alias in each.names}


@pytest.mark.parametrize("name", pt.__all__)
def test_every_public_name_is_that_of_its_module(name: str) -> None:
    expected = version("posetrail") if name == "__version__" else getattr(import_module(pt._MODULES[name]), name)
    assert getattr(pt, name) is expected or expected == pt.__version__
    assert name in dir(pt)


def test_type_checkers_see_the_same_names() -> None:
    assert names_for_type_checkers() == pt._MODULES
    assert sorted(pt.__all__) == sorted([*pt._MODULES, "__version__"])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'posetrail' has no attribute 'trakc'"):
        pt.trakc  # noqa: B018


def test_importing_posetrail_loads_no_other_library_and_none_of_its_packages() -> None:
    program = "import sys; old = set(sys.modules); import posetrail; print(*sorted(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert set(done.stdout.split()) <= {"posetrail", "__future__"}


@pytest.mark.parametrize("package", SHIPPED)
def test_every_package_has_a_py_typed_file(package: str) -> None:
    (folder,) = import_module(package).__path__
    assert (Path(folder) / "py.typed").is_file()
