"""Weights of networks: source, licence and digest of the file they are loaded from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load as load_safetensors

from posetrail.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A file of weights and its description."""

    name: str
    path: Path
    sha256: str
    licence: str
    source: str  # authors and origin
    about: str  # what the network does, its input, its published score
    precision: str = "float32"  # in which the network runs; empty if there is no network

    @property
    def size_bytes(self) -> int:
        """Size of the file; 0 when it is missing."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def in_int8(self, sha256: str) -> Weights:
        """The int8 file beside this one, an ONNX file."""
        return replace(
            self,
            name=f"{self.name}_int8",
            path=self.path.with_name(f"{self.name}_int8.onnx"),
            sha256=sha256,
            about=f"{self.name} in int8, the default on the CPU",
            precision="int8",
        )

    def load(self) -> dict[str, np.ndarray]:
        """Load a safetensors file as float32 arrays, after checking its digest.

        Raises:
            InputError: the file is missing, or its digest differs.
        """
        return {key: value.astype(np.float32) for key, value in load_safetensors(self.read()).items()}

    def read(self) -> bytes:
        """Read the file and check its digest.

        Raises:
            InputError: the file is missing, or its digest differs.
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
                f"weights {self.name}: {self.path} is damaged or another file: expected sha256 {self.sha256[:16]}..., "
                f"got {found[:16]}... ({len(content)} bytes); reinstall posetrail"
            )
        return content
