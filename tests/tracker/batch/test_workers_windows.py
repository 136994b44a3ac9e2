"""Workers on a system without SIGKILL, and where the end of a pipe is an error."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from tracker.batch import workers
from tracker.batch.clip import Stopped


@pytest.mark.parametrize(
    ("code", "text"), [(-signal.SIGTERM, "SIGTERM"), (1, "exit code 1"), (None, "exit code None"), (-250, "signal 250")]
)
def test_a_cause_of_death_needs_no_sigkill(monkeypatch: pytest.MonkeyPatch, code: int | None, text: str) -> None:
    monkeypatch.setattr(workers, "signal", SimpleNamespace(Signals=signal.Signals))
    assert workers._cause_of_death(code) == text


def test_a_worker_stops_where_a_closed_pipe_is_an_error() -> None:
    def poll() -> bool:
        raise BrokenPipeError(109, "The pipe has been ended")

    with pytest.raises(Stopped):
        workers._Reporter(SimpleNamespace(poll=poll))(1)  # type: ignore[arg-type]
