"""Drawing of tracked people: limbs in the colour of the track id, the id beside the head, a trail of recent positions.

The left side of the body is lighter than the right, limbs of low score fade, near people cover far ones, and labels
avoid faces. The label of a propagated pose is an outline; an interpolated pose is pale too. Without joints, the box is
drawn. Line widths scale with the image and the person. `DrawSettings` changes what is drawn.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from posetrail.frame import Image
from posetrail.poses import TrackedPoses
from posetrail.similarity import box_intersection
from posetrail.skeletons import Skeleton
from tracker.draw_settings import DrawSettings
from tracker.io.bones import HEAD, LEFT, MIDDLE, RIGHT, Bones
from tracker.io.bones import bones as bones_of
from tracker.io.lines import FAR, Colour, draw_lines, draw_opaque

_GOLDEN_RATIO = (5**0.5 - 1) / 2  # the hues of any few successive ids lie far apart (Knuth, TAOCP 3, 6.4)
_DARK = 3  # after LEFT, MIDDLE, RIGHT
_SATURATION = (0.60, 0.85, 0.95, 0.60)  # of left, middle, right and outline ...
_VALUE = (1.00, 0.97, 0.76, 0.16)  # ... so that they differ from each other, from black and from white
_FIRST_HUE = 0.9  # the first ids are cyan, amber, violet, green: far from skin
_FADE = 0.25  # a joint is opaque when its score is so far above the threshold; below it fades to nothing
_INTERPOLATED_OPACITY = 0.4
TRAIL_S = 1.0
_TRAIL_OPACITY = 0.8
_TRAIL_JOINT_SCORE = 0.3
_TRAIL_FREE_PENS = 10.0  # widths of a limb around the body within which the trail fades
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SIDE_COLOURS: list[Colour] = [(86, 180, 233), (240, 240, 240), (230, 120, 0)]  # left, middle, right; Okabe and Ito
_SCORE_STEPS = 8  # colours of scores; one for each score would take more calls of OpenCV


class Trails:
    """The hip positions of each track during the last seconds."""

    def __init__(self, seconds: float = TRAIL_S) -> None:
        self._seconds = seconds
        self._points: dict[int, deque[tuple[float, np.ndarray]]] = {}
        self._now = 0.0

    def add(self, time_s: float, people: TrackedPoses, skeleton: Skeleton) -> None:
        """Add the positions of these people and drop old ones."""
        self._now = time_s
        for track_id, point in zip(people.track_ids.tolist(), _hip_centres(people, skeleton), strict=True):
            if np.isfinite(point).all():
                self._points.setdefault(track_id, deque()).append((time_s, np.clip(point, -FAR, FAR)))
        for track_id, points in list(self._points.items()):
            while points and points[0][0] < time_s - self._seconds:
                points.popleft()
            if not points:
                del self._points[track_id]

    def of(self, track_id: int) -> tuple[np.ndarray, np.ndarray]:
        """Points of a track (P, 2), oldest first, and their freshness (P,): 1 now, 0 at the end of the trail."""
        points = self._points.get(track_id, ())
        places = np.array([point for _, point in points]).reshape(-1, 2)
        ages = self._now - np.array([time_s for time_s, _ in points])
        return places, 1 - ages / self._seconds


def _hip_centres(people: TrackedPoses, skeleton: Skeleton) -> np.ndarray:
    """(N, 2) centre of the hips, NaN if one has a low score; the bottom centre of the box if the skeleton has none."""
    if not {"left_hip", "right_hip"} <= set(skeleton.joints):
        boxes = people.poses.boxes
        return np.stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, 3]], axis=1)
    hips = [skeleton.index("left_hip"), skeleton.index("right_hip")]
    is_confident = (people.poses.keypoint_scores[:, hips] >= _TRAIL_JOINT_SCORE).all(axis=1, keepdims=True)
    return np.where(is_confident, people.poses.keypoints[:, hips].mean(axis=1), np.nan)


def draw_people(
    image: Image,
    people: TrackedPoses,
    skeleton: Skeleton,
    *,
    trails: Trails | None = None,
    min_joint_score: float = 0.2,
    settings: DrawSettings = DrawSettings(),
    names: Mapping[int, str] | None = None,
    in_place: bool = False,
) -> Image:
    """Draw people on a copy of an image, or on the image itself.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: the tracked poses.
        skeleton: of the poses.
        trails: their recent positions, this frame included.
        min_joint_score: joints below it are not drawn (0..1).
        settings: colours, boxes, trails and line width; the rest of them is not the matter of one frame.
        names: of people by track id, written instead of the ids.
        in_place: draw on the image itself if it is contiguous and writeable, which saves a copy.
    """
    may_change = in_place and image.flags.c_contiguous and image.flags.writeable
    drawn = image if may_change else image.copy(order="C")
    bones = bones_of(skeleton)
    figures = [_figure(people, row, skeleton, min_joint_score, image, settings) for row in range(len(people))]
    figures.sort(key=lambda figure: figure.box[3])  # people whose feet are lower in the image are nearer
    if trails is not None and settings.trails:
        for figure in figures:
            _draw_trail(drawn, figure, trails)
    for figure in figures:
        if settings.boxes or np.isnan(figure.points).all():
            _draw_box(drawn, figure)
        _draw_body(drawn, figure, bones, settings)
    texts = {figure.track_id: label_text(figure.track_id, names or {}) for figure in figures}
    _draw_labels(drawn, sorted(figures, key=lambda figure: figure.track_id), texts)
    return drawn


def draw_frame_number(image: Image, index: int, time_s: float) -> None:
    """Write the number of a frame and its time stamp into the lower left corner of the image itself."""
    text = f"{index}  {int(time_s) // 60}:{time_s % 60:06.3f}"
    scale = max(0.4, min(image.shape[:2]) / 900)
    thickness = max(1, round(1.6 * scale))
    (_, height), below = cv2.getTextSize(text, _FONT, scale, thickness)
    corner = (height, image.shape[0] - height - below // 2)
    for colour, width in (((0, 0, 0), thickness + 2 * max(1, round(2 * scale))), ((255, 255, 255), thickness)):
        cv2.putText(image, text, corner, _FONT, scale, colour, width, cv2.LINE_AA)


def label_text(track_id: int, names: Mapping[int, str]) -> str:
    """The name of a person in the letters that OpenCV can draw, without accents, or else the id."""
    letters = unicodedata.normalize("NFKD", names.get(track_id, "")).encode("ascii", "ignore").decode()
    return letters.strip() or str(track_id)


# Bodies ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Figure:
    """One person, ready to be drawn."""

    track_id: int
    hollow: bool  # the label: not detected here
    opacity: float  # 1, or less for who is interpolated in
    box: np.ndarray  # (4,)
    points: np.ndarray  # (K + 1, 2) joints, then the middle of the shoulders
    scores: np.ndarray  # (K + 1,) 0..1
    opacities: np.ndarray  # (K + 1,) 0..1; 0 where a joint is missing
    head: np.ndarray  # (3,) x, y and radius of a circle around the head
    colours: list[Colour]  # left, middle, right, outline
    pen: float  # pixels: the width of a limb


def _figure(
    people: TrackedPoses, row: int, skeleton: Skeleton, min_joint_score: float, image: Image, settings: DrawSettings
) -> _Figure:
    track_id, box = int(people.track_ids[row]), people.poses.boxes[row]
    keypoints = np.clip(people.poses.keypoints[row], -FAR, FAR)
    points, scores = _with_neck(keypoints, people.poses.keypoint_scores[row], skeleton)
    fade = 1e-3 if settings.colour == "score" else _FADE  # colours show the score already
    opacities = np.clip((scores - min_joint_score) / fade, 0, 1) * np.isfinite(points).all(axis=1)
    opacity = _INTERPOLATED_OPACITY if people.interpolated[row] else 1.0
    return _Figure(
        track_id=track_id,
        hollow=bool(people.poses.propagated[row] or people.interpolated[row]),
        box=box,
        points=points,
        opacity=opacity,
        scores=scores,
        opacities=opacity * opacities,
        head=_head(points, opacities, box, skeleton),
        colours=_colours(track_id),
        pen=settings.line_width or _pen(box, image),
    )


def _with_neck(points: np.ndarray, scores: np.ndarray, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """The joints and, last, the middle of the shoulders, missing if a shoulder is."""
    shoulders = [k for k, joint in enumerate(skeleton.joints) if joint in ("left_shoulder", "right_shoulder")]
    if len(shoulders) < 2:
        return np.append(points, [[np.nan, np.nan]], axis=0), np.append(scores, 0.0)
    middle, score = points[shoulders].mean(axis=0), scores[shoulders].min()
    return np.append(points, middle[None], axis=0), np.append(scores, score)


def _head(points: np.ndarray, opacities: np.ndarray, box: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """A circle (x, y, radius) around the head; without a confident joint of the head, the middle of the box's top."""
    sure = opacities > 0
    on_head = np.array([joint in HEAD for joint in skeleton.joints])
    face = points[:-1][on_head & sure[:-1]]
    if not len(face):
        return np.array([(box[0] + box[2]) / 2, box[1], 0.0])
    centre = face.mean(axis=0)
    radius = 1.3 * np.linalg.norm(face - centre, axis=1).max()
    if sure[-1]:  # the head reaches about as far above the face's centre as two thirds of the way to the shoulders
        radius = max(radius, 0.65 * np.linalg.norm(centre - points[-1]))
    return np.array([*centre, radius])


