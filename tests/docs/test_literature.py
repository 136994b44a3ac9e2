"""docs/literature.md says what the code has."""

from __future__ import annotations

import pytest

from tools.literature import PAGE, page, status
from tools.literature_rows import SECTIONS, Row


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tools.literature`"


def test_what_is_missing_is_said() -> None:
    row = Row(system="A", networks=("a_*",))
    assert status(row, ["b_1"], {}) == "Not built yet: `a_*`."
    assert "No training recipe" in status(row, ["a_1"], {})
    assert status(row, ["a_1"], {"recipe": "a_1"}) == "**complete**"


@pytest.mark.parametrize("row", [row for rows in SECTIONS.values() for row in rows], ids=lambda row: row.system)
def test_each_system_has_evidence_or_a_reason(row: Row) -> None:
    assert row.tests or row.open
