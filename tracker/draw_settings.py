"""Settings of drawn videos: what is drawn, of whom, and how. The flags of `posetrail draw` come from here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from tracker.checked_settings import Range, check_fields

Colouring = Literal["id", "side", "score"]


@dataclass(frozen=True, kw_only=True)
class DrawSettings:
    """What a drawn video shows beside its frames.

    Raises:
        InputError: a value cannot be used.
    """

    persons: str = ""
    """Draw only these people: ids or names, separated by commas, such as 1,4. Default: all."""
    colour: Colouring = "id"
    """Colours of limbs: id (a hue for each person, lighter on the left side), side (left blue, right orange), or score
    (of the joints: dark violet is low, yellow is high). Labels and trails always have the colour of the id."""
    boxes: bool = False
    """Draw the box of each person as well."""
    trails: bool = True
    """Draw the path of the hips during the last second."""
    line_width: Annotated[float, Range(0.5, 100.0)] | None = None
    """Width of limbs in pixels (0.5..100). Default: 1/440 to 1/220 of the shorter side of the image, by the size of the
    person."""
    blur_faces: bool = False
    """Blur the faces of all tracked people, also of those that are not drawn. A person without a track stays visible,
    and so does a face where the joints are wrong: check the video before you publish it."""
    frame_numbers: bool = False
    """Write the frame number and the time stamp into the lower left corner, as in tracks.csv."""
    gif_fps: Annotated[float, Range(0.1, 50.0)] = 15.0
    """Highest frame rate of a .gif, in frames per second (0.1..50)."""
    gif_width: Annotated[int, Range(16, 4096)] = 640
    """Largest width of a .gif, in pixels."""

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The ids and names of `persons`; none for all people."""
        return tuple(name for name in map(str.strip, self.persons.split(",")) if name)

    def flags(self) -> str:
        """The flags of values that are not the defaults, except `--persons`, as on the command line."""
        changed = []
        for each in fields(self):
            value, flag = getattr(self, each.name), each.name.replace("_", "-")
            if each.name.startswith(("gif", "persons")) or value == each.default:
                continue
            changed.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag} {value}")
        return " ".join(changed)
