"""The reason of a doubtful link in words: the parts that contribute most, with their numbers."""

from __future__ import annotations

from tracker.association.suspect_weights import LINK

_TYPICAL = {"exchange": -8.0}
"""What a part has where nothing is doubtful, other than 0."""
_NEARLY = -2.0  # log odds
_PHRASES = 2  # of the largest parts


def link_reason(parts: dict[str, float], before: int, after: int) -> str:
    """One sentence about the link between two frames, given by their numbers in the video."""
    contribution = {name: LINK[name] * (parts[name] - _TYPICAL.get(name, 0.0)) for name in parts}
    for name in ("forward", "backward"):
        contribution[f"{name}_other"] += contribution.pop(f"{name}_lost")
    phrases = []
    for name in sorted(contribution, key=lambda each: -contribution[each]):
        phrase = _phrase(name, parts)
        if contribution[name] > 0 and phrase:
            phrases.append(phrase)
    return f"Frames {before} to {after}: {'; '.join(phrases[:_PHRASES]) or 'several small signs'}."


def _phrase(name: str, parts: dict[str, float]) -> str:
    value = parts[name]
    if name.endswith("_other"):
        direction = name.removesuffix("_other")
        if value:
            return f"the {direction} tracker goes over to another person"
        return f"the {direction} tracker loses the person" if parts[f"{direction}_lost"] else ""
    if name == "exchange":
        fits = "fits better" if value > 0 else "fits nearly as well" if value > _NEARLY else "is possible"
        return f"an exchange with another track {fits} (log odds {value:+.1f})" if value > _TYPICAL[name] else ""
    if name == "shape":
        return f"the body changes its shape (log odds {-value:+.1f})" if value > 0 else ""
    if name == "jump":
        return f"the motion does not fit (log odds {-value:+.1f})" if value > 0 else ""
    if name == "low_score":
        return f"a score {100 * value:.0f} % below the median" if value > 0 else ""
    if name == "gap":
        return "no pose for some frames" if value > 0 else ""
    return ""
