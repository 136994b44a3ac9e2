"""The log of corrections: killed writers, damaged files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from posetrail.errors import InputError
from tests.corrected_runs import make_run
from tracker.io.corrections_log import read_corrections
from tracker.runs.corrected import CorrectedRun

WRITER = """
import sys
from pathlib import Path
from tracker.runs.corrected import CorrectedRun

with CorrectedRun(Path(sys.argv[1])) as run:
    print("ready", flush=True)
    for number in range(10_000):
        run.apply({"op": "name", "pose": [number % 60, 0], "name": f"person {number}" * 5})
        print(run.revision, flush=True)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with ten corrections."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "walkers")
    with CorrectedRun(folder) as run:
        for number in range(10):
            run.apply({"op": "name", "pose": [6 * number, 0], "name": f"Ada {number}"})
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, to damage."""
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a signal")
def test_a_killed_writer_leaves_every_correction_whole_or_none_of_it(folder: Path) -> None:
    for delay_s in (0.05, 0.2):
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(delay_s)
            os.kill(writer.pid, signal.SIGKILL)
            reported = [int(line) for line in writer.stdout if line.endswith("\n")]
        with CorrectedRun(folder) as run:
            assert run.revision >= max(reported, default=10)
            run.apply({"op": "checked", "from": 0, "to": 5})
            assert run.entries[-1].operation["op"] == "checked"


def test_half_a_last_line_is_dropped(folder: Path) -> None:
    path = folder / "corrections.jsonl"
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    for cut in range(len(content) - len(lines[-1]) + 1, len(content), 7):
        path.write_bytes(content[:cut])
        assert len(read_corrections(path).lines) == 9
    with CorrectedRun(folder) as run:
        assert run.revision == 9
        run.apply({"op": "checked", "from": 0, "to": 5})
    assert path.read_bytes().startswith(b"".join(lines[:-1]))
    with CorrectedRun(folder) as run:
        assert run.revision == 10
    path.write_bytes(lines[0][:10])
    with CorrectedRun(folder) as run:
        assert run.revision == 0


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_log_is_refused_in_one_line_or_gives_its_first_corrections(folder: Path, seed: int) -> None:
    random = Random(seed)
    path = folder / "corrections.jsonl"
    content = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(content))
        match random.randrange(5):
            case 0:
                content[at] ^= 1 << random.randrange(8)
            case 1:
                content[at : at + random.randrange(40)] = b""
            case 2:
                content[at:at] = random.choice([b"\n", b"{}", b"\x00" * 20, b"[" * 2000, b"1e999", b"-5", b'"'])
            case 3:
                del content[at:]
                content = content or bytearray(b"x")
            case _:
                content += random.choice([b"{", b"\x00" * 100, b'{"n":11,"op":"undo","of":3}\n', b"null\n"])
    path.write_bytes(content)
    refusal = str(path)
    try:
        with CorrectedRun(folder) as run:
            assert run.revision <= 11
            run.apply({"op": "checked", "from": 0, "to": 5})
    except InputError as error:
        refusal = str(error)
    assert str(path) in refusal
    assert "\n" not in refusal
