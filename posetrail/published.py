"""One published file of weights: where it comes from, its licence, and the score its authors report.

The tables of published weights are beside the architectures: `detectors.published`, `estimators.published` and
`tracker.inference.flow_weights`. Nothing is downloaded by reading them; `posetrail.store.fetch` does that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from posetrail.errors import unknown_name

Kind = Literal["detector", "estimator", "refiner", "appearance", "flow", "lifter"]

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{7,8})(?:_\d{8})?\.pth$")


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file of weights."""

    name: str
    """Unique name: that of the network, with a suffix for further files of the same network."""
    network: str
    """Name of the network in `detectors.NETWORKS` or `estimators.NETWORKS`, or "torchvision:" and its name there."""
    kind: Kind
    family: str
    file: str
    """Name of the file as its authors publish it; empty if they publish none under a fixed name."""
    url: str = ""
    """Where the file can be downloaded directly; empty if the authors only link it on their `page`."""
    page: str
    """The authors' page; empty if no weights are published."""
    sha256: tuple[str, ...] = ()
    """Accepted digests, whole or their first digits; empty if none is known."""
    licence: str
    skeleton: str = ""
    """A name in `posetrail.skeletons.SKELETONS`: of the joints of estimators, of the 3-D joints of lifters."""
    input_size: tuple[int, int] | None
    """Height and width, pixels, of the input for which the score is reported; None for lifters."""
    score: str
    """The reported score with its measure, such as "40.5 COCO box AP", or "not published"."""
    scored_by: str
    """Who reports it and on which data; empty if no score is published."""
    megabytes: float
    """Approximate size."""
    remark: str = ""

    @property
    def reported_score(self) -> str:
        """The score and who reports it."""
        return f"{self.score} ({self.scored_by})" if self.scored_by else self.score


def by_name(*entries: Published) -> dict[str, Published]:
    """A table of published weights by their names."""
    return {each.name: each for each in entries}


def find_published(name: str, table: Mapping[str, Published]) -> Published:
    """The published weights of this name.

    Raises:
        InputError: the table has no such name.
    """
    if name not in table:
        raise unknown_name("weights", name, table)
    return table[name]


def hash_in_name(file: str) -> str:
    """The first eight digits of the sha256, in one file seven, which torchvision and OpenMMLab put into a file's name.

    >>> hash_in_name("ssd300_vgg16_coco-b556d3b4.pth")
    'b556d3b4'
    """
    found = _HASH_IN_NAME.search(file)
    if found is None:
        raise ValueError(f"{file}: expected a name that ends in -HASH.pth or -HASH_DATE.pth")
    return found[1]


def torchvision_file(
    name: str,
    file: str,
    score: str,
    megabytes: float,
    *,
    kind: Kind,
    family: str,
    scored_by: str,
    side: int = 800,
    skeleton: str = "",
) -> Published:
    """A file of weights that torchvision publishes."""
    return Published(
        name=f"torchvision:{name}",
        network=f"torchvision:{name}",
        kind=kind,
        family=family,
        file=file,
        url=f"https://download.pytorch.org/models/{file}",
        page="https://pytorch.org/vision/stable/models.html",
        sha256=(hash_in_name(file),),
        licence="BSD-3-Clause",
        skeleton=skeleton,
        input_size=(side, side),
        score=score,
        scored_by=scored_by,
        megabytes=megabytes,
    )
