"""Synthetic worlds: people with known identities and joints in every frame, as a moving camera sees them.

People walk over a ground plane in metres (changing goals, inertia, keeping a distance), have articulated bodies
(`benchmarks.bodies`), and are seen by a camera that pans, zooms and shakes: near people are large, hide farther ones,
leave the view and return. People who return keep their identity, as in PoseTrack's annotation.

    world = make_world(KINDS["sport"], np.random.default_rng(7))
    world.people.keypoints[world.people.frames == 3]   # COCO joints of all people in the fourth frame
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.bodies import HEAD_DIAGONAL, Action, bodies
from posetrail.poses import Rows
from posetrail.similarity import box_intersection, keypoint_boxes
from posetrail.skeletons import COCO_17

Range = tuple[float, float]

_SIZES = ((1280, 720), (1280, 720), (1920, 1080), (640, 480), (854, 480), (720, 1280))
_RATES = ((30.0, 25.0, 24.0, 60.0, 15.0, 10.0), (0.43, 0.36, 0.08, 0.06, 0.05, 0.02))
_STEP_S = 1 / 30  # of the simulated walk, at most
_HEAD = COCO_17.index("left_ear"), COCO_17.index("right_ear")
_ANNOTATED_SHARE = 0.6  # of people with at least this share visible, annotators infer hidden joints
_MIN_ANNOTATED = 4  # visible joints below which people are not annotated


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of scene: ranges from which each world draws."""

    people: tuple[int, int]
    frames: tuple[int, int]
    height_px: Range  # of an adult in the middle of the scene
    speed: Range  # metres per second
    turn_every_s: float  # mean time between new goals
    inertia_s: float = 0.4  # time constant of turning to a new goal
    stops: float = 0.2  # share of goals at which people stand still
    group: int = 1  # people who walk together
    streams: bool = False  # people cross the view to the left or to the right ...
    one_way: bool = False  # ... all in one direction, so that they overlap for long
    liveliness: Range = (0.1, 0.5)
    jumpers: float = 0.0
    tumblers: float = 0.0
    room_m: float = 0.8  # distance that people keep
    spread: Range = (0.6, 1.1)  # of the ground, in widths of the view
    depth: Range = (0.8, 1.6)  # of the ground, in distances of the camera
    camera: tuple[str, ...] = ("static", "shake")  # one of them is drawn
    pan: Range = (0.1, 0.4)  # widths of the view per second, of panning cameras
    posts: int = 0  # in front of people