def _pen(box: np.ndarray, image: Image) -> float:
    """Thinner on small people, but never so thin that it is lost in a large picture."""
    short_side = min(image.shape[:2])
    share = max(box[2] - box[0], box[3] - box[1]) / short_side
    return float(short_side / 220 * np.clip(share / 0.4, 0.5, 1))


def hue_of(track_id: int) -> float:
    """The hue of a track id in degrees, the same in all drawings, charts and reports."""
    return 360 * ((_FIRST_HUE + _GOLDEN_RATIO * track_id) % 1)


def _colours(track_id: int) -> list[Colour]:
    """Red, green, blue of left, middle, right and outline."""
    hue = hue_of(track_id)
    hsv = [(hue, saturation, value) for saturation, value in zip(_SATURATION, _VALUE, strict=True)]
    rgb = cv2.cvtColor(np.array([hsv], np.float32), cv2.COLOR_HSV2RGB)[0]
    return [tuple(colour) for colour in np.rint(255 * rgb).tolist()]


def rgb_of(track_id: int) -> tuple[float, float, float]:
    """Red, green and blue of a track's colour in charts, 0..1."""
    red, green, blue = (value / 255 for value in _colours(track_id)[RIGHT])
    return red, green, blue


def _draw_body(image: Image, figure: _Figure, bones: Bones, settings: DrawSettings) -> None:
    """The outline of all of it first, so that limbs join without seams; joints are lines of no length."""
    widths, rims = bones.widths(figure.points, figure.opacities, figure.pen)
    drawn = widths > 0
    ends, shades, widths, rims = bones.ends[drawn], bones.shades[drawn], widths[drawn], rims[drawn]
    lines, opacities = figure.points[ends], figure.opacities[ends].min(axis=1)
    draw_lines(image, lines[rims > 0], (widths + 2 * rims)[rims > 0], opacities[rims > 0], figure.colours[_DARK])
    palette, order = figure.colours, [RIGHT, MIDDLE, LEFT]
    if settings.colour == "side":
        palette = _SIDE_COLOURS
    elif settings.colour == "score":
        palette, order = _score_colours(), list(range(_SCORE_STEPS))
        shades = np.clip(figure.scores[ends].min(axis=1) * _SCORE_STEPS, 0, _SCORE_STEPS - 1).astype(int)
    for shade in order:
        rows = shades == shade
        draw_lines(image, lines[rows], widths[rows], opacities[rows], palette[shade])


