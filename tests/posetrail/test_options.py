"""Options are passed on to who takes them, and refused by name otherwise."""

from __future__ import annotations

import pytest

from posetrail.errors import InputError
from posetrail.options import suited


def make(runtime: object, *, size: int = 3, mask: float | None = 0.2) -> None: ...


def test_known_options_are_passed_on_and_unknown_ones_are_refused() -> None:
    assert suited({"size": 5, "mask": None}, make, "thing") == {"size": 5, "mask": None}
    assert suited({"colour": None}, make, "thing") == {}
    with pytest.raises(InputError, match=r"thing has no option colour \(its options: size, mask\)"):
        suited({"colour": "red"}, make, "thing")
