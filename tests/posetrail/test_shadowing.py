"""A file of another program under the name of one of posetrail's packages is named in one line, and is not run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from posetrail import shadowing
from posetrail.shadowing import ShadowedPackageError, describe_shared, files_in, import_own
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.fast

FOREIGN = "print('this file was run')\n"
PROGRAM = [str(Path(sys.executable).parent / "posetrail")]
MODULE = [sys.executable, "-m", "posetrail"]


def a_module(folder: Path) -> Path:
    return folder / "tracker.py"


def a_package(folder: Path) -> Path:
    (folder / "tracker").mkdir()
    return folder / "tracker" / "__init__.py"


def another_module(folder: Path) -> Path:
    return folder / "detectors.py"


def run(command: list[str], cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def expected_line(file: Path) -> str:
    package = file.parent.name if file.name == "__init__.py" else file.stem
    return (
        f"{package}: expected posetrail's package, but Python finds {file} first; rename it, run from another folder, "
        "or install posetrail into a fresh environment if it belongs to another distribution"
    )


@pytest.mark.parametrize("place", [a_module, a_package, another_module])
def test_a_file_beside_the_users_program_is_named(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    foreign = place(tmp_path)
    foreign.write_text(FOREIGN)
    (tmp_path / "program.py").write_text("import posetrail as pt\npt.track\n")
    done = run([sys.executable, "program.py"], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == f"posetrail.shadowing.ShadowedPackageError: {expected_line(foreign)}"


def test_a_program_with_the_name_of_a_package_is_named(tmp_path: Path) -> None:
    program = tmp_path / "tracker.py"
    program.write_text("print('once')\nfrom posetrail import track\n")
    done = run([sys.executable, "tracker.py"], tmp_path)
    assert (done.returncode, done.stdout) == (1, "once\n")
    assert done.stderr.splitlines()[-1].endswith(expected_line(program))


@pytest.mark.parametrize("place", [a_module, a_package])
def test_python_m_posetrail_names_a_file_in_the_current_folder(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    foreign = place(tmp_path)
    foreign.write_text(FOREIGN)
    done = run([*MODULE, "--version"], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"posetrail: {expected_line(foreign)}\n")


@pytest.mark.parametrize("command", [PROGRAM, MODULE], ids=["posetrail", "python -m posetrail"])
def test_the_program_names_a_file_in_another_entry_of_the_path(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    foreign = a_module(tmp_path / "elsewhere")
    foreign.write_text(FOREIGN)
    done = run([*command, "--version"], tmp_path / "here", path=tmp_path / "elsewhere")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"posetrail: {expected_line(foreign)}\n")


def test_the_program_is_not_disturbed_by_a_file_in_the_current_folder(tmp_path: Path) -> None:
    a_module(tmp_path).write_text(FOREIGN)
    done = run([*PROGRAM, "--version"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_without_init_does_not_hide_a_package(tmp_path: Path) -> None:
    (tmp_path / "tracker").mkdir()
    assert run([*MODULE, "--version"], tmp_path).returncode == 0


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing, "PACKAGES", ("no_such_package",))
    with pytest.raises(
        ShadowedPackageError, match=r"^no_such_package: expected .* found none; install posetrail again$"
    ):
        import_own("posetrail.errors")


def test_an_import_that_fails_names_distributions_with_files_in_the_same_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owners = {"tracker": ["posetrail", "other-tracker"], "detectors": ["posetrail"], "numpy": ["numpy"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    expected = r"^package 'tracker' also of other-tracker: .*fresh environment \(No module named 'tracker.no_such'\)$"
    with pytest.raises(ShadowedPackageError, match=expected):
        import_own("tracker.no_such")
    assert describe_shared(shadowing.shared_packages()).startswith("package 'tracker' also of other-tracker: ")


def test_other_errors_of_an_import_are_left_as_they_are() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'tracker.no_such'$"):
        import_own("tracker.no_such")


def test_files_that_would_be_imported_in_place_of_packages_are_listed(tmp_path: Path) -> None:
    assert files_in(str(tmp_path)) == []
    assert files_in(str(REPOSITORY)) == []
    (tmp_path / "posetrail.py").write_text(FOREIGN)
    package = a_package(tmp_path)
    package.write_text(FOREIGN)
    assert files_in(str(tmp_path)) == [str(tmp_path / "posetrail.py"), str(package)]
