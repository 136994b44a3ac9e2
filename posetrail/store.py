"""Where weights are kept on this machine, and how they get there: the cache, the fetching, the verifying.

A network's weights are, in this order: the file that was given; a published name that was given, or the network's own,
in the store. Nothing is downloaded unless `fetch` is called, which `posetrail models fetch` does: a run whose weights
are not here says in one line how to get them.

The store is the folder `weights` in the environment's POSETRAIL_HOME, or in the user's cache folder. Beside each file
that was fetched lies FILE.sha256, as `sha256sum -c` reads it.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from posetrail.errors import InputError, unknown_name
from posetrail.files import digest, fits, written_whole
from posetrail.published import PUBLISHED, Kind, Published

if TYPE_CHECKING:
    from posetrail.download import Patience, Told

HOME_VARIABLE = "POSETRAIL_HOME"
MANIFEST = "manifest.json"
_ROUNDING_BYTES = 1 << 20
_FLAGS: dict[Kind, str] = {
    "estimator": "--estimator-weights",
    "detector": "--detector-weights",
    "appearance": "--appearance-weights",
    "flow": "--flow-weights",
}


def home_folder(home: Path | None = None) -> Path:
    """The folder that was given, or POSETRAIL_HOME, or posetrail's in the user's cache folder."""
    named = os.environ.get(HOME_VARIABLE)
    return home or (Path(named).expanduser() if named else user_cache_path("posetrail", appauthor=False))


def stored_path(published: Published, home: Path | None = None) -> Path:
    """Where the store has a file, or would have it."""
    return home_folder(home) / "weights" / (published.file or f"{published.name}.pth").replace("/", "_")


def find_published(name: str) -> Published:
    """What is published under a name.

    Raises:
        InputError: nothing is.
    """
    if name not in PUBLISHED:
        raise unknown_name("weights", name, PUBLISHED)
    return PUBLISHED[name]


def published_file(path: Path, home: Path | None = None) -> Published | None:
    """What of the published a file of the store is; None for any other file."""
    return next((each for each in PUBLISHED.values() if stored_path(each, home) == path), None)


def weights_file(network: str, given: Path | str | None = None, home: Path | None = None) -> Path:
    """The file a network is to be loaded from; nothing is downloaded.

    Args:
        network: its name.
        given: a file, or a published name for this network; the network's own when not given.
        home: of the store, where it is not the usual one.

    Raises:
        InputError: it is not here (says how to get it), is damaged, or belongs to another network.
    """
    name = network if given is None else str(given)
    if given is not None and (name not in PUBLISHED or Path(given).exists()):
        return Path(given)
    published = PUBLISHED.get(name)
    if published is None:
        raise InputError(f"{network} travels without weights: give --weights FILE (.pth or .safetensors)")
    if published.network != network:
        raise InputError(f"weights {name} are for {published.network}, not for {network}")
    path = stored_path(published, home)
    if not path.is_file():
        raise InputError(_how_to_get(published, path))
    verify(published, home)
    return path


def verify(published: Published, home: Path | None = None) -> str:
    """Read a file of the store and compare it with what it was when it was fetched, or with what is published.

    Returns:
        its sha256.

    Raises:
        InputError: it is not here, or it is another one.
    """
    path = stored_path(published, home)
    if not path.is_file():
        raise InputError(_how_to_get(published, path))
    found, wanted = digest(path), (*_fetched_sha256(path), *published.sha256)
    if not fits(found, wanted):
        raise InputError(
            f"weights {published.name}: {path} is damaged or another file: wanted sha256 {' or '.join(wanted)}, "
            f"got {found} ({path.stat().st_size} bytes); remove it and fetch it again"
        )
    return found


def fetch(
    published: Published,
    home: Path | None = None,
    *,
    sha256: str | None = None,
    told: Told | None = None,
    patience: Patience | None = None,
) -> Path:
    """Download a file into the store, unless it is there already.

    Args:
        published: which.
        home: of the store, where it is not the usual one. A file that the usual one has is copied from there.
        sha256: the digest that the caller knows to be right, whole; the published ones when not given.
        told: progress.
        patience: how long the server is waited for.

    Raises:
        InputError: there is no address to fetch it from, or what came is not the file.
    """
    from posetrail.download import download  # brings in requests, which no run needs

    path = stored_path(published, home)
    if not published.address:
        raise InputError(_how_to_get(published, path))
    if sha256 is not None and (len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef")):
        raise InputError(f"--sha256: wanted 64 hexadecimal digits, got {sha256!r}")
    if home is not None and not path.is_file():
        _copy_from_the_usual_store(published, path)
    if sha256 is None and path.is_file() and fits(digest(path), (*_fetched_sha256(path), *published.sha256)):
        return path
    wanted = (sha256,) if sha256 else published.sha256
    # Twice what the table says: its sizes are rounded, and --sha256 may name a later version of the file.
    max_bytes = int(2e6 * published.megabytes) + _ROUNDING_BYTES
    found = download(published.address, path, sha256=wanted, told=told, patience=patience, max_bytes=max_bytes)
    with written_whole(_sidecar(path)) as beside:
        beside.write_text(f"{found}  {path.name}\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class State:
    """Of a published file, on this machine."""

    path: Path
    is_here: bool
    size_bytes: int


def state(published: Published, home: Path | None = None) -> State:
    """Whether the store has a file; it is not read."""
    path = stored_path(published, home)
    here = path.is_file()
    return State(path, here, path.stat().st_size if here else 0)


def write_manifest(fetched: list[Published], home: Path) -> Path:
    """Say in HOME/manifest.json what the store has, for the machine it is propagated to; earlier entries are kept."""
    path = home / MANIFEST
    entries = {}
    if path.is_file():
        try:
            entries = {entry["name"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["weights"]}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{path}: is no manifest of weights ({error}); remove it or give another folder"
            ) from error
    for each in fetched:
        file = stored_path(each, home)
        entries[each.name] = {
            "name": each.name,
            "network": each.network,
            "file": file.relative_to(home).as_posix(),
            "bytes": file.stat().st_size,
            "sha256": verify(each, home),
            "address": each.address,
            "licence": each.licence,
            "score": f"{each.score} ({each.scored_by})",
        }
    content = {"use": f"set {HOME_VARIABLE} to this folder", "weights": [entries[name] for name in sorted(entries)]}
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _how_to_get(published: Published, path: Path) -> str:
    how, give = f"{published.name} travels without weights", f"give {_FLAGS[published.kind]} FILE"
    if published.address:
        return (
            f"{how}, and they are not here: `posetrail models fetch {published.name}` gets them from "
            f"{published.address}, or put that file at {path}, or {give}"
        )
    if not published.page:
        return f"{how}, and nobody publishes any: {give}, or put it at {path}"
    remark = f" ({published.remark})" if published.remark else ""
    return (
        f"{how}, and they cannot be fetched: its authors' {published.file or 'files'} are linked at "
        f"{published.page}{remark}; put one at {path}, or {give}"
    )


def _copy_from_the_usual_store(published: Published, path: Path) -> None:
    usual = stored_path(published)
    if usual.is_file() and usual != path:
        verify(published)
        path.parent.mkdir(parents=True, exist_ok=True)
        for copied, target in ((usual, path), (_sidecar(usual), _sidecar(path))):
            if copied.is_file():
                with written_whole(target) as beside:
                    shutil.copyfile(copied, beside)


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _fetched_sha256(path: Path) -> tuple[str, ...]:
    """What the file was when it was fetched; empty when it was put there by hand."""
    try:
        return (_sidecar(path).read_text(encoding="utf-8").split()[0],)
    except (OSError, IndexError, UnicodeDecodeError):
        return ()
