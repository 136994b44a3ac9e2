"""The notation of arguments, and the errors for unusable ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.options import onnx_path
from posetrail.wording import counted, people
from tests.command_line import fails, succeeds
from tracker.cli.arguments import clip_path, repeat_set, seconds
from tracker.runs.networks import check_weights
from tracker.settings import InferenceSettings, NetworkSettings, Settings


@given(st.integers(0, 99), st.integers(0, 59), st.floats(0, 59.999))
def test_times_are_parsed_as_seconds_or_clock_time(hours: int, minutes: int, rest: float) -> None:
    assert seconds(f"{hours}:{minutes:02}:{rest:06.3f}") == pytest.approx(hours * 3600 + minutes * 60 + rest, abs=1e-3)
    assert seconds(f"{minutes}:{rest:06.3f}") == pytest.approx(minutes * 60 + rest, abs=1e-3)
    assert seconds(f"{rest}") == rest


@pytest.mark.parametrize("text", ["", "a", "1:60", "1:99:00", ":5", "1:2:3:4", "-1:00", "0:05s"])
def test_an_invalid_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match="expected seconds such as 90, or a time such as 1:30"):
        seconds(text)


def test_a_wrong_time_names_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, "track", "x.mp4", "--start", "0:5x")
    assert "--start" in line
    assert "1:30" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rtsp://camera/1", "got the URL rtsp://camera/1"),
        ("https://example.org/clip.mp4", "download it"),
        ("0", "use `posetrail live 0`"),
        ("/dev/video0", "use `posetrail live /dev/video0`"),
    ],
)
def test_urls_and_cameras_are_refused(capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    for command in ("track", "batch"):
        line = fails(capsys, command, text)
        assert words in line
        assert "expected a video file, a folder of images or a quoted glob" in line


def test_a_file_may_be_named_like_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0").touch()
    assert clip_path("0") == Path("0")
    assert clip_path("C:/clip.mp4") == Path("C:/clip.mp4")  # a drive is no scheme of a URL


@pytest.mark.parametrize("command", ["track", "draw", "follow"])
def test_several_clips_get_a_hint_at_batch(capsys: pytest.CaptureFixture[str], command: str) -> None:
    line = fails(capsys, command, "a.mp4", "b.mp4", "c.mp4")
    assert "got 2 more (b.mp4 c.mp4)" in line
    assert "`posetrail batch`" in line


def test_several_settings_after_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repeat_set(["--set", "a=1", "b=2", "clip.mp4"]) == ["--set", "a=1", "--set", "b=2", "clip.mp4"]
    assert repeat_set(["--set=a=1", "b=2"]) == ["--set=a=1", "--set", "b=2"]
    twice = ["--set", "a=1", "--set", "b=2"]
    assert repeat_set(twice) == twice
    assert repeat_set(["c=3", "--set", "a=1", "x", "b=2"]) == ["c=3", "--set", "a=1", "x", "b=2"]
    monkeypatch.chdir(tmp_path)
    Path("b=2.mp4").touch()
    assert repeat_set(["--set", "a=1", "b=2.mp4"]) == ["--set", "a=1", "b=2.mp4"]


def test_both_settings_after_one_set_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nonsense" in fails(capsys, "follow", "gone", "--set", "track_buffer_s=1", "nonsense=2")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(networks=NetworkSettings(detector_weights=Path("w"))), "--detector NAME with --detector-weights w"),
        (Settings(networks=NetworkSettings(detector_weights=Path("w"))), "got nanodet, which loads no weights file"),
        (
            Settings(networks=NetworkSettings(estimator_weights=Path("w"))),
            "--estimator NAME with --estimator-weights w",
        ),
        (Settings(inference=InferenceSettings(flow_weights=Path("w"))), "--flow NAME with --flow-weights w"),
        (Settings(networks=NetworkSettings(appearance_weights=Path("w"))), "--appearance NAME with"),
    ],
)
def test_weights_without_their_network_are_refused(settings: Settings, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_weights(settings)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            Settings(networks=NetworkSettings(detector_weights=Path("rtmpose_s"))),
            "detector_weights: expected weights of --detector nanodet, got rtmpose_s; "
            "give --estimator rtmpose_s --estimator-weights rtmpose_s",
        ),
        (
            Settings(networks=NetworkSettings(estimator="rtmpose_m", estimator_weights=Path("rtmpose_s_coco"))),
            "estimator_weights: expected weights of --estimator rtmpose_m, got rtmpose_s_coco; "
            "give --estimator rtmpose_s --estimator-weights rtmpose_s_coco",
        ),
        (
            Settings(inference=InferenceSettings(flow_weights=Path("torchvision:raft_large"))),
            "flow_weights: expected weights of --flow lk, got torchvision:raft_large; "
            "give --flow raft --flow-weights torchvision:raft_large",
        ),
    ],
)
def test_published_weights_of_another_network_are_refused(settings: Settings, line: str) -> None:
    with pytest.raises(InputError) as error:
        check_weights(settings)
    assert str(error.value) == line


def test_a_weights_file_with_the_name_of_published_weights_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rtmpose_s").touch()
    check_weights(Settings(networks=NetworkSettings(detector="yolox_s", detector_weights=Path("rtmpose_s"))))


def test_published_weights_of_the_chosen_networks_are_accepted() -> None:
    networks = NetworkSettings(
        detector="yolox_s",
        detector_weights=Path("yolox_s"),
        estimator="rtmpose_s",
        estimator_weights=Path("rtmpose_s_coco"),
    )
    inference = InferenceSettings(flow="raft", flow_weights=Path("torchvision:raft_large"))
    check_weights(Settings(networks=networks, inference=inference))


def test_an_onnx_file_is_recognised_by_prefix_or_suffix() -> None:
    assert onnx_path("onnx:some/file") == Path("some/file")
    assert onnx_path("some/file.ONNX") == Path("some/file.ONNX")
    assert onnx_path("rtmpose_m") is None


def test_numbers_agree_with_their_nouns() -> None:
    assert [people(number) for number in (0, 1, 2)] == ["0 people", "1 person", "2 people"]
    assert counted(1, "frame") == "1 frame"


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
        "doctor",
        "models",
    ]
    + [f"models {command}" for command in ("list", "fetch", "verify", "path", "export")],
)
def test_a_short_flag_shows_the_same_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    shown, same = (succeeds(capsys, *command.split(), flag) for flag in ("-h", "--help"))
    assert shown == same != ""


def test_draw_without_a_run_is_reported_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for style in ("lines", "bar", "auto"):
        assert "run.json" in fails(capsys, "draw", str(tmp_path), "--progress", style)
