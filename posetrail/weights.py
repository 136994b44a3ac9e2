"""Weight files that networks are loaded from: where they came from, under which licence, and that they are whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load as load_safetensors

from posetrail.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A named safetensors file and what a user should know of it."""

    name: str
    path: Path  # beside the network it belongs to
    sha256: str
    licence: str
    source: str  # who made it, and how it came here
    about: str  # what it does, what it wants to be fed, how well it scored

    @property
    def size_bytes(self) -> int:
        """Size of the file; 0 when it is missing."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def load(self) -> dict[str, np.ndarray]:
        """The numbers, as float32: what the file says is checked against `sha256` first.

        Raises:
            InputError: the file is missing, cut off or another one.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise InputError(
                f"weights {self.name}: cannot read {self.path} ({error.strerror}); reinstall posetrail"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise InputError(
                f"weights {self.name}: {self.path} is damaged or another file: wanted sha256 {self.sha256[:16]}..., "
                f"got {found[:16]}... ({len(content)} bytes); reinstall posetrail"
            )
        return {key: value.astype(np.float32) for key, value in load_safetensors(content).items()}
