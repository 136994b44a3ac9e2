"""The command as it is installed, in a clean directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import fails, succeeds
from tests.conftest import TESTS

POSETRAIL = Path(sys.executable).parent / "posetrail"


def posetrail(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([POSETRAIL, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


def test_track_writes_a_run_that_follow_and_draw_use(example_clip: Path, tmp_path: Path) -> None:
    done = posetrail("track", example_clip, "--end", 0.1, "--video", "--save", "coco,csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "posetrail_out" / "pose2sim_cam01"
    assert done.stdout.startswith("posetrail_out/pose2sim_cam01: 6 frames, ")
    assert {p.name for p in folder.iterdir()} == {
        "poses.arrow",
        "frames.npz",
        "run.json",
        "tracks.csv",
        "tracks.json",
        "tracks.coco.json",
        "video.mp4",
    }
    assert "6/6 frames" in done.stderr

    done = posetrail("follow", folder, "--set", "similarity=iou", "--track-buffer-s", 1, "-o", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "again" / "run.json").read_text())
    assert record["settings"]["association"]["similarity"] == "iou"
    assert record["settings"]["association"]["track_buffer_s"] == 1.0

    done = posetrail("draw", folder, "-o", "drawn.mp4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "drawn.mp4").stat().st_size > 10_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "drawn.mp4", "posetrail_out"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), (b"", "empty"), (b"this is not a video\n" * 100, "no video")],
    ids=["missing", "empty", "text"],
)
def test_an_unreadable_video_is_reported_in_one_line_and_no_folder_is_created(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    if content is not None:
        clip.write_bytes(content)
    done = posetrail("track", clip, "-o", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("posetrail: ")
    assert words in line
    assert not (tmp_path / "out").exists()


def test_a_truncated_video_keeps_the_readable_frames(example_clip: Path, tmp_path: Path) -> None:
    whole = example_clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 8])
    done = posetrail("track", "cut.mp4", "--stride", 4, "--progress", "none", cwd=tmp_path)
    if "posetrail_out" in done.stdout:  # the example's index stands at its beginning
        assert json.loads((tmp_path / "posetrail_out" / "cut" / "run.json").read_text())["status"] == "damaged"
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_flag_is_reported_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "Did you mean" in fails(capsys, "track", "x.mp4", "--detct-every", "3")
    assert "detect_every: expected a whole number from 1 to 1000, or none, got 0" in fails(
        capsys, "track", "x.mp4", "--detect-every", "0"
    )
    assert "known: default, simple-baselines" in fails(capsys, "track", "x.mp4", "--preset", "best")
    assert "NAME=VALUE" in fails(capsys, "follow", "run", "--set", "similarity")
    assert "did you mean 'csv'" in fails(capsys, "track", "x.mp4", "--save", "cvs")
    (tmp_path / "settings.toml").write_text("detect_every = [")
    assert "not TOML" in fails(capsys, "track", "x.mp4", "--config", str(tmp_path / "settings.toml"))


def test_flags_override_the_config_file_which_overrides_the_preset(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, example_clip: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('flow = "none"\ntrack_buffer_s = 7\n')
    out = tmp_path / "out"
    arguments = f"track {example_clip} -o {out} --end 0.03 --progress none --preset simple-baselines"
    arguments += f" --config {file} --track-buffer-s 3 --set detect_every=2"
    succeeds(capsys, *arguments.split())
    settings = json.loads((out / "pose2sim_cam01" / "run.json").read_text())["settings"]
    assert settings["association"]["track_buffer_s"] == 3  # flag
    assert settings["inference"]["detect_every"] == 2  # --set
    assert settings["inference"]["flow"] == "none"  # file
    assert settings["association"]["assignment"] == "greedy"  # preset
    assert settings["inference"]["propagated_box_margin"] == 0.15  # default


def test_a_file_may_have_settings_that_a_command_does_not_need(example_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('detect_every = 2\nsimilarity = "oks"\n')
    assert posetrail("track", example_clip, "--end", 0.03, "-o", ".", cwd=tmp_path).returncode == 0
    done = posetrail("follow", "pose2sim_cam01", "--config", "settings.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((tmp_path / "pose2sim_cam01" / "run.json").read_text())["settings"]["association"]["similarity"]
        == "oks"
    )
    (tmp_path / "settings.toml").write_text("detect_evry = 2\n")
    done = posetrail("follow", "pose2sim_cam01", "--config", "settings.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "detect_evry" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_keeps_the_finished_frames(example_clip: Path, tmp_path: Path) -> None:
    command = [POSETRAIL, "track", example_clip, "--progress", "json"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert json.loads(running.stderr.readline())["frames"] >= 1
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "stopped" in stderr.splitlines()[-1]
    run = json.loads((tmp_path / "posetrail_out" / "pose2sim_cam01" / "run.json").read_text())
    assert run["status"] == "interrupted"
    assert 1 <= run["figures"]["frames"] < 100


@pytest.mark.parametrize(
    "command",
    [
        "",
        "track",
        "batch",
        "follow",
        "draw",
        "lift",
        "export",
        "report",
        "angles",
        "view",
        "suspects",
        "eval",
        "eval3d",
        "convert",
        "models",
        "doctor",
    ],
)
def test_help_imports_nothing_heavy(command: str) -> None:
    heavy = ("torch", "numpy", "cv2", "av", "pyarrow", "pandas", "scipy", "onnxruntime")
    arguments = [*command.split(), "--help-all"]
    program = f"import sys; from tracker.cli.app import main\ntry: main({arguments})\nexcept SystemExit: pass\n"
    program += f"print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Unknown option" not in done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_eval_and_convert_are_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    golden = TESTS / "golden" / "posetrack" / "synth"
    assert succeeds(capsys, "eval", golden / "gt18", golden / "pred18", "--metrics", "MOT").startswith("Pose tracking")
    assert "got none" in fails(capsys, "eval", str(tmp_path), str(tmp_path))
    coco = tmp_path / "coco.json"
    coco.write_text(json.dumps([{"image_id": 1, "category_id": 1, "keypoints": [9.0, 9.0, 1.0] * 17, "score": 0.9}]))
    succeeds(capsys, "convert", coco, tmp_path / "poses.json", "--from", "coco")
    assert len(json.loads((tmp_path / "poses.json").read_text())["annotations"]) == 1


def test_follow_takes_poses_of_other_programs(tmp_path: Path) -> None:
    truth = TESTS / "golden" / "posetrack" / "synth" / "gt18"
    done = posetrail("follow", truth / "000001_mpii_test.json", "-o", "one", "--fps", 25, "--save", "mot", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("one: 80 frames, ")
    assert (tmp_path / "one" / "tracks.mot.txt").exists()
    done = posetrail("eval", truth / "000001_mpii_test.json", "one", "--metrics", "MOT", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    folder = tmp_path / "poses"
    folder.mkdir()
    for name in ("000001_mpii_test", "000003_bonn_test"):
        (folder / f"{name}.json").write_bytes((truth / f"{name}.json").read_bytes())
    (folder / "000002_torn.json").write_text("{")
    done = posetrail("follow", "poses", "-o", "all", cwd=tmp_path)
    assert done.returncode == 3
    assert [line for line in done.stderr.splitlines() if "expected JSON" in line] == [
        line for line in done.stderr.splitlines() if "torn" in line
    ]
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["000001_mpii_test", "000003_bonn_test"]


def test_follow_both_compares_online_and_offline(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    truth = TESTS / "golden" / "posetrack" / "synth" / "gt18" / "000001_mpii_test.json"
    out = tmp_path / "out"
    stdout = succeeds(capsys, "follow", truth, "-o", out, "--both", "--ground-truth", truth, "--fps", 25)
    table = stdout[stdout.index("Online and offline") :]
    assert all(name in table for name in ("people", "interpolated", "MOTA", "IDF1", "HOTA", "│ online", "│ offline"))
    for way in ("online", "offline"):
        settings = json.loads((out / way / "run.json").read_text())["settings"]
        assert settings["association"]["offline"] == (way == "offline")
    assert (out / "online" / "poses.arrow").read_bytes() == (out / "offline" / "poses.arrow").read_bytes()

    succeeds(capsys, "follow", out / "offline", "-o", tmp_path / "again", "--online")
    for name in ("tracks.json", "tracks.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (out / "online" / name).read_bytes()
    assert "--ground-truth goes with --both" in fails(
        capsys, "follow", str(out / "offline"), "--ground-truth", str(truth)
    )
    assert "give one with -o" in fails(capsys, "follow", str(out / "offline"), "--both")


def test_models_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert "movenet_thunder" in succeeds(capsys, "models")
