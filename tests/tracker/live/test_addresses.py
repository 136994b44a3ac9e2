"""Addresses of live sources are told apart, and shown without their passwords."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posetrail.errors import InputError
from tests.command_line import fails
from tracker.io.live_address import live_address, redacted, redacted_text

# Secrets that no test text contains by chance: their ends are looked for.
ANY = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).map(lambda s: f"Zq7{s}qZ")


@given(ANY, ANY)
@example("user", "p@ss/wo?rd#1")
def test_user_and_password_before_the_host_are_hidden(user: str, password: str) -> None:
    for text in (f"rtsp://{user}:{password}@camera:554/stream", f"{user}:{password}@camera/stream"):
        assert user not in redacted(text)
        assert password not in redacted(text)
        assert password not in redacted_text(f"a {text} b") or "://" not in text
    assert redacted("rtsp://user:p@ss@camera:554/stream") == "rtsp://***@camera:554/stream"


@given(ANY, st.sampled_from(["password", "pwd", "token", "auth", "key", "sig", "anything"]))
@example("Zq7a&b=c#d", "token")
def test_values_of_parameters_are_hidden(secret: str, name: str) -> None:
    for text in (
        f"http://camera/video?{name}={secret}&channel=2",
        f"http://u:p@camera/video?channel=2&{name}={secret}",
    ):
        shown = redacted(text)
        assert "Zq7" not in shown
        assert "qZ" not in shown
    assert redacted(f"http://camera/video?{name}=abc&channel=2") == "http://camera/video?***&channel=2"


@given(ANY)
def test_passwords_within_paths_and_stream_keys_are_hidden(secret: str) -> None:
    key = secret.replace("/", "")
    for text in (
        f"rtsp://camera/user=admin_password={key}_channel=1.sdp",
        f"rtmp://server/live/{key}",
        f"http://a/b#{key}",
    ):
        assert "Zq7" not in redacted(text)
        assert "qZ" not in redacted(text)


@given(st.text(max_size=60))
def test_redaction_of_any_text_ends_and_changes_nothing_further(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once
    assert redacted_text(redacted_text(text)) == redacted_text(text)


def test_other_addresses_stay_as_they_are() -> None:
    for text in (
        "rtsp://camera:554/stream1",
        "http://10.0.0.5:8080/video.mjpg",
        "udp://127.0.0.1:1234",
        "0",
        "-",
        "a/b",
    ):
        assert redacted(text) == text
    assert redacted_text("a rtsp://u:p@h/x b") == "a rtsp://***@h/x b"


def test_kinds_and_names_of_sources(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "poses.fifo")
    expected = {
        "0": ("camera", "camera 0", "camera0"),
        "/dev/video2": ("camera", "camera /dev/video2", "camera2"),
        "rtsp://u:p@cam-1:554/main": ("network", "rtsp://***@cam-1:554/main", "cam-1"),
        "-": ("pipe", "stdin", "stdin"),
        str(tmp_path / "poses.fifo"): ("pipe", str(tmp_path / "poses.fifo"), "poses"),
    }
    for text, kind_text_name in expected.items():
        address = live_address(text)
        assert (address.kind, str(address), address.name) == kind_text_name
        assert "u:p" not in repr(address)
    assert live_address(0) == live_address("0")


def test_what_is_no_source_is_refused_without_its_password() -> None:
    for text in ("nowhere.mp4", "admin:secret@camera/stream", "", "\0"):
        with pytest.raises(InputError, match="SOURCE: expected the number of a camera") as refused:
            live_address(text)
        assert "secret" not in str(refused.value)


def test_errors_of_other_commands_hide_passwords_too(capsys: pytest.CaptureFixture[str]) -> None:
    address = "rtsp://admin:secret@camera/stream"
    for arguments in (("track", address), ("track", "a", address), ("view", "x", f"--nosuch={address}")):
        line = fails(capsys, *arguments)
        assert "secret" not in line
    assert "posetrail live rtsp://***@camera/stream" in fails(capsys, "track", address)