@cache
def _score_colours() -> list[Colour]:
    levels = np.linspace(0, 255, _SCORE_STEPS).astype(np.uint8)
    return [tuple(colour[::-1]) for colour in cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS).reshape(-1, 3).tolist()]


def _draw_box(image: Image, figure: _Figure) -> None:
    x1, y1, x2, y2 = np.clip(figure.box, -FAR, FAR)
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    sides, opacities = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1), np.full(4, figure.opacity)
    for width, shade in ((2.0, _DARK), (1.0, MIDDLE)):
        draw_lines(image, sides, np.full(4, width * figure.pen), opacities, figure.colours[shade])


def _draw_trail(image: Image, figure: _Figure, trails: Trails) -> None:
    points, freshness = trails.of(figure.track_id)
    if len(points) > 1:
        # Fade towards the body: the trail of a standing person would show only the small errors of the hips.
        distances = np.linalg.norm(points - points[-1], axis=1) / (_TRAIL_FREE_PENS * figure.pen)
        opacities = _TRAIL_OPACITY * freshness * np.clip(distances - 0.5, 0, 1)
        lines = np.stack([points[:-1], points[1:]], axis=1)
        draw_lines(image, lines, np.full(len(lines), figure.pen), opacities[:-1], figure.colours[MIDDLE])


