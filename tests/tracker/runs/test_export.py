"""The tracks of a run as a PoseTrack, COCO or CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval_posetrack.formats.files import read_clip
from eval_posetrack.readers import READERS
from posetrail.errors import InputError
from tests.command_line import fails, succeeds
from tests.truth_networks import truth_networks
from tests.worlds import Walker, World, line, write_images
from tracker.io.video import open_source
from tracker.runs.export import EXPORT_FORMATS, export_name, export_run
from tracker.runs.folder import run_clip
from tracker.settings import Settings

WORLD = World(
    (Walker(line((20, 60), (120, 0)), missed=lambda f: 8 <= f < 12), Walker(line((500, 75), (-120, 0)))), num_frames=24
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    images = write_images(WORLD, folder / "two walkers")
    run_clip(open_source(images), folder / "run", truth_networks(WORLD), Settings())
    return folder / "run"


def test_posetrack_is_the_file_of_the_run(run: Path, tmp_path: Path) -> None:
    file = export_run(run, "posetrack", output=tmp_path / "tracks.json")
    assert file.read_bytes() == (run / "tracks.json").read_bytes()


def test_csv_is_the_table_of_the_run(run: Path, tmp_path: Path) -> None:
    assert export_run(run, "csv", output=tmp_path / "a.csv").read_bytes() == (run / "tracks.csv").read_bytes()


def test_coco_has_the_same_people_in_the_same_frames(run: Path, tmp_path: Path) -> None:
    (clip,) = READERS["coco"](export_run(run, "coco", output=tmp_path / "a.json"), None, None)
    tracks = read_clip(run / "tracks.json")
    assert clip.num_frames == tracks.num_frames == 24
    assert clip.frames.tolist() == tracks.frames.tolist()
    assert clip.track_ids.tolist() == tracks.track_ids.tolist()


@pytest.mark.parametrize("to", EXPORT_FORMATS)
def test_without_an_output_the_file_is_in_the_folder_of_the_run(run: Path, to: str) -> None:
    file = export_run(run, to)
    assert file == run / export_name(to)
    assert file.stat().st_size > 1000
    file.unlink()


def test_the_command_prints_the_path(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.csv"
    assert succeeds(capsys, "export", run, "--to", "csv", "-o", file) == f"{file}\n"
    assert file.is_file()


def test_files_of_the_run_are_not_overwritten(run: Path) -> None:
    for name in ("tracks.json", "run.json", "poses.arrow"):
        before = (run / name).read_bytes()
        with pytest.raises(InputError, match="is a file of the run"):
            export_run(run, "posetrack", output=run / name)
        assert (run / name).read_bytes() == before


def test_problems_are_reported_in_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="unknown export format 'coc'; did you mean 'coco'"):
        export_run(run, "coc")
    with pytest.raises(InputError, match="expected an existing folder"):
        export_run(run, "csv", output=tmp_path / "none" / "a.csv")
    with pytest.raises(InputError, match="expected a file to write, got a folder"):
        export_run(run, "csv", output=tmp_path)
    assert "run.json" in fails(capsys, "export", tmp_path, "--to", "csv")
    assert not list(tmp_path.iterdir())
