"""What of a source is noteworthy reaches whoever runs posetrail, and what a drawn video looks like in a player."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv
import pytest

from tests.batch_worlds import SETTINGS, WORLD, task, truth
from tests.media import write_video
from tests.worlds import PowerCut, World, power_cut_after, write_images
from tracker.batch.clip import track_listed_clip
from tracker.batch.clip_list import ListedClip
from tracker.io.video import Source, open_source
from tracker.runs.draw import draw_run
from tracker.runs.folder import run_clip
from tracker.runs.follow import follow_run
from tracker.runs.record import Outcome
from tracker.runs.segments import cut
from tracker.settings import AssociationSettings

FPS, FRAMES = round(WORLD.fps), 12

SHORT = World(WORLD.walkers, 4, size=WORLD.size)


def write_clip(path: Path, ticks: list[int] | None = None) -> Path:
    """The world without loss, whose detector reads the frame number in the first pixel."""
    images = [frame.image for frame in WORLD.frames()][: len(ticks) if ticks else FRAMES]
    return write_video(path, images, codec="ffv1", pix_fmt="bgr0", fps=FPS, ticks=ticks)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joined")
    part = write_clip(folder / "part.mkv").read_bytes()
    (folder / "joined.mkv").write_bytes(part + part)
    return folder / "joined.mkv"


def run(source: Source, folder: Path, segment_s: float | None = None, **options: object) -> Outcome:
    segments = cut(source, SETTINGS.inference, segment_s)
    with truth(SETTINGS) as networks:
        return run_clip(source, folder, networks, SETTINGS, segments=segments, **options)  # type: ignore[arg-type]


def recorded_warnings(folder: Path) -> list[tuple[str, str]]:
    """File and text of each warning in run.json."""
    return [(each["file"], each["text"]) for each in json.loads((folder / "run.json").read_text())["warnings"]]


def times(video: Path) -> list[float]:
    return [frame.time_s for frame in open_source(video).frames()]


def test_notes_are_warnings_of_the_run_and_stay_with_it(joined: Path, tmp_path: Path) -> None:
    source = open_source(joined)
    (note,) = source.notes
    folder = tmp_path / "clip"
    outcome = run(source, folder)
    assert (outcome.status, outcome.frames, outcome.warnings) == ("complete", 2 * FRAMES, (note,))
    assert recorded_warnings(folder) == [("", note)]
    follow_run(folder, AssociationSettings(offline=False))
    assert recorded_warnings(folder) == [("", note)]
    assert run(source, tmp_path / "cut", segment_s=0.3).warnings == (note,)
    with pytest.raises(PowerCut):
        run(source, tmp_path / "again", on_frame=power_cut_after(20))
    assert run(source, tmp_path / "again", if_exists="continue").warnings == (note,)
    assert run(open_source(joined), tmp_path / "again", if_exists="continue").warnings == (note,)  # all is done


def test_notes_stand_in_the_row_of_a_batch(tmp_path: Path) -> None:
    folder = write_images(SHORT, tmp_path / "walk")
    (folder / "walk.mp4").write_bytes(b"beside")
    (tmp_path / "out").mkdir()
    with truth(SETTINGS) as networks:
        row = track_listed_clip(ListedClip(folder, "walk"), networks, task(tmp_path / "out"))
    assert (row.status, row.warnings) == ("complete", f"{folder}: the images are read; walk.mp4 beside them is not")


@pytest.mark.parametrize("first_s", [0.0, 600.0])
def test_the_video_of_a_slice_starts_at_0_and_the_tables_keep_the_times(tmp_path: Path, first_s: float) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [round(1000 * (first_s + n / FPS)) for n in range(15)])
    folder = tmp_path / "out"
    run(open_source(clip, start_s=0.3, end_s=0.4), folder, video=True)
    table = pyarrow.csv.read_csv(folder / "tracks.csv").to_pydict()
    expected = [round(1000 * (first_s + n / FPS)) / 1000 for n in range(9, 12)]
    assert sorted(set(table["time_s"])) == pytest.approx(expected, abs=1e-3)
    drawn = [time_s - expected[0] for time_s in expected]
    assert times(folder / "video.mp4") == pytest.approx(drawn, abs=1e-4)
    assert times(draw_run(folder, output=tmp_path / "later.mp4")) == pytest.approx(drawn, abs=1e-4)


def test_a_picture_an_hour_is_drawn(tmp_path: Path) -> None:
    folder = write_images(SHORT, tmp_path / "garden")
    outcome = run(open_source(folder, fps=1 / 3600), tmp_path / "out", video=True)
    assert (outcome.status, outcome.warnings) == ("complete", ())
    assert times(tmp_path / "out" / "video.mp4") == [3600.0 * n for n in range(SHORT.num_frames)]


def test_a_gap_that_mp4_cannot_hold_is_shortened_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [0, 33, 7_000_000, 7_000_033])
    folder = tmp_path / "out"
    outcome = run(open_source(clip), folder, video=True)
    text = "1 gap is shortened to 5965 s, all that MP4 can hold"
    expected = f"video.mp4: {text}"
    assert outcome.warnings == (expected,)
    assert recorded_warnings(folder) == [("video.mp4", text)]
    assert times(folder / "video.mp4") == pytest.approx([0, 0.033, 5965.265, 5965.298], abs=1e-2)
    notes: list[str] = []
    draw_run(folder, output=tmp_path / "later.mp4", on_note=notes.append)
    assert notes == [f"later.mp4: {text}"]
    # It is no reason to draw it again.
    monkeypatch.setattr("tracker.runs.folder.draw_tracks", lambda *_, **__: pytest.fail("drawn again"))
    assert run(open_source(clip), folder, video=True, if_exists="continue").warnings == (expected,)