# Labels ---------------------------------------------------------------------------------------------------------------


def _draw_labels(image: Image, figures: list[_Figure], texts: Mapping[int, str]) -> None:
    heads = np.array([[x - r, y - r, x + r, y + r] for x, y, r in (figure.head for figure in figures)]).reshape(-1, 4)
    taken = heads
    for figure, head in zip(figures, heads, strict=True):
        text = texts[figure.track_id]
        place = _label_place(figure, text, head, taken, image)
        _draw_label(image, figure, text, place)
        taken = np.concatenate([taken, place[None]])


def _text_size(figure: _Figure, text: str) -> tuple[float, int, int, int]:
    """Font scale, thickness, width and height in pixels of a person's label."""
    scale = max(0.35, figure.pen * 0.21)
    thickness = max(1, round(scale * 1.6))
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    return scale, thickness, width, height


def _label_place(figure: _Figure, text: str, head: np.ndarray, taken: np.ndarray, image: Image) -> np.ndarray:
    """A box (4,) above the head or else beside or below it: the first of those that hide least, inside the picture."""
    _, _, text_width, text_height = _text_size(figure, text)
    height = 1.9 * text_height
    half = np.array([max(height, text_width + 1.1 * text_height), height]) / 2
    x, y, _ = figure.head
    gap = 0.3 * height
    centres = np.array(
        [
            [x, head[1] - gap - half[1]],
            [head[2] + gap + half[0], y],
            [head[0] - gap - half[0], y],
            [x, head[3] + gap + half[1]],
        ]
    )
    size = np.array([image.shape[1], image.shape[0]])
    centres = np.clip(centres, np.minimum(half + 1, size / 2), np.maximum(size - half - 1, size / 2))
    places = np.concatenate([centres - half, centres + half], axis=1)
    hidden = box_intersection(places, taken).sum(axis=1)
    return places[np.argmin(np.round(hidden))]


def _draw_label(image: Image, figure: _Figure, text: str, place: np.ndarray) -> None:
    """A pill of the id's colour with dark writing; a hollow one is a dark pill with a rim and writing in colour."""
    scale, thickness, text_width, text_height = _text_size(figure, text)
    left, top, right, bottom = place
    height = bottom - top
    ends = np.array([[left + height / 2, (top + bottom) / 2], [right - height / 2, (top + bottom) / 2]])
    rim = max(1.0, 0.06 * height)
    bright, dark = figure.colours[LEFT], figure.colours[_DARK]
    for width, colour in ((height, dark), (height - 2 * rim, bright), (height - 5 * rim, dark))[: 2 + figure.hollow]:
        draw_opaque(image, ends[None], np.array([width]), colour)
    corner = (round((left + right - text_width) / 2), round((top + bottom + text_height) / 2))
    cv2.putText(image, text, corner, _FONT, scale, bright if figure.hollow else dark, thickness, cv2.LINE_AA)
