"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """The number and its noun, which is in the plural but for one.

    >>> counted(1, "person", "people"), counted(0, "frame")
    ('1 person', '0 frames')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def people(number: int) -> str:
    """Like "1 person", "2 people"."""
    return counted(number, "person", "people")
