"""A first try of an ONNX file of somebody else's, in a process of its own whose time and memory are limited.

ONNX Runtime computes whatever is constant while it loads a file, so that a small one can take all memory or never end
before any code of ours is asked; and shapes that are harmless on paper can grow in the first run. Loops and branches
are in honest exports as well, so what a file does is tried, rather than what it may hold judged: it is loaded and
answers one image, within the limits, before the program itself touches it. What a file does only for certain pictures,
or on another device, the trial cannot tell.

This file runs as a program, on the standard library, NumPy and ONNX Runtime alone: `python onnx_trial.py FILE HEIGHT
WIDTH BYTES SECONDS`; it says in one line on stdout what was wrong, and nothing where all went well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIME_LIMIT_S = 120.0
_BASE_BYTES = 4 << 30  # Python, its libraries, and what a network of usual size takes for one image
_BYTES_PER_BYTE = 4  # of the file: its weights as read, and as ONNX Runtime lays them out
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # their buffers would count


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the trial of a file may take."""

    bytes: int
    seconds: float = TIME_LIMIT_S


def limits_for(path: Path) -> Limits:
    """Limits that honest files stay well below; of memory, systems without `resource` (Windows) set none."""
    return Limits(bytes=_BASE_BYTES + _BYTES_PER_BYTE * path.stat().st_size)


def try_file(path: Path, size: tuple[int, int], limits: Limits) -> str:
    """Load a file and let it answer one image, in another process.

    Args:
        path: the file.
        size: height and width of the image where the file leaves them open, pixels.
        limits: of that process.

    Returns:
        what was wrong, in one line; empty when nothing was.
    """
    command = [sys.executable, "-P", __file__, str(path), *map(str, (*size, limits.bytes, limits.seconds))]
    here = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **dict.fromkeys(_THREAD_VARIABLES, "1")}
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **here},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it takes more than {limits.seconds:g} s to load and to answer one image"
    said = " ".join(done.stdout.decode(errors="replace").split())
    if done.returncode == 0 or said:
        return said
    return (
        f"it ends its process ({done.returncode}) when it is loaded and answers one image; "
        f"the process may take {limits.bytes >> 20} MiB of memory"
    )


def _limit(max_bytes: int, seconds: float) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, limit in ((resource.RLIMIT_AS, max_bytes), (resource.RLIMIT_CPU, int(seconds) + 1)):
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError):  # macOS has no limit of memory that can be set, or a lower one is in force
            continue


def _main(path: str, height: str, width: str, max_bytes: str, seconds: str) -> str:
    _limit(int(max_bytes), float(seconds))
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class for every cause and no common one but this
        return str(error).partition("\n")[0] or type(error).__name__
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 and inputs[0].type == "tensor(float)" else []
    if len(shape) != 4:
        return ""  # no network of images, which whoever loads it says better
    usual = (1, 3, int(height), int(width))
    sides = [side if isinstance(side, int) else expected for side, expected in zip(shape, usual, strict=True)]
    try:
        session.run(None, {inputs[0].name: np.full(sides, 0.5, np.float32)})
    except Exception as error:
        return f"for one image of {sides}: {str(error).partition(chr(10))[0] or type(error).__name__}"
    return ""


if __name__ == "__main__":
    message = _main(*sys.argv[1:])
    sys.stdout.write(message)
    sys.stdout.flush()
    os._exit(0)  # ONNX Runtime may need more memory to end than it is allowed
