"""The preview: short H.264 videos of a run's frames, which every browser plays and seeks exactly.

A browser cannot be given the clip itself: many codecs do not play, and where times vary, begin late or stand in a
Matroska file, it seeks to other frames. A piece holds `PIECE_FRAMES` successive frames of the run, upright and scaled
down; its picture k stands at k / 30 s, whatever the times of the clip. Groups of pictures are short and have no
B-frames, so that a step backwards decodes few pictures.

Pieces are made on demand and kept in the folder `preview` of the run, or in the user's cache where that cannot be
written. The name of a piece holds a digest of what it was made from, so a piece of another clip or of other frames is
never served. Beyond `LARGEST_BYTES`, those that were not used for longest are deleted.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Image
from tracker.io.video_writer import VideoWriter
from tracker.viewer.clip import ClipImages, scaled, scaled_size

_log = logging.getLogger(__name__)

PIECE_FRAMES = 300
FPS = 30
LONG_SIDE = 1280  # pixels
LARGEST_BYTES = 4_000_000_000  # of a run's pieces: one to two hours
_FORMAT = 1  # changes when the same frames would give other pictures
_X264 = {
    "preset": "superfast",
    "crf": "23",
    "bf": "0",
    "g": "15",
    "keyint_min": "15",
    "sc_threshold": "0",
    "threads": str(min(4, os.cpu_count() or 1)),
}
_LOST = 64  # grey of an image that cannot be read


class Stopped(Exception):
    """A piece is not needed any more."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """The preview of one run.

    Args:
        folder: where the pieces are kept.
        clip: opens the clip, or returns the one that is open.
        fingerprint: of the clip's content.
        numbers: (F,) numbers of the run's frames.
        size: width and height of the run's frames.
    """

    folder: Path
    clip: Callable[[], ClipImages]
    fingerprint: str
    numbers: np.ndarray
    size: tuple[int, int]

    def __len__(self) -> int:
        return -(-len(self.numbers) // PIECE_FRAMES)

    @property
    def preview_size(self) -> tuple[int, int]:
        """Width and height of the pictures, even numbers."""
        width, height = scaled_size(*self.size, LONG_SIDE)
        return width + width % 2, height + height % 2

    def path(self, piece: int) -> Path:
        """Where a piece is, or will be."""
        numbers = self.numbers[piece * PIECE_FRAMES : (piece + 1) * PIECE_FRAMES]
        made_of = f"{_FORMAT} {self.fingerprint} {self.preview_size} {numbers.tolist()}"
        return self.folder / f"{piece:05d}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.mp4"

    def find(self, piece: int) -> Path | None:
        """Where a piece is; None if it must be made. It counts as used now."""
        path = self.path(piece)
        try:
            os.utime(path, (time.time(), path.stat().st_mtime))  # browsers compare the time of modification
        except FileNotFoundError:
            return None
        except OSError:
            pass
        return path

    def made(self) -> list[int]:
        """The pieces that are there."""
        present = {file.name for file in self.folder.glob("*.mp4")}
        return [piece for piece in range(len(self)) if self.path(piece).name in present]

    def make(self, piece: int, stopped: Callable[[], bool] = lambda: False) -> Path:
        """Make a piece, unless it is there; pictures that cannot be read are grey.

        Raises:
            Stopped: `stopped()` became true.
            InputError: the clip is missing, or the folder cannot be written.
        """
        path = self.path(piece)
        if path.is_file():
            return path
        clip = self.clip()
        self.folder.mkdir(parents=True, exist_ok=True)
        first, end = piece * PIECE_FRAMES, min((piece + 1) * PIECE_FRAMES, len(self.numbers))
        width, height = self.preview_size
        lost: Image = np.full((height, width, 3), _LOST, np.uint8)
        images = clip.read(first, end)
        # Another viewer may make the same piece: each writes a file of its own.
        with tempfile.TemporaryDirectory(prefix=".piece-", dir=self.folder) as place:
            beside = Path(place) / path.name
            with VideoWriter(beside, width, height, FPS, options=_X264) as video:
                at, image = next(images, (end, lost))
                for position in range(first, end):
                    if stopped():
                        raise Stopped
                    if at == position:
                        video.add(scaled(image, width, height), (position - first) / FPS)
                        at, image = next(images, (end, lost))
                    else:
                        video.add(lost, (position - first) / FPS)
            if not path.is_file():  # Windows replaces no file that a request reads
                beside.replace(path)
        self._delete_oldest(path)
        _log.info("%s: made of frames %d to %d", path, first, end - 1)
        return path

    def _delete_oldest(self, newest: Path) -> None:
        files = []
        for file in self.folder.glob("*.mp4"):
            with suppress(OSError):
                status = file.stat()
                files.append((file == newest, status.st_atime, status.st_size, file))
        excess = sum(size for _, _, size, _ in files) - LARGEST_BYTES
        for _, _, size, file in sorted(files)[:-1]:
            if excess <= 0:
                break
            with suppress(PermissionError):  # Windows removes no file that a request reads
                file.unlink(missing_ok=True)
                excess -= size


@dataclass(eq=False)
class PendingPiece:
    """A piece that requests wait for."""

    pieces: Pieces
    piece: int
    result: Future[Path] = field(default_factory=Future)
    waiting: int = 0  # number of requests


class PieceMaker:
    """Makes pieces in a thread of its own: those that a request waits for, the newest first; then those suggested."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pending: dict[tuple[Pieces, int], PendingPiece] = {}
        self._suggested: list[tuple[Pieces, int]] = []
        self._closed = False
        self._thread: threading.Thread | None = None

    def request(self, pieces: Pieces, piece: int) -> PendingPiece:
        """Ask for a piece; `withdraw` the request when the request has ended."""
        with self._changed:
            pending = self._pending.pop((pieces, piece), None) or PendingPiece(pieces, piece)
            pending.waiting += 1
            self._pending[pieces, piece] = pending  # the newest is the last
            self._wake()
            return pending

    def withdraw(self, pending: PendingPiece) -> None:
        """One request less waits for a piece."""
        with self._changed:
            pending.waiting -= 1
            if pending.waiting <= 0 and self._pending.get((pending.pieces, pending.piece)) is pending:
                del self._pending[pending.pieces, pending.piece]

    def suggest(self, pieces: Pieces, wanted: Sequence[int]) -> None:
        """Make these pieces, in this order, while no request waits; replaces what was suggested before."""
        with self._changed:
            self._suggested = [(pieces, piece) for piece in dict.fromkeys(wanted) if 0 <= piece < len(pieces)]
            self._wake()

    def close(self) -> None:
        """Stop after the current picture."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _wake(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._work, name="posetrail-preview", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._pending or self._suggested):
                    self._changed.wait()
                if self._closed:
                    return
                pending = next(reversed(self._pending.values()), None)
                suggested = self._suggested[0] if pending is None else None
            if pending is not None:
                self._make_pending(pending)
            elif suggested is not None:
                self._make_suggested(*suggested)

    def _make_pending(self, pending: PendingPiece) -> None:
        try:
            path = pending.pieces.make(pending.piece, lambda: self._closed or pending.waiting <= 0)
        except Stopped:
            return
        except Exception as error:
            pending.result.set_exception(error)
        else:
            pending.result.set_result(path)
        with self._changed:
            if self._pending.get((pending.pieces, pending.piece)) is pending:
                del self._pending[pending.pieces, pending.piece]

    def _make_suggested(self, pieces: Pieces, piece: int) -> None:
        try:
            pieces.make(piece, lambda: self._closed or bool(self._pending))
        except Stopped:
            return  # again when no request waits
        except (InputError, OSError) as error:
            _log.info("%s: preview %d cannot be made (%s)", pieces.folder, piece, error)
        with self._changed, suppress(ValueError):
            self._suggested.remove((pieces, piece))
