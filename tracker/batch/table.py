"""batch.csv: one row for each clip of a batch, with how it ended."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from unicodedata import category

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.paths import folded, is_safe_name
from posetrail.wording import counted

INFERRED = "inferred"  # a segment was inferred, others are missing; the worker of the last one associates the clip
FINE = frozenset({"complete", INFERRED})
_WRITE_TABLE_EVERY_S = 2.0
_SHOWN = 100  # characters of a name in an error line


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one clip ended."""

    clip: str  # name of its folder
    status: str  # complete, damaged (the readable part was tracked), failed, interrupted, pending, or `INFERRED`
    frames: int = 0
    seconds: float = 0.0
    people: int = 0
    warnings: str = ""  # errors and warnings, joined by "; "
    input: str = ""
    log: str = ""  # file with the traceback of an internal error, or the output of a worker that died


class Table:
    """batch.csv, which is rewritten every few seconds while rows are added, and complete at any time.

    Rows of an earlier batch stay until their clip is tracked again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {row.clip: row for row in read_table(path)} if path.is_file() else {}
        self._ended: set[str] = set()  # clips that have ended in this batch
        self._written = 0.0

    def keep_only(self, clips: Iterable[str]) -> None:
        """Remove the rows of all other clips."""
        wanted = set(clips)
        self.rows = {clip: row for clip, row in self.rows.items() if clip in wanted}

    def status(self, clip: str) -> str:
        """Status of a clip; empty if it has no row."""
        return self.rows[clip].status if clip in self.rows else ""

    def add(self, row: Row) -> None:
        """Add the row of a clip, or of a segment; a segment may be reported after its clip."""
        if row.status == INFERRED and row.clip in self._ended:
            return
        if row.status != INFERRED:
            self._ended.add(row.clip)
        self.rows[row.clip] = row
        if time.monotonic() - self._written > _WRITE_TABLE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write the file, in the order of the names."""
        with written_whole(self.path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
            table.writeheader()
            for clip in sorted(self.rows):
                row = self.rows[clip]
                table.writerow({**asdict(row), "seconds": f"{row.seconds:.2f}"})
        self._written = time.monotonic()


def read_table(path: Path) -> list[Row]:
    """The rows of a batch.csv.

    Raises:
        InputError: it cannot be read, is no such table, or has an unsafe name of a folder.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                Row(
                    clip=row["clip"],
                    status=row["status"],
                    frames=int(row["frames"]),
                    seconds=float(row["seconds"]),
                    people=int(row["people"]),
                    warnings=row["warnings"],
                    input=row["input"],
                    log=row["log"],
                )
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); run the batch first") from None
    except (KeyError, TypeError, ValueError, csv.Error):
        raise InputError(
            f"{path}: expected the table of a batch, got another file; remove it and run the batch again"
        ) from None
    for row in rows:
        if not is_safe_name(row.clip):  # it would be a folder to write to
            raise InputError(
                f"{path}: expected the name of a clip's folder, got {printable(row.clip)[:_SHOWN]!r}; "
                "remove the table and run the batch again"
            )
    return rows


def counts(table: Table) -> dict[str, int]:
    """Number of clips by status, the most frequent first."""
    return dict(Counter(row.status for row in table.rows.values()).most_common())


def summary(table: Table) -> str:
    """Like "12 clips: 10 complete, 1 damaged, 1 failed"."""
    ends = ", ".join(f"{count} {status}" for status, count in counts(table).items())
    return f"{counted(len(table.rows), 'clip')}: {ends}"


def printable(text: str, encoding: str = "utf-8") -> str:
    """A path for tables and terminals, with control characters and bytes that are not UTF-8 escaped.

    >>> printable(os.fsdecode(b"clip\\xff\\n.mp4"))
    'clip\\\\udcff\\\\n.mp4'
    """
    escaped = (c.encode("unicode_escape").decode() if category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return "".join(escaped).encode(encoding, "backslashreplace").decode(encoding)


def previous_names(output: Path) -> dict[str, str]:
    """The folders of clips of earlier batches in an output, by the paths in their tables; left out if ambiguous."""
    tables = []
    for path in sorted(output.glob("batch*.csv")):
        with suppress(InputError):  # the batch that writes it reports the error
            tables += read_table(path)
    names = {row.input: row.clip for row in tables}
    clips_of_name = Counter(map(folded, names.values()))
    return {clip: name for clip, name in names.items() if clips_of_name[folded(name)] == 1}
