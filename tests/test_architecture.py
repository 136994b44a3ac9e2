"""Structure beyond import-linter's contracts: import levels, cycles, what an import loads, sizes of files."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ("posetrail", "detectors", "estimators", "eval_posetrack", "training", "tracker")
FOLDERS = sorted(
    path.parent.relative_to(REPOSITORY).as_posix()
    for package in PACKAGES
    for path in (REPOSITORY / package).rglob("__init__.py")
)
MAX_LEVELS = 5
MAX_FOLDER_LEVELS = 6
MAX_LINES = 400


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Modules -> the modules of our packages that they import, also inside functions; not those for types alone."""
    grimp = pytest.importorskip("grimp", reason="comes with import-linter, in the dependency group dev")
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def longest_chain(imports: dict[str, set[str]], modules: set[str]) -> list[str]:
    """The longest chain of imports among these modules, the importing module first.

    Raises:
        AssertionError: some modules import each other in a circle.
    """
    chains: dict[str, list[str]] = {}

    def chain_from(module: str, above: tuple[str, ...]) -> list[str]:
        assert module not in above, f"import cycle: {' -> '.join([*above[above.index(module) :], module])}"
        if module not in chains:
            below = [chain_from(other, (*above, module)) for other in sorted(imports[module] & modules)]
            chains[module] = [module, *max(below, key=len, default=[])]
        return chains[module]

    return max((chain_from(module, ()) for module in sorted(modules)), key=len)


def test_no_module_imports_itself_through_others(imports: dict[str, set[str]]) -> None:
    longest_chain(imports, set(imports))


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_of_a_folder_form_at_most_five_import_levels(imports: dict[str, set[str]], folder: str) -> None:
    here = set(modules_of(folder)) - {folder.replace("/", ".")}  # without what its __init__ imports
    chain = longest_chain(imports, here) if here else []
    assert len(chain) <= MAX_LEVELS, " -> ".join(chain)


def test_folders_and_shared_modules_of_tracker_form_at_most_six_import_levels(imports: dict[str, set[str]]) -> None:
    parts: dict[str, set[str]] = {}
    for module, others in imports.items():
        if module.startswith("tracker."):
            part = parts.setdefault(module.split(".")[1], set())
            part |= {other.split(".")[1] for other in others if other.startswith("tracker.")}
    without_own = {part: others - {part} for part, others in parts.items()}
    chain = longest_chain(without_own, set(without_own))
    assert len(chain) <= MAX_FOLDER_LEVELS, " -> ".join(chain)


def test_a_cycle_is_found_and_levels_are_counted() -> None:
    assert longest_chain({"a": {"b", "c"}, "b": {"c"}, "c": {"other"}}, {"a", "b", "c"}) == ["a", "b", "c"]
    with pytest.raises(AssertionError, match="import cycle: b -> c -> b"):
        longest_chain({"a": {"b"}, "b": {"c"}, "c": {"b"}}, {"a", "b", "c"})


def test_a_file_of_more_than_400_lines_states_the_reason_in_its_docstring() -> None:
    long = set()
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            text = path.read_text()
            if len(text.splitlines()) > MAX_LINES and "400 lines" not in (ast.get_docstring(ast.parse(text)) or ""):
                long.add(path.relative_to(REPOSITORY).as_posix())
    assert not long


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