KINDS = {
    "walk": Kind(
        people=(2, 7), frames=(40, 100), height_px=(140, 450), speed=(0.5, 1.6), turn_every_s=4.0, stops=0.3,
        room_m=1.2, spread=(0.8, 1.3), camera=("static", "static", "shake", "pan"), pan=(0.05, 0.2), posts=1,
    ),
    "group": Kind(
        people=(4, 10), frames=(40, 90), height_px=(140, 400), speed=(0.5, 1.4), turn_every_s=4.0, group=4, room_m=1.0,
        spread=(0.8, 1.3), camera=("static", "shake", "follow"),
    ),
    "sport": Kind(
        people=(2, 10), frames=(40, 100), height_px=(100, 400), speed=(0.5, 5.0), turn_every_s=1.5, inertia_s=0.25,
        stops=0.3, liveliness=(0.3, 0.8), jumpers=0.2, room_m=1.2, spread=(1.0, 1.5),
        camera=("static", "shake", "shake", "pan", "follow"), pan=(0.05, 0.5),
    ),
    "sprint": Kind(
        people=(2, 6), frames=(30, 70), height_px=(140, 400), speed=(5.0, 12.0), turn_every_s=3.0, inertia_s=0.3,
        stops=0.0, liveliness=(0.3, 0.6), streams=True, room_m=0.8, spread=(1.0, 1.4), depth=(0.8, 1.3),
        camera=("static", "shake", "follow"),
    ),
    "duel": Kind(
        people=(2, 3), frames=(40, 130), height_px=(250, 600), speed=(0.3, 2.0), turn_every_s=0.7, inertia_s=0.2,
        stops=0.2, liveliness=(0.5, 0.9), jumpers=0.2, tumblers=0.1, room_m=0.7, spread=(0.45, 0.8),
        depth=(0.85, 1.25), camera=("static", "shake", "follow"),
    ),
    "overlap": Kind(
        people=(2, 4), frames=(60, 120), height_px=(250, 550), speed=(0.5, 1.0), turn_every_s=8.0, stops=0.0,
        streams=True, one_way=True, room_m=0.4, spread=(0.4, 0.7), depth=(0.9, 1.15), camera=("static", "shake"),
    ),
    "dance": Kind(
        people=(3, 8), frames=(50, 120), height_px=(160, 450), speed=(0.1, 1.2), turn_every_s=1.5, inertia_s=0.3,
        stops=0.5, liveliness=(0.4, 0.9), jumpers=0.15, tumblers=0.05, room_m=1.3, spread=(0.9, 1.3),
        camera=("static", "static", "shake", "zoom"),
    ),
    "stand": Kind(
        people=(2, 7), frames=(50, 130), height_px=(200, 600), speed=(0.1, 0.6), turn_every_s=2.0, stops=0.8,
        room_m=1.0, liveliness=(0.2, 0.7), spread=(0.6, 1.0), depth=(0.8, 1.5), camera=("static", "static", "shake"),
    ),
    "crowd": Kind(
        people=(10, 16), frames=(30, 60), height_px=(100, 230), speed=(0.2, 1.3), turn_every_s=2.5, room_m=0.9,
        spread=(1.1, 1.6), depth=(0.7, 2.0), liveliness=(0.2, 0.7), camera=("static", "shake"),
    ),
    "crush": Kind(
        people=(20, 20), frames=(150, 200), height_px=(220, 330), speed=(0.8, 3.0), turn_every_s=1.2, room_m=0.3,
        spread=(0.5, 0.8), depth=(0.7, 1.5), liveliness=(0.3, 0.8), camera=("static", "shake"),
    ),
    "street": Kind(
        people=(8, 16), frames=(40, 80), height_px=(60, 140), speed=(0.8, 1.7), turn_every_s=8.0, stops=0.05,
        streams=True, room_m=0.9, spread=(1.4, 2.0), depth=(0.6, 2.0), camera=("static",), posts=2,
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Seen(Rows):
    """People who are at least partly in view, one row per person and frame, in frame order."""

    frames: np.ndarray  # (N,) int
    ids: np.ndarray  # (N,) int, identities from 0
    keypoints: np.ndarray  # (N, 17, 2) pixels, of all joints
    in_view: np.ndarray  # (N, 17) bool: inside the image
    hidden: np.ndarray  # (N, 17) bool: behind a person or a post
    boxes: np.ndarray  # (N, 4) pixels, of the whole body within the image
    head_boxes: np.ndarray  # (N, 4) pixels
    heights: np.ndarray  # (N,) pixels of a standing body at this distance

    @property
    def visible(self) -> np.ndarray:
        """(N, 17) bool."""
        return self.in_view & ~self.hidden

    @property
    def annotated(self) -> np.ndarray:
        """(N, 17) bool: the joints that an annotator would place; none of people who are hardly visible."""
        shown = self.visible.sum(axis=1)
        guessed = shown / np.maximum(self.in_view.sum(axis=1), 1) >= _ANNOTATED_SHARE
        return np.where(guessed[:, None], self.in_view, self.visible) & (shown >= _MIN_ANNOTATED)[:, None]


@dataclass(frozen=True, eq=False)
class World:
    """A scene and its ground truth."""

    kind: str
    size: tuple[int, int]  # width, height in pixels
    times: np.ndarray  # (T,) seconds
    people: Seen
    camera: np.ndarray  # (T, 2, 3): maps background points of the last frame to this frame; the identity in frame 0


def make_world(
    kind: str | Kind, rng: np.random.Generator, *, people: int | None = None, frames: int | None = None
) -> World:
    """Draw a world of this kind.

    Args:
        kind: a name of KINDS, or another `Kind`.
        rng: the source of randomness.
        people: number of people; drawn from the kind's range when not given.
        frames: number of frames; drawn from the kind's range when not given.
    """
    name, kind = (kind, KINDS[kind]) if isinstance(kind, str) else ("own", kind)
    width, height = _SIZES[rng.integers(len(_SIZES))]
    P = people or int(rng.integers(kind.people[0], kind.people[1] + 1))
    T = frames or int(rng.integers(kind.frames[0], kind.frames[1] + 1))
    times = np.arange(T) / rng.choice(_RATES[0], p=_RATES[1])

    person_px = min(np.exp(rng.uniform(*np.log(kind.height_px))) * height / 720, 0.95 * height)
    if people:
        person_px *= (
            min(1.0, kind.people[1] / people) ** 0.5
        )  # larger crowds are seen from farther away instead of being denser
    focal = width / rng.uniform(0.5, 1.2)
    distance = focal * 1.7 / person_px
    ground = _Ground(distance, width / focal * distance * rng.uniform(*kind.spread), kind)
    places, speeds, facing = _walk(ground, P, times, rng)
    action = Action.draw(rng, P, kind.liveliness, kind.jumpers, kind.tumblers)
    heights = rng.normal(1.7, 0.1, P).clip(1.2, 2.0)
    joints = bodies(times, speeds, facing, heights, action)
    joints[..., [0, 2]] += places[:, :, None]

    camera = _Camera.draw(rng, kind, times, places, (width, height), focal, distance)
    return World(name, (width, height), times, _seen(camera, joints, heights, kind, distance, rng), camera.similarity())


@dataclass(frozen=True)
class _Ground:
    """The area of the people in metres: x to the right of its centre, z away from the camera at 0, 0."""

    distance: float
    width: float
    kind: Kind

    def low_high(self) -> tuple[np.ndarray, np.ndarray]:
        near, far = self.distance * self.kind.depth[0], self.distance * self.kind.depth[1]
        return np.array([-self.width / 2, near]), np.array([self.width / 2, max(far, near + 1.5)])


def _walk(
    ground: _Ground, P: int, times: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (T, P, 2), speeds (T, P) and facing directions (T, P)."""
    kind = ground.kind
    low, high = ground.low_high()
    group = np.arange(P) // kind.group
    G = group[-1] + 1
    middle = rng.uniform(low, high, (G, 2))
    place = middle[group] + (rng.normal(0, 0.9, (P, 2)) if kind.group > 1 else 0.0)
    offset = place - middle[group]
    way = rng.choice([-1.0, 1.0], 1 if kind.one_way else G)

    def new_goals(middle: np.ndarray) -> np.ndarray:
        angle = rng.uniform(-np.pi, np.pi, G)
        toward = rng.uniform(low, high, (G, 2)) - middle
        outside = ((middle < low) | (middle > high)).any(axis=1) | (rng.random(G) < 0.3)
        angle = np.where(outside, np.arctan2(toward[:, 1], toward[:, 0]), angle)
        if kind.streams:
            angle = np.where(way > 0, 0.0, np.pi) + rng.normal(0, 0.15, G)
        speed = rng.uniform(*kind.speed, G) * (rng.random(G) >= kind.stops)
        return speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)

    goal = new_goals(middle)
    velocity = goal[group]
    face = np.arctan2(velocity[:, 1], velocity[:, 0]) + rng.uniform(-1, 1, P) * (np.abs(velocity).sum(axis=1) == 0)
    places, speeds, facing = [], [], []
    for t, time_s in enumerate(times):
        gap_s = time_s - times[t - 1] if t else 0.0
        steps = int(np.ceil(gap_s / _STEP_S))
        for _ in range(steps):
            dt = gap_s / steps
            middle = np.array([place[group == g].mean(axis=0) for g in range(G)]) if kind.group > 1 else place
            changes = rng.random(G) < dt / kind.turn_every_s
            goal = np.where(changes[:, None], new_goals(middle), goal)
            desired = goal[group] + (0.8 * (middle[group] + offset - place) if kind.group > 1 else 0.0)
            velocity = velocity + dt / kind.inertia_s * (desired - velocity) + dt * _kept_apart(place, kind.room_m)
            place = place + dt * velocity
            place[:, 1] = np.maximum(place[:, 1], 0.5 * ground.distance)  # people do not walk into the camera
            heading = np.arctan2(velocity[:, 1], velocity[:, 0])
            turn = np.angle(np.exp(1j * (heading - face))) * (np.linalg.norm(velocity, axis=1) > 0.3)
            face = face + np.clip(dt / 0.2, 0, 1) * turn + rng.normal(0, 0.5, P) * np.sqrt(dt)
        places.append(place)
        speeds.append(np.linalg.norm(velocity, axis=1))
        facing.append(face)
    return np.array(places), np.array(speeds), np.array(facing)


def _kept_apart(place: np.ndarray, room_m: float) -> np.ndarray:
    """(P, 2) accelerations in m/s^2 away from people who are nearer than the distance kept."""
    step = place[:, None] - place[None]
    apart = np.linalg.norm(step, axis=2) + np.eye(len(place)) * 1e3
    push = np.clip(room_m / np.maximum(apart, 0.05) - 0.5, 0, 4) * 4
    return (push[..., None] * step / np.maximum(apart, 0.05)[..., None]).sum(axis=1)


@dataclass(frozen=True, eq=False)
class _Camera:
    """A camera at a fixed position that turns and zooms: angles (radians) and focal length (pixels) of each frame."""

    yaw: np.ndarray  # (T,) to the right
    pitch: np.ndarray  # (T,) downwards
    roll: np.ndarray  # (T,)
    focal: np.ndarray  # (T,)
    size: tuple[int, int]
    height_m: float

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        kind: Kind,
        times: np.ndarray,
        places: np.ndarray,
        size: tuple[int, int],
        focal: float,
        distance: float,
    ) -> _Camera:
        motion = str(rng.choice(kind.camera))
        T, width = len(times), size[0]
        height_m = rng.uniform(1.0, 2.5) if distance < 15 else rng.uniform(2.5, 7.0)
        view = width / focal  # about the angle of view
        yaw, zoom = np.zeros(T), np.ones(T)
        if motion == "pan":  # to and fro
            speed = np.exp(rng.uniform(*np.log(kind.pan))) * view
            reach = rng.uniform(0.2, 0.6) * view
            yaw = reach * np.sin(speed / reach * times + rng.uniform(0, 2 * np.pi))
        elif motion == "follow":  # a person, with a delay
            angle = np.arctan2(places[:, 0, 0], places[:, 0, 1])
            yaw = _smoothed(angle, times, rng.uniform(0.1, 0.4))
        if motion == "zoom" or rng.random() < 0.1:
            zoom = np.exp(rng.uniform(0.1, 0.4) * np.sin(rng.uniform(0.5, 2.5) * times + rng.uniform(0, 6.3)))
        shake = np.zeros((3, T))
        if motion != "static":
            strength = np.exp(rng.uniform(np.log(0.001), np.log(0.008))) * view * np.array([[1.0], [1.0], [0.3]])
            rates = rng.uniform(0.5, 5.0, (3, 1, 5))
            shake = strength * np.sin(2 * np.pi * times[:, None] * rates + rng.uniform(0, 6.3, (3, 1, 5))).mean(axis=2)
        down = np.arctan2(height_m - 0.9, distance)
        return cls(yaw + shake[0], down + shake[1], shake[2], focal * zoom, size, height_m)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (T, ..., 2) and depths (T, ...) in metres of points (T, ..., 3)."""
        shape = (-1,) + (1,) * (points.ndim - 2)
        yaw, pitch, roll, focal = (each.reshape(shape) for each in (self.yaw, self.pitch, self.roll, self.focal))
        right, up, ahead = points[..., 0], points[..., 1] - self.height_m, points[..., 2]
        right, ahead = np.cos(yaw) * right - np.sin(yaw) * ahead, np.sin(yaw) * right + np.cos(yaw) * ahead
        up, ahead = np.cos(pitch) * up + np.sin(pitch) * ahead, -np.sin(pitch) * up + np.cos(pitch) * ahead
        right, up = np.cos(roll) * right - np.sin(roll) * up, np.sin(roll) * right + np.cos(roll) * up
        depth = np.maximum(ahead, 0.05)
        x, y = self.size[0] / 2 + focal * right / depth, self.size[1] / 2 - focal * up / depth
        return np.stack([x, y], -1), ahead

    def similarity(self) -> np.ndarray:
        """(T, 2, 3) similarity transforms that fit the motion of distant points, as estimated from a background."""
        width, height = self.size
        grid = np.stack(np.meshgrid(np.linspace(0.1, 0.9, 5), np.linspace(0.1, 0.9, 4)), -1).reshape(-1, 2)
        out = np.tile(np.eye(2, 3), (len(self.yaw), 1, 1))
        for t in range(1, len(self.yaw)):
            before = grid * [width, height]
            rays = self._rays(t - 1, before)
            now, _ = self._at(t).project(rays[None])
            out[t] = fitted_similarity(before, now[0])
        return out

    def _at(self, t: int) -> _Camera:
        one = slice(t, t + 1)
        return _Camera(self.yaw[one], self.pitch[one], self.roll[one], self.focal[one], self.size, self.height_m)

    def _rays(self, t: int, pixels: np.ndarray) -> np.ndarray:
        """(N, 3) points at 100 m that frame t shows at these pixels (N, 2)."""
        right = (pixels[:, 0] - self.size[0] / 2) / self.focal[t]
        up = -(pixels[:, 1] - self.size[1] / 2) / self.focal[t]
        ahead = np.ones(len(pixels))
        cos, sin = np.cos(self.roll[t]), np.sin(self.roll[t])
        right, up = cos * right + sin * up, -sin * right + cos * up
        cos, sin = np.cos(self.pitch[t]), np.sin(self.pitch[t])
        up, ahead = cos * up - sin * ahead, sin * up + cos * ahead
        cos, sin = np.cos(self.yaw[t]), np.sin(self.yaw[t])
        right, ahead = cos * right + sin * ahead, -sin * right + cos * ahead
        return 100 * np.stack([right, up, ahead], -1) + [0, self.height_m, 0]


def fitted_similarity(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """(2, 3) least-squares similarity transform from points (N, 2) to points (N, 2)."""
    a, b = before - before.mean(axis=0), now - now.mean(axis=0)
    turned = np.array([(a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()]) / (a * a).sum()
    linear = np.array([[turned[0], -turned[1]], [turned[1], turned[0]]])
    return np.column_stack([linear, now.mean(axis=0) - linear @ before.mean(axis=0)])


def _smoothed(values: np.ndarray, times: np.ndarray, lag_s: float) -> np.ndarray:
    out = values.copy()
    for t in range(1, len(values)):
        out[t] = out[t - 1] + (1 - np.exp(-(times[t] - times[t - 1]) / lag_s)) * (values[t] - out[t - 1])
    return out


def _seen(
    camera: _Camera, joints: np.ndarray, heights: np.ndarray, kind: Kind, distance: float, rng: np.random.Generator
) -> Seen:
    """What the camera sees of joints (T, P, 17, 3)."""
    T, P = joints.shape[:2]
    keypoints, depths = camera.project(joints)
    scale = camera.focal[:, None] / np.maximum(depths.mean(axis=2), 0.05)  # (T, P) pixels per metre
    width, height = camera.size
    in_view = (keypoints >= 0).all(axis=3) & (keypoints < [width, height]).all(axis=3) & (depths > 0.3)

    head = keypoints[:, :, _HEAD].mean(axis=2)
    half = 0.5 * HEAD_DIAGONAL * np.array([0.62, 0.78]) * (scale * heights)[..., None]
    head_boxes = np.concatenate([head - half, head + half], axis=2)
    frames, ids = (grid.ravel() for grid in np.meshgrid(np.arange(T), np.arange(P), indexing="ij"))
    flat = keypoints.reshape(T * P, 17, 2)
    whole = keypoint_boxes(np.concatenate([flat, head_boxes.reshape(T * P, 2, 2)], axis=1))
    margin = 0.06 * (scale * heights).reshape(-1, 1) * np.array([[-1, -0.5, 1, 0.5]])
    boxes = np.clip(whole + margin, 0, [width, height, width, height])
    rows = in_view.reshape(T * P, 17).any(axis=1)
    seen = Seen(
        frames[rows],
        ids[rows],
        flat[rows],
        in_view.reshape(T * P, 17)[rows],
        np.zeros((rows.sum(), 17), bool),
        boxes[rows],
        head_boxes.reshape(T * P, 4)[rows],
        (scale * heights).reshape(-1)[rows],
    )
    hidden = _behind_somebody(seen, depths.mean(axis=2).reshape(-1)[rows])
    hidden |= _behind_posts(seen, camera, depths.reshape(T * P, 17)[rows], kind.posts, distance, rng)
    return Seen(*(hidden if name == "hidden" else value for name, value in vars(seen).items()))


# A body as thick lines: joints at the ends (their mean, where several), thickness as a share of the height.
_LEFT, _RIGHT = (5, 11, 13, 15), (6, 12, 14, 16)  # shoulder, hip, knee, ankle in COCO's order
_PARTS: tuple[tuple[tuple[int, ...], tuple[int, ...], float], ...] = (
    ((3, 4), (3, 4), 0.07),
    ((5, 6), (11, 12), 0.12),
    *(((s[0],), (s[1],), 0.05) for s in (_LEFT, _RIGHT)),
    *(((s[1],), (s[2],), 0.05) for s in (_LEFT, _RIGHT)),
    *(((s[2],), (s[3],), 0.035) for s in (_LEFT, _RIGHT)),
)


def _behind_somebody(seen: Seen, depths: np.ndarray) -> np.ndarray:
    """(N, 17) bool: joints behind the body of a nearer person, modelled as thick lines."""
    hidden = np.zeros(seen.in_view.shape, bool)
    starts = np.searchsorted(seen.frames, np.arange(seen.frames[-1] + 2)) if len(seen) else []
    for first, last in pairwise(starts):
        touch = box_intersection(seen.boxes[first:last], seen.boxes[first:last]) > 0
        nearer = depths[first:last] + 0.15 < depths[first:last, None]
        back, front = (each + first for each in np.nonzero(touch & nearer))
        for a, b, thick in _PARTS:
            line = (seen.keypoints[front][:, each].mean(axis=1) for each in (a, b))
            near = _distance_to_line(seen.keypoints[back], *line) < (thick * seen.heights[front])[:, None]
            np.logical_or.at(hidden, back, near)
    return hidden


def _distance_to_line(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, K) distances of points (N, K, 2) to the line segments from a (N, 2) to b (N, 2)."""
    along = (b - a)[:, None]
    length = np.maximum((along**2).sum(axis=2), 1e-9)
    share = np.clip(((points - a[:, None]) * along).sum(axis=2) / length, 0, 1)
    return np.linalg.norm(points - a[:, None] - share[..., None] * along, axis=2)


def _behind_posts(
    seen: Seen, camera: _Camera, depths: np.ndarray, most: int, distance: float, rng: np.random.Generator
) -> np.ndarray:
    """(N, 17) bool: joints behind upright posts, such as trees."""
    hidden = np.zeros(seen.in_view.shape, bool)
    for _ in range(rng.integers(most + 1)):
        z, half = distance * rng.uniform(0.6, 1.2), rng.uniform(0.1, 0.4)
        x = rng.uniform(-0.4, 0.4) * camera.size[0] / camera.focal[0] * z
        place = np.tile([x, 1.0, z], (len(camera.yaw), 1))
        pixels, _ = camera.project(place)
        off = np.abs(seen.keypoints[..., 0] - pixels[seen.frames, None, 0])
        hidden |= (off < half * (camera.focal / z)[seen.frames, None]) & (depths > z)
    return hidden
