"""Writes the table of the viewer's keys into docs/how-to/view.md: `uv run python -m tools.docs_keys`."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
KEYS = REPOSITORY / "tracker" / "viewer" / "static" / "keys.js"
PAGE = REPOSITORY / "docs" / "how-to" / "view.md"
BEGIN, END = "<!-- keys: written by tools/docs_keys.py -->\n", "<!-- end of keys -->\n"


def main() -> int:
    """Replace the table in the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + keys_table(read_keys()) + END + after, encoding="utf-8")
    return 0


def read_keys() -> list[dict[str, Any]]:
    """The table in keys.js, whose brackets hold JSON."""
    _, _, table = KEYS.read_text(encoding="utf-8").partition("export const KEYS = ")
    return json.loads(table.strip().removesuffix(";"))


def keys_table(keys: list[dict[str, Any]]) -> str:
    """Markdown: a table of keys, group by group."""
    lines = ["\n| | keys | what they do |\n| --- | --- | --- |\n"]
    for group, members in groupby(keys, lambda key: key["group"]):
        for row, key in enumerate(members):
            names = " ".join(f"`{name}`" for name in key["keys"])
            lines.append(f"| {group if row == 0 else ''} | {names} | {key['does']} |\n")
    return "".join([*lines, "\n"])


if __name__ == "__main__":
    sys.exit(main())
