"""The user's folder of downloaded weights. Only `fetch` downloads; looking up weights never does.

The folder is `weights` in POSETRAIL_HOME if that environment variable is set, else in the user's cache folder. Beside
each downloaded FILE is FILE.sha256, in the format of `sha256sum -c`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from posetrail.errors import InputError
from posetrail.files import digest, fits, written_whole
from posetrail.published import Kind, Published

if TYPE_CHECKING:
    from posetrail.download import OnProgress, Patience

HOME_VARIABLE = "POSETRAIL_HOME"
MANIFEST = "manifest.json"
_ROUNDING_BYTES = 1 << 20
_FLAGS: dict[Kind, str] = {
    "estimator": "--estimator-weights",
    "detector": "--detector-weights",
    "appearance": "--appearance-weights",
    "flow": "--flow-weights",
    "lifter": "--weights",
    "refiner": "--refiner-weights",
}


def home_folder(home: Path | None = None) -> Path:
    """`home` if it is given, else POSETRAIL_HOME, else posetrail's folder in the user's cache."""
    from_environment = os.environ.get(HOME_VARIABLE)
    if home is not None:
        return home
    return Path(from_environment).expanduser() if from_environment else user_cache_path("posetrail", appauthor=False)


def stored_path(published: Published, home: Path | None = None) -> Path:
    """Where the store keeps a file, whether it is there or not."""
    return home_folder(home) / "weights" / (published.file or f"{published.name}.pth").replace("/", "_")


def published_file(path: Path, table: Mapping[str, Published], home: Path | None = None) -> Published | None:
    """The entry of a file in the store; None for any other file."""
    return next((each for each in table.values() if stored_path(each, home) == path), None)


def weights_file(
    network: str,
    given: Path | str | None = None,
    *,
    table: Mapping[str, Published],
    home: Path | None = None,
) -> Path:
    """The file to load a network from; nothing is downloaded.

    Args:
        network: name of the network.
        given: a file, or the name of published weights for this network; its default weights if None.
        table: published weights by name.
        home: home folder of the store, see `home_folder`.

    Raises:
        InputError: the file is not in the store (the message says how to get it), is damaged, or belongs to another
            network.
    """
    name = network if given is None else str(given)
    if given is not None and (name not in table or Path(given).exists()):
        return Path(given)
    published = table.get(name)
    if published is None:
        raise InputError(
            f"{network}: expected a file of weights, because none are published; give --estimator-weights FILE, or the "
            "same flag of its kind (.pth or .safetensors)"
        )
    if published.network != network:
        raise InputError(f"weights {name}: expected weights for {network}, got weights for {published.network}")
    path = stored_path(published, home)
    if not path.is_file():
        raise InputError(_how_to_get(published, path))
    verify(published, home)
    return path


def verify(published: Published, home: Path | None = None) -> str:
    """Compare the digest of a stored file with the one recorded when it was downloaded and with the published ones.

    Returns:
        the sha256 of the file.

    Raises:
        InputError: the file is missing or differs.
    """
    path = stored_path(published, home)
    if not path.is_file():
        raise InputError(_how_to_get(published, path))
    found, expected = digest(path), (*_recorded_sha256(path), *published.sha256)
    if not fits(found, expected):
        raise InputError(
            f"weights {published.name}: {path} is damaged or another file: expected sha256 {' or '.join(expected)}, "
            f"got {found} ({path.stat().st_size} bytes); remove it and fetch it again"
        )
    return found


def fetch(
    published: Published,
    home: Path | None = None,
    *,
    sha256: str | None = None,
    on_progress: OnProgress | None = None,
    patience: Patience | None = None,
) -> Path:
    """Download a file into the store, unless it is there already.

    Args:
        published: the file.
        home: home folder of the store, see `home_folder`. A file that is in the default store is copied from there.
        sha256: accept the file with this digest (64 hexadecimal digits) instead of the published ones.
        on_progress: called with the bytes received and, if known, the size of the file.
        patience: timeouts and retries.

    Raises:
        InputError: the file has no URL, or the download failed or has another digest.
    """
    from posetrail.download import download  # imports requests, which a run does not need

    path = stored_path(published, home)
    if not published.url:
        raise InputError(_how_to_get(published, path))
    if sha256 is not None and (len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef")):
        raise InputError(f"--sha256: expected 64 hexadecimal digits, got {sha256!r}")
    if home is not None and not path.is_file():
        _copy_from_default_store(published, path)
    if sha256 is None and path.is_file() and fits(digest(path), (*_recorded_sha256(path), *published.sha256)):
        return path
    # Twice the size in the table: sizes there are rounded, and --sha256 may name a later version of the file.
    max_bytes = int(2e6 * published.megabytes) + _ROUNDING_BYTES
    found = download(
        published.url,
        path,
        sha256=(sha256,) if sha256 else published.sha256,
        on_progress=on_progress,
        patience=patience,
        max_bytes=max_bytes,
    )
    with written_whole(_sidecar(path)) as beside:
        beside.write_text(f"{found}  {path.name}\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class State:
    """Whether and where a published file is on this machine."""

    path: Path
    is_here: bool
    size_bytes: int


def state(published: Published, home: Path | None = None) -> State:
    """Look up a file in the store without reading it."""
    path = stored_path(published, home)
    here = path.is_file()
    return State(path, here, path.stat().st_size if here else 0)


def write_manifest(fetched: list[Published], home: Path) -> Path:
    """Describe downloaded files in HOME/manifest.json, for copying the store to another machine.

    Entries of earlier calls are kept.

    Raises:
        InputError: an existing manifest cannot be read, or a file is missing or damaged.
    """
    path = home / MANIFEST
    entries = {}
    if path.is_file():
        try:
            entries = {entry["name"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["weights"]}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{path}: expected a manifest of weights, got another file ({error}); remove it or give another folder"
            ) from error
    for each in fetched:
        file = stored_path(each, home)
        entries[each.name] = {
            "name": each.name,
            "network": each.network,
            "file": file.relative_to(home).as_posix(),
            "bytes": file.stat().st_size,
            "sha256": verify(each, home),
            "url": each.url,
            "licence": each.licence,
            "score": each.reported_score,
        }
    content = {"use": f"set {HOME_VARIABLE} to this folder", "weights": [entries[name] for name in sorted(entries)]}
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _how_to_get(published: Published, path: Path) -> str:
    name, give = published.name, f"give {_FLAGS[published.kind]} FILE"
    if published.url:
        return (
            f"{name}: its weights are not on this machine; `posetrail models fetch {name}` downloads them from "
            f"{published.url}, or put that file at {path}, or {give}"
        )
    if not published.page:
        return f"{name}: no weights are published for it; {give}, or put the file at {path}"
    remark = f" ({published.remark})" if published.remark else ""
    return (
        f"{name}: its weights are not on this machine and cannot be downloaded directly; the authors' "
        f"{published.file or 'files'} are linked at {published.page}{remark}; put one at {path}, or {give}"
    )


def _copy_from_default_store(published: Published, path: Path) -> None:
    default = stored_path(published)
    if default.is_file() and default != path:
        verify(published)
        path.parent.mkdir(parents=True, exist_ok=True)
        for copied, target in ((default, path), (_sidecar(default), _sidecar(path))):
            if copied.is_file():
                with written_whole(target) as beside:
                    shutil.copyfile(copied, beside)


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _recorded_sha256(path: Path) -> tuple[str, ...]:
    """The digest recorded when the file was downloaded; empty for a file that the user put there."""
    try:
        return (_sidecar(path).read_text(encoding="utf-8").split()[0],)
    except (OSError, IndexError, UnicodeDecodeError):
        return ()
