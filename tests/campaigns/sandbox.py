"""A command in a folder of its own, with limits on time, memory and disc, and the judgement of how it ended.

A sandbox has folders `in` (clips and files, which must stay as they are), `out` (the one that may change), `cwd`,
`home`, `tmp`, and `outside` with files that nothing may open.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

from .product import SIGNALS, Product

REPOSITORY = Path(__file__).parents[2]
POSETRAIL = Path(sys.executable).parent / "posetrail"
FOLDERS = ("in", "out", "cwd", "home", "tmp", "outside")
PAGE = resource.getpagesize()

Start = Literal["fork", "fresh", "real"]
"""fork: of this process, at once. fresh: a new interpreter, with the same fakes. real: the installed command."""


class Finding(Exception):
    """A fault that a campaign has found; the text describes it in one line."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    seconds: float = 180.0  # a hang, even where others share the machine
    megabytes: float = 2000.0  # resident, of all its processes together
    disc_megabytes: float = 300.0  # of all files in the sandbox


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int  # negative: minus the signal
    out: str
    err: str
    seconds: float
    megabytes: float

    @property
    def outcome(self) -> str:
        if self.code < 0:
            return f"signal {-self.code}"
        known = {0: "warned" if self.err else "done", 2: "damaged" if self.out else "refused", 3: "some failed"}
        return known.get(self.code, "stopped" if self.code in (130, 143) else f"exit code {self.code}")


@dataclass(frozen=True)
class Action:
    """What is done to a running command: `act(process group)` so many seconds after its start."""

    after_s: float
    act: Callable[[int], object]


def send(signal_number: signal.Signals, after_s: float, *, group: bool = False) -> Action:
    """A signal for the command alone, as `kill` sends it, or for all its processes, as a terminal does."""
    return Action(after_s, lambda pid: (os.killpg if group else os.kill)(pid, signal_number))


