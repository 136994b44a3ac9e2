"""Tries an ONNX file from the user in a separate process with limited time and memory.

ONNX Runtime evaluates constant expressions while it loads a file, so a small file can use all memory or never finish
loading; tensors can also grow in the first run. As legitimate exports contain loops and branches too, the file is not
inspected but executed: before the program uses it, it is loaded and run on one image within the limits. The trial does
not cover behaviour that depends on the image or on the device.

This file is a program that needs only the standard library, NumPy and ONNX Runtime: `python onnx_trial.py FILE HEIGHT
WIDTH BYTES SECONDS`. It prints one line on stdout if something was wrong, and nothing otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIME_LIMIT_S = 120.0
_BASE_BYTES = 4 << 30  # Python, its libraries, and a network of usual size on one image
_BYTES_PER_BYTE = 4  # of the file: its weights as read, and in ONNX Runtime's layout
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # their buffers would count


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the trial of a file."""

    bytes: int
    seconds: float = TIME_LIMIT_S


def limits_for(path: Path) -> Limits:
    """Limits well above those of usual networks; systems without `resource` (Windows) do not limit memory."""
    return Limits(bytes=_BASE_BYTES + _BYTES_PER_BYTE * path.stat().st_size)


def try_file(path: Path, size: tuple[int, int], limits: Limits) -> str:
    """Load a file and run it on one image, in another process.

    Args:
        path: the file.
        size: height and width of the image, pixels, if the file accepts any.
        limits: of the process.

    Returns:
        the error in one line; empty if there was none.
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
        return f"loading it and running it on one image takes more than {limits.seconds:g} s"
    output = " ".join(done.stdout.decode(errors="replace").split())
    if done.returncode == 0 or output:
        return output
    return (
        f"loading it or running it on one image ends the process ({done.returncode}); "
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
        except (OSError, ValueError):  # macOS cannot limit memory, or a lower limit is in force
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
    except Exception as error:  # ONNX Runtime's errors have no common base class but this
        return str(error).partition("\n")[0] or type(error).__name__
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 and inputs[0].type == "tensor(float)" else []
    if len(shape) != 4:
        return ""  # not a network for images; the caller reports that
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
    os._exit(0)  # ONNX Runtime may need more memory than allowed to shut down
