"""Numbers with nouns in the singular or plural."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun in the right form.

    >>> counted(1, "person", "people"), counted(0, "frame")
    ('1 person', '0 frames')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def people(number: int) -> str:
    """Like "1 person", "2 people"."""
    return counted(number, "person", "people")
