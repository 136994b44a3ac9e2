"""Finds files that Python imports in place of posetrail's own packages, whose names others use as well.

Without this, a `tracker.py` beside the user's program, a package `detectors` in a folder of PYTHONPATH, or another
distribution that installs a package `tracker` ends in an error that does not name the file. Such a file is not run.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import PathFinder

TYPE_CHECKING = False  # `typing` takes longer to import than all of this; type checkers know the name
if TYPE_CHECKING:
    from types import ModuleType

PACKAGES = ("detectors", "estimators", "eval_posetrack", "training", "tracker")
"""What is installed beside `posetrail` itself."""

_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib takes 5 ms to import


class ShadowedPackageError(ImportError):
    """A file that is not posetrail's is imported under the name of one of its packages. Its text is one line."""


def check_packages() -> None:
    """Raise `ShadowedPackageError` if Python finds another file under the name of one of posetrail's packages."""
    for package in PACKAGES:
        file = _file_of(package)
        if file is None:
            raise ShadowedPackageError(
                f"{package}: expected posetrail's package in {_ROOT}, found none; install posetrail again"
            )
        if not _is_own(package, file):
            raise ShadowedPackageError(
                f"{package}: expected posetrail's package, but Python finds {file} first; rename it, run from another "
                "folder, or install posetrail into a fresh environment if it belongs to another distribution"
            )


def import_own(module: str) -> ModuleType:
    """Import one of posetrail's modules.

    Raises:
        ShadowedPackageError: another file is, or would be, imported in its place.
    """
    check_packages()
    try:
        return import_module(module)
    except ImportError as error:
        if others := shared_packages():  # it may have overwritten some of our files
            raise ShadowedPackageError(f"{describe_shared(others)} ({error})") from error
        raise


def files_in(folder: str) -> list[str]:
    """Files in a folder that would be imported in place of posetrail's packages by programs that lie there."""
    found = ((package, PathFinder.find_spec(package, [folder])) for package in ("posetrail", *PACKAGES))
    files = [(package, spec.origin) for package, spec in found if spec and spec.origin]
    return [file for package, file in files if not _is_own(package, file)]


def shared_packages() -> dict[str, list[str]]:
    """Other installed distributions that have files in posetrail's packages: their names by package."""
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    others = {package: sorted(set(owners.get(package, ())) - {"posetrail"}) for package in ("posetrail", *PACKAGES)}
    return {package: names for package, names in others.items() if names}


def describe_shared(shared: dict[str, list[str]]) -> str:
    """One line on what `shared_packages` found, and what to do."""
    parts = (f"package {package!r} also of {', '.join(names)}" for package, names in shared.items())
    return f"{'; '.join(parts)}: expected a package of posetrail alone; install posetrail into a fresh environment"


def _file_of(package: str) -> str | None:
    """The file that `import package` gives: of the module if it is loaded, else of the one that would be."""
    if package in sys.modules:
        return getattr(sys.modules[package], "__file__", None) or "a module without a file"
    for finder in sys.meta_path:
        spec = finder.find_spec(package, None) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec.origin
    return None


def _is_own(package: str, file: str) -> bool:
    return os.path.realpath(file) == os.path.join(_ROOT, package, "__init__.py")  # noqa: PTH118 - as above
