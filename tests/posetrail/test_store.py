"""Weights that are fetched: whole and verified whatever the line does, kept where a run finds them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from detectors.published import PUBLISHED as DETECTORS
from posetrail import store
from posetrail.checkpoints import given_weights
from posetrail.download import Patience, download
from posetrail.errors import InputError
from posetrail.published import Published, find_published
from posetrail.skeletons import SKELETONS
from tests.conftest import REPOSITORY
from tests.server import Server, serving, status, whole
from tracker.runs.published import published_weights

CONTENT = hashlib.shake_256(b"weights").digest(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = 32 * 16384  # a whole number of the chunks that are written
PUBLISHED = published_weights()
QUICK = Patience(attempts=3, pause_s=0.01, connect_s=2, read_s=0.3)


def fetched(server: Server, path: Path, sha256: str = SHA256[:8]) -> str:
    return download(server.url, path, sha256=(sha256,), patience=QUICK)


def told(server: Server, path: Path, sha256: str = SHA256[:8]) -> str:
    """The line a user is told when the download fails; nothing is left at the path."""
    with pytest.raises(InputError) as raised:
        fetched(server, path, sha256)
    assert "\n" not in str(raised.value)
    assert not path.exists()
    return str(raised.value)


def part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def test_a_download_is_complete_and_reports_progress(tmp_path: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    with serving(whole(CONTENT)) as server:
        found = download(server.url, tmp_path / "a" / "w.pth", on_progress=lambda *here: progress.append(here))
    assert found == SHA256
    assert (tmp_path / "a" / "w.pth").read_bytes() == CONTENT
    assert progress == sorted(progress)
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert {path.name for path in (tmp_path / "a").iterdir()} <= {"w.pth", ".w.pth.lock"}
    assert server.asked[0][1]["User-Agent"].startswith("posetrail/")


def test_a_file_in_the_store_is_not_downloaded_again(tmp_path: Path) -> None:
    with serving(whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == fetched(server, tmp_path / "w.pth")
    assert len(server.asked) == 1


def test_an_interrupted_download_resumes(tmp_path: Path) -> None:
    cuts = [whole(CONTENT, sends=20 * 16384)] * 3
    with serving(*cuts, whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert server.ranges == [None, "bytes=327680-", "bytes=655360-", "bytes=983040-"]


def test_interruptions_with_progress_do_not_end_the_download(tmp_path: Path) -> None:
    with serving(whole(CONTENT, sends=6 * 16384)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert len(server.asked) == 11 > QUICK.attempts


def test_a_server_without_range_requests_starts_over(tmp_path: Path) -> None:
    with serving(whole(CONTENT, ranges=False, sends=HALF), whole(CONTENT, ranges=False)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_interruptions_without_progress_end_the_download(tmp_path: Path) -> None:
    with serving(whole(CONTENT, ranges=False, sends=HALF)) as server:
        line = told(server, tmp_path / "w.pth")
    assert f"cut off after {HALF} bytes" in line
    assert "fetch it again to continue from there" in line
    assert len(server.asked) == QUICK.attempts
    with serving(whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert server.ranges == [f"bytes={HALF}-"]


def test_a_download_that_times_out_is_retried(tmp_path: Path) -> None:
    with serving(whole(CONTENT, sends=HALF, stalls=True), whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_file_with_another_digest_is_removed_and_reported(tmp_path: Path) -> None:
    wrong = CONTENT[:-1] + b"?"
    with serving(whole(wrong)) as server:
        line = told(server, tmp_path / "w.pth")
        assert f"expected sha256 {SHA256[:8]}, got {hashlib.sha256(wrong).hexdigest()} (1000000 bytes)" in line
        assert not part(tmp_path / "w.pth").exists()
        assert fetched(server, tmp_path / "w.pth", hashlib.sha256(wrong).hexdigest())


def test_a_truncated_download_leaves_no_file(tmp_path: Path) -> None:
    with serving(whole(CONTENT[:HALF])) as server:  # says so itself, so nothing was cut
        assert f"({HALF} bytes)" in told(server, tmp_path / "w.pth")


def test_a_partial_file_of_another_version_is_not_resumed(tmp_path: Path) -> None:
    part(tmp_path / "w.pth").write_bytes(b"x" * HALF)
    with serving(whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert server.ranges == [f"bytes={HALF}-", None]
    part(tmp_path / "v.pth").write_bytes(b"x" * (len(CONTENT) + 1))
    with serving(whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "v.pth") == SHA256


def test_a_complete_partial_file_is_used(tmp_path: Path) -> None:
    part(tmp_path / "w.pth").write_bytes(CONTENT)
    with serving(whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_wrong_range_restarts_the_download(tmp_path: Path) -> None:
    part(tmp_path / "w.pth").write_bytes(CONTENT[:HALF])
    other = status(206, CONTENT[7:], Content_Range=f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
    with serving(other, whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    assert server.ranges == [f"bytes={HALF}-", None]


def test_redirects_are_followed_except_to_unencrypted_urls(tmp_path: Path) -> None:
    with serving(status(302, Location="/elsewhere.pth"), whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
        assert [path for path, _ in server.asked] == ["/weights.pth", "/elsewhere.pth"]
    for address in ("http://example.org/w.pth", "ftp://example.org/w.pth", "http://127.0.0.1.example.org/w.pth"):
        with serving(status(302, Location=address)) as server:
            assert "expected an https URL" in told(server, tmp_path / "v.pth")
    for address in ("http://example.org/w.pth", "http://localhost:1@example.org/w.pth", "file:///etc/passwd"):
        with pytest.raises(InputError, match="expected an https URL"):
            download(address, tmp_path / "v.pth")


def test_permanent_http_errors_are_not_retried(tmp_path: Path) -> None:
    with serving(status(404)) as server:
        assert "the server says 404 Not Found" in told(server, tmp_path / "w.pth")
    assert len(server.asked) == 1
    with serving(status(503, Retry_After=0), status(429), whole(CONTENT)) as server:
        assert fetched(server, tmp_path / "w.pth") == SHA256
    with serving(status(503)) as server:
        assert "503 Service Unavailable" in told(server, tmp_path / "v.pth")
    assert len(server.asked) == QUICK.attempts


def test_a_web_page_is_refused_even_without_a_known_digest(tmp_path: Path) -> None:
    with serving(status(200, b"\n<!doctype html><title>Sign in</title>")) as server:
        assert "got a web page" in told(server, tmp_path / "w.pth")
        with pytest.raises(InputError, match="got a web page"):
            download(server.url, tmp_path / "w.pth")


def test_a_missing_network_connection_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}/w.pth"
    with pytest.raises(InputError, match=r"cannot be reached \(.*refused.*online, does it need a proxy") as raised:
        download(address, tmp_path / "w.pth", patience=QUICK)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="cannot be reached"):
        download("https://nowhere.invalid/w.pth", tmp_path / "w.pth", patience=QUICK)


def test_proxies_are_those_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(whole(CONTENT)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/weights.pth"))
        monkeypatch.setenv("no_proxy", "")
        download("http://localhost:9/w.pth", tmp_path / "w.pth", sha256=(SHA256,), patience=QUICK)
    assert [path for path, _ in proxy.asked] == ["http://localhost:9/w.pth"]


PROGRAM = (
    "import sys, pathlib; from posetrail.download import download; download(sys.argv[1], pathlib.Path(sys.argv[2]), "
)
PROGRAM += "sha256=(sys.argv[3],))"


def downloading(server: Server, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, server.url, path, SHA256], cwd=REPOSITORY)


def test_a_killed_program_resumes_its_download(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    with serving(whole(CONTENT, sends=HALF, stalls=True), whole(CONTENT)) as server:
        with downloading(server, path) as running:
            until = time.monotonic() + 20
            while not (part(path).exists() and part(path).stat().st_size > 0) and time.monotonic() < until:
                time.sleep(0.01)
            running.kill()
        arrived = part(path).stat().st_size
        assert 0 < arrived <= HALF
        assert not path.exists()
        assert fetched(server, path) == SHA256
    assert server.ranges == [None, f"bytes={arrived}-"]


def test_two_programs_download_the_same_file_once(tmp_path: Path) -> None:
    both_run = threading.Barrier(3)

    def slow(asked: object) -> None:
        both_run.wait(20)
        time.sleep(0.3)  # the other one has come to the lock by now
        whole(CONTENT)(asked)  # type: ignore[arg-type]

    with serving(slow) as server:
        running = [downloading(server, tmp_path / "w.pth") for _ in range(2)]
        threading.Thread(target=both_run.wait, args=(20,)).start()
        both_run.wait(20)
        assert [each.wait(30) for each in running] == [0, 0]
    assert len(server.asked) == 1
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(store.HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(whole(CONTENT)) as running:
        yield running


def yolox(server: Server, sha256: str = SHA256[:8]) -> Published:
    return replace(PUBLISHED["yolox_nano"], url=server.url, sha256=(sha256,))


def test_downloaded_weights_are_found_by_their_network(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DETECTORS, "yolox_nano", yolox(server))
    with pytest.raises(InputError) as missing:
        given_weights("yolox_nano", None, source="", table=DETECTORS)
    line = str(missing.value)
    assert "\n" not in line
    for what in ("`posetrail models fetch yolox_nano`", server.url, str(home / "weights" / "yolox_nano.pth")):
        assert what in line
    assert not server.asked  # nothing is downloaded unasked
    path = store.fetch(yolox(server), patience=QUICK)
    assert path == home / "weights" / "yolox_nano.pth"
    for given in (None, "yolox_nano", path, str(path)):
        weights = given_weights("yolox_nano", given, source="", table=DETECTORS)
        assert (weights.path, weights.sha256) == (path, SHA256)
        assert (weights.licence, weights.source) == ("Apache-2.0", server.url)
    assert (home / "weights" / "yolox_nano.pth.sha256").read_text() == f"{SHA256}  yolox_nano.pth\n"


def test_a_downloaded_file_is_loaded_and_weights_of_another_network_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from detectors import create_detector
    from detectors.networks import NETWORKS
    from posetrail.runtime import Runtime

    file = io.BytesIO()
    torch.save({"model": NETWORKS["yolox_nano"]().state_dict()}, file)
    content = file.getvalue()
    with serving(whole(content)) as server, Runtime("cpu", 1) as runtime:
        for name in ("yolox_nano", "rtmdet_nano_person"):
            published = replace(PUBLISHED[name], url=server.url, sha256=(hashlib.sha256(content).hexdigest(),))
            monkeypatch.setitem(DETECTORS, name, published)
            store.fetch(published, patience=QUICK)
        create_detector("yolox_nano", runtime=runtime)
        with pytest.raises(
            InputError, match=r"rtmdet_nano.*\.pth: expected weights of RTMDet, got others: \d+ missing \(backbone"
        ):
            create_detector("rtmdet_nano_person", runtime=runtime)
        store.stored_path(DETECTORS["yolox_nano"]).write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=r"yolox_nano\.pth is damaged or another file") as told:
            create_detector("yolox_nano", runtime=runtime)
        assert "\n" not in str(told.value)


def test_the_error_for_missing_weights_says_how_to_get_them(home: Path) -> None:
    with pytest.raises(InputError, match=r"pose_hrnet_w32_256x192.pth are? linked at https://github.com/leoxiaobin"):
        store.weights_file("hrnet_w32", table=PUBLISHED)
    with pytest.raises(InputError, match="cannot be downloaded directly"):
        store.fetch(PUBLISHED["hrnet_w32"])
    with pytest.raises(InputError, match="no weights are published"):
        store.weights_file("mspn_r50_4stg", table=PUBLISHED)
    with pytest.raises(InputError, match="expected weights for rtmpose_m, got weights for rtmpose_s"):
        store.weights_file("rtmpose_m", "rtmpose_s", table=PUBLISHED)
    with pytest.raises(InputError, match="did you mean 'yolox_s'"):
        find_published("yolox-s", PUBLISHED)
    (home / "weights").mkdir(parents=True)
    by_hand = store.stored_path(PUBLISHED["hrnet_w32"])
    by_hand.write_bytes(CONTENT)  # nobody tells its sum
    assert store.weights_file("hrnet_w32", table=PUBLISHED) == by_hand
    assert store.verify(PUBLISHED["hrnet_w32"]) == SHA256


def test_a_changed_file_is_reported_and_downloaded_again(home: Path, server: Server) -> None:
    published = yolox(server)
    path = store.fetch(published, patience=QUICK)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"is damaged or another file: expected .*999999 bytes.; remove it and fetch"):
        store.verify(published)
    assert store.fetch(published, patience=QUICK).read_bytes() == CONTENT
    assert store.verify(published) == SHA256
    assert len(server.asked) == 2


def test_a_digest_given_by_the_user_replaces_the_recorded_one(home: Path, server: Server) -> None:
    stale = yolox(server, "00000000")
    with pytest.raises(InputError, match=f"--sha256 {SHA256}"):
        store.fetch(stale, patience=QUICK)
    with pytest.raises(InputError, match="expected 64 hexadecimal digits"):
        store.fetch(stale, sha256="00000000", patience=QUICK)
    store.fetch(stale, sha256=SHA256, patience=QUICK)
    assert store.verify(stale) == SHA256
    store.fetch(stale, patience=QUICK)  # it is here, and is what it was
    assert len(server.asked) == 2


def test_weights_are_downloaded_to_a_folder_for_another_machine(
    home: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, stick = yolox(server), tmp_path / "stick"
    store.fetch(published, patience=QUICK)
    store.fetch(published, stick, patience=QUICK)
    assert len(server.asked) == 1  # copied from the cache
    manifest = json.loads(store.write_manifest([published], stick).read_text())
    assert manifest["weights"] == [
        {
            "name": "yolox_nano",
            "network": "yolox_nano",
            "file": "weights/yolox_nano.pth",
            "bytes": len(CONTENT),
            "sha256": SHA256,
            "url": server.url,
            "licence": "Apache-2.0",
            "score": "25.8 COCO box AP (YOLOX's README, COCO val2017, 80 classes)",
        }
    ]
    monkeypatch.setenv(store.HOME_VARIABLE, str(stick))
    assert store.weights_file("yolox_nano", home=None, table=PUBLISHED) == stick / "weights" / "yolox_nano.pth"
    other = replace(published, name="other", file="other.pth")
    store.fetch(other, stick, patience=QUICK)
    both = json.loads(store.write_manifest([other], stick).read_text())["weights"]
    assert [entry["name"] for entry in both] == ["other", "yolox_nano"]


def test_the_default_store_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(store.HOME_VARIABLE)
    assert "posetrail" in store.home_folder().parts
    assert store.home_folder().is_relative_to(Path.home())
    assert store.home_folder(tmp_path) == tmp_path


EVERY = pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)


@EVERY
def test_every_entry_is_complete(published: Published) -> None:
    assert published.licence
    assert published.score
    assert bool(published.scored_by) == (published.score != "not published")
    assert 1 < published.megabytes < 1000
    assert (published.input_size is None) == (published.kind == "lifter")
    assert min(published.input_size or (128, 128)) >= 128
    assert (published.skeleton in SKELETONS) == (published.kind in ("estimator", "refiner", "lifter"))
    for address in filter(None, (published.url, published.page)):
        assert re.fullmatch(r"https://[\w./:@-]+", address)
    assert all(re.fullmatch(r"[0-9a-f]{7,8}|[0-9a-f]{64}", sha256) for sha256 in published.sha256)
    if published.url:
        assert published.url.endswith("/" + published.file)
        assert published.sha256


def test_every_network_has_an_entry_of_its_name_and_every_entry_a_network() -> None:
    from detectors import BUILT_IN
    from detectors import DETECTORS as MAKERS
    from estimators import BUILT_IN as POSES_BUILT_IN
    from estimators.networks import NETWORKS

    networks = ({*MAKERS} - {*BUILT_IN}) | ({*NETWORKS} - {*POSES_BUILT_IN})
    networks -= {"caffe_cpm_person"}  # finds people's centres: no estimator uses it
    torchvisions_own = {"torchvision:raft_small", "torchvision:raft_large", "torchvision:keypointrcnn_resnet50_fpn"}
    assert {each.network for each in PUBLISHED.values()} - torchvisions_own == networks - torchvisions_own
    assert all(PUBLISHED[network].network == network for network in networks)
    blazeposes_file = store.stored_path(PUBLISHED["blazepose_heavy"])  # both of its sizes are in it
    paths = [store.stored_path(each) for each in PUBLISHED.values()]
    assert {path for path in paths if paths.count(path) > 1} == {blazeposes_file}


def test_urls_of_torchvision_files_are_those_of_torchvision() -> None:
    from torchvision.models import get_model_weights

    for name, published in PUBLISHED.items():
        if name.startswith("torchvision:"):
            weights = {each.url: each for each in get_model_weights(name.removeprefix("torchvision:"))}
            assert published.url in weights, name
            meta = weights[published.url].meta
            assert published.megabytes == pytest.approx(meta["_file_size"] * 1.048576, rel=0.01)
            if published.kind == "estimator":
                assert f"{meta['_metrics']['COCO-val2017']['kp_map']} COCO AP" == published.score
            if published.kind == "detector":
                assert f"{meta['_metrics']['COCO-val2017']['box_map']} COCO box AP" == published.score