@dataclass(frozen=True)
class Sandbox:
    root: Path
    shared: Path  # of the whole campaign: what is expensive to make

    def __post_init__(self) -> None:
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("secret.txt", "secret.png", "secret.json"):
            (self.outside / name).write_bytes(b"no command opens this\n")

    @property
    def given(self) -> Path:
        return self.root / "in"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def state(self) -> dict[Path, object]:
        """Every file and folder except results and those of the campaign, with what changes if it is written to."""
        found: dict[Path, object] = {}
        for name in FOLDERS:
            for folder, folders, files in os.walk(self.root / name) if name != "out" else ():
                here = Path(folder)
                found |= {here / name: None for name in folders}
                for name in files:
                    about = (here / name).lstat()
                    found[here / name] = (about.st_size, about.st_mtime_ns, about.st_mode)
        return found

    def judge_changes(self, before: Mapping[Path, object], allowed: Sequence[Path] = ()) -> None:
        """Nothing has changed since but in the folders where it may.

        Raises:
            Finding: it has.
        """
        after = self.state()
        for path in {**before, **after}:
            if before.get(path) != after.get(path) and not any(path.is_relative_to(folder) for folder in allowed):
                change = "makes" if path not in before else "removes" if path not in after else "changes"
                raise Finding(f"{change} {path} outside the output folder")

    def posetrail(
        self,
        *arguments: object,
        product: Product = Product(),  # noqa: B008 frozen
        start: Start = "fork",
        actions: Sequence[Action] = (),
        limits: Limits = Limits(),
        may_change: Sequence[Path] = (),
        lines: int | None = 1,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run a command to its end, and judge it; see `Running.judged`."""
        command = [str(each) for each in arguments]
        return Running(self, command, product, start, environment or {}).judged(actions, limits, may_change, lines)


@dataclass
class Running:
    """A command at work; several may be, in one sandbox."""

    sandbox: Sandbox
    arguments: list[str]
    product: Product = field(default_factory=Product)
    start: Start = "fork"
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        root = self.sandbox.root
        self.notes = root / f"notes-{len(list(root.glob('notes-*')))}"
        self.notes.mkdir()
        (self.notes / "command.txt").write_text(" ".join(map(repr, self.arguments)) + "\n" + self.product.to_json())
        self._before = self.sandbox.state()
        self._started = time.perf_counter()
        self._pid = self._forked() if self.start == "fork" else self._opened()

    def _environment(self) -> dict[str, str]:
        root = self.sandbox.root
        home = str(root / "home")
        own = {"HOME": home, "XDG_CACHE_HOME": home, "XDG_CONFIG_HOME": home, "POSETRAIL_HOME": home}
        own |= {"TMPDIR": str(root / "tmp"), "COLUMNS": "200", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **own, "PYTHONPATH": str(REPOSITORY), **self.environment}

    def _forked(self) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork() or self._be_the_command()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return pid

    def _be_the_command(self) -> NoReturn:
        code = 1
        try:
            os.setsid()
            os.environ.update(self._environment())
            os.chdir(self.sandbox.root / "cwd")
            self._redirect()
            Product(**{**vars(self.product), "audit": str(self.notes / "audit")}).run(self.arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                if not stream.closed:
                    stream.flush()
            os._exit(code)

    def _redirect(self) -> None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(self.notes / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)

    def _opened(self) -> int:
        product = Product(**{**vars(self.product), "audit": str(self.notes / "audit")}).to_json()
        fakes = [sys.executable, "-m", "tests.campaigns.product", product]
        with (self.notes / "stdout").open("ab") as out, (self.notes / "stderr").open("ab") as err:
            return subprocess.Popen(
                [*([POSETRAIL] if self.start == "real" else fakes), *self.arguments],
                cwd=self.sandbox.root / "cwd",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            ).pid

    def ended(self, actions: Sequence[Action] = (), limits: Limits | None = None) -> Ended:
        """Wait for it, and do what is to be done meanwhile.

        Raises:
            Finding: it took too long, or too much memory or disc; it is killed then.
        """
        status, seconds, megabytes = waited(self._pid, self.sandbox.root, limits or Limits(), actions, self._started)
        self._end_children()
        out, err = ((self.notes / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        return Ended(code=status, out=out, err=err, seconds=seconds, megabytes=megabytes)

    def _end_children(self) -> None:
        """Workers of a killed batch end by themselves; they are waited for, and not for ever."""
        for _ in range(1000):
            try:
                os.killpg(self._pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.01)
        os.killpg(self._pid, signal.SIGKILL)
        raise Finding("left processes behind that do not end")

    def judged(
        self,
        actions: Sequence[Action] = (),
        limits: Limits | None = None,
        may_change: Sequence[Path] = (),
        lines: int | None = 1,
        *,
        leftovers: bool = True,
    ) -> Ended:
        """Wait for it, and judge what every command must keep to.

        Args:
            actions: what is done meanwhile.
            limits: on time and memory.
            may_change: folders that may change besides `out`.
            lines: that a refusal has; None: any number of them.
            leftovers: nothing half-written may be left.

        Raises:
            Finding: it did not.
        """
        ended = self.ended(actions, limits)
        judge_words(ended, lines)
        allowed = (self.sandbox.out, *may_change)
        self.sandbox.judge_changes(self._before, allowed)
        _judge_audit(self.notes / "audit", self.sandbox, allowed)
        if leftovers and ended.code >= 0:
            judge_leftovers(self.sandbox.out)
        return ended


def judge_words(ended: Ended, lines: int | None = 1) -> None:
    """No traceback, no fault of ours, one line that describes the error, and a known exit code."""
    output = ended.out + ended.err
    if "Traceback (most recent call last)" in output:
        raise Finding(f"traceback: {output.strip().splitlines()[-1][:300]}")
    if "internal error" in output:
        raise Finding(next(line for line in output.splitlines() if "internal error" in line)[:300])
    if ended.code not in (0, 2, 3, 130, 143, -signal.SIGKILL, -signal.SIGTERM):
        raise Finding(f"{ended.outcome}: {ended.err.strip()[-300:]}")
    own = [line for line in ended.err.splitlines() if line.startswith("posetrail: ")]
    stray = [line for line in ended.err.splitlines() if line not in own]
    if not ended.code:  # notes of `convert` and `eval` begin with what they are about
        stray = [line for line in stray if _NOISE.search(line)]
    if stray:
        raise Finding(f"says what is no line of ours: {stray[0][:300]}")
    if ended.outcome == "refused" and (not own or (lines is not None and len(own) != lines)):
        raise Finding(f"refuses in {len(own)} lines: {' | '.join(own)[:300]}")


def judge_leftovers(folder: Path) -> None:
    """Nothing half-written stays when a command has ended by itself."""
    parts = [path for path in folder.rglob("*") if path.name.endswith(".part")]
    if parts:
        raise Finding(f"leaves {parts[0].relative_to(folder)}")


_NOISE = re.compile(r"^\[|Warning|ERROR|\.(py|cpp|cc|c):\d")  # what libraries say by themselves
_HARMLESS = re.compile(r"/(dev|proc|sys)/|.*/__pycache__/")


def _judge_audit(notes: Path, sandbox: Sandbox, allowed: Sequence[Path]) -> None:
    for line in set(notes.read_text(errors="surrogateescape").splitlines()) if notes.is_file() else ():
        word, _, name = line.partition(" ")
        path = Path(name)
        if path.is_relative_to(sandbox.outside):
            raise Finding(f"{word} {path}")
        lock = path.name == ".posetrail.lock"  # a run that is read is locked, and left as it was
        fine = (
            word == "reads" or lock or _HARMLESS.match(name) or any(path.is_relative_to(folder) for folder in allowed)
        )
        if not fine and not path.is_relative_to(sandbox.root / "tmp"):
            raise Finding(f"{word} {path}, outside the output folder")


def waited(
    pid: int, root: Path, limits: Limits, actions: Sequence[Action] = (), started: float | None = None
) -> tuple[int, float, float]:
    """Wait for the leader of a process group, and do what is to be done meanwhile: exit code, seconds, megabytes.

    Raises:
        Finding: it went beyond the limits; it is killed then.
    """
    waiting = sorted(actions, key=lambda action: -action.after_s)
    started = time.perf_counter() if started is None else started
    most = disc = looked = 0.0
    fault = ""
    while True:
        ended, status, _ = os.wait4(pid, os.WNOHANG)
        seconds = time.perf_counter() - started
        if ended:
            break
        while waiting and seconds >= waiting[-1].after_s:
            waiting.pop().act(pid)
        if seconds - looked > 0.1:
            looked = seconds
            most, disc = max(most, _megabytes(pid)), _megabytes_of_files(root)
        fault = fault or (f"hangs: {limits.seconds} s" if seconds > limits.seconds else "")
        fault = fault or (f"takes {most:.0f} MB of memory" if most > limits.megabytes else "")
        fault = fault or (f"fills the disc: {disc:.0f} MB" if disc > limits.disc_megabytes else "")
        if fault:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.003)
    if fault:
        raise Finding(fault)
    return os.waitstatus_to_exitcode(status), seconds, most


def _megabytes(group: int) -> float:
    """What the processes of a group hold in memory, together."""
    pages = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group:
                    pages += int(fields[21])
            except (OSError, IndexError):
                continue  # it has just ended
    return pages * PAGE / 1e6


def _megabytes_of_files(root: Path) -> float:
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_blocks * 512
            except OSError:
                continue  # it has just gone
    return total / 1e6


def in_child(work: Callable[[], object]) -> bool:
    """Do something in a silent process of its own, whose threads and words end with it; whether it was done."""
    pid = os.fork()
    if not pid:
        try:
            for number in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0
