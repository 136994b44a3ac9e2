"""Writes docs/literature.md: each system of the literature with the networks, recipes and tests that exist here.

    uv run python -m tools.literature

The status of a system is computed: it is complete if its networks can be made, its recipe and its tests exist and no
open point is noted in tools/literature_rows.py.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from tools.literature_rows import SECTIONS, Row

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "literature.md"
_HEAD = """\
# Literature

The systems that the documents at the project's origin name, and what there is of each here. `tools/literature.py`
writes this page from the tables of networks and recipes and from `tools/literature_rows.py`; a test checks that it is
up to date.

**Complete** means: networks can be made under these names, the named tests check the system, and `posetrail train` has
a recipe where there is a network. Tests of networks compare them with recorded outputs of the original code, where
these are at hand: `pytest tests/TEST -k NETWORK`. Weights are not in the package, and published scores were not
reproduced here; see [Use another network](how-to/networks.md).
"""


def page() -> str:
    """The page in Markdown."""
    names, recipes = _networks(), _recipes()
    lines = [_HEAD.rstrip()]
    for heading, rows in SECTIONS.items():
        lines += ["", f"## {heading}", "", "| system | networks | run | recipes | tests | status |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        lines += [_line(row, names, recipes) for row in rows]
    return "\n".join(lines) + "\n"


def matching(row: Row, names: list[str]) -> tuple[list[str], list[str]]:
    """The networks of a row that exist, and the patterns without any."""
    found = [name for name in names if any(fnmatch(name, pattern) for pattern in row.networks)]
    return found, [pattern for pattern in row.networks if not any(fnmatch(name, pattern) for name in names)]


def status(row: Row, names: list[str], recipes: dict[str, str]) -> str:
    """ "complete", or sentences that say what is missing."""
    found, missing = matching(row, names)
    gone = [test for test in row.tests if not (REPOSITORY / "tests" / test).is_file()]
    sentences = [row.open] if row.open else []
    if missing:
        sentences.append(f"Not built yet: {_codes(missing)}.")
    if gone and not missing:
        sentences.append("Its tests are not here yet.")
    if found and not any(network in found for network in recipes.values()):
        sentences.append(row.untrained or "No training recipe.")
    return " ".join(sentences) or "**complete**"


def _line(row: Row, names: list[str], recipes: dict[str, str]) -> str:
    found, _ = matching(row, names)
    run = row.run or (f"`posetrail track CLIP --estimator {found[0]} --weights FILE`" if found else "")
    tests = [test for test in row.tests if (REPOSITORY / "tests" / test).is_file()]
    trained = [recipe for recipe, network in recipes.items() if network in found]
    cells = (row.system, _codes(found), run, _codes(trained), _codes(tests), status(row, names, recipes))
    return f"| {' | '.join(cells)} |"


def _networks() -> list[str]:
    import detectors
    import estimators

    return sorted({*estimators.NETWORKS, *detectors.NETWORKS})


def _recipes() -> dict[str, str]:
    """The network of each training recipe."""
    from training.bottom_up.recipes import BOTTOM_UP_RECIPES
    from training.recipes import RECIPES

    recipes = {name: recipe.network for name, recipe in RECIPES.items()}
    recipes |= {name: each.recipe.network for name, each in BOTTOM_UP_RECIPES.items()}
    return recipes


def _codes(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
