"""Training samples of bottom-up networks: whole images with all of their people, scaled, turned, moved and mirrored."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from estimators.affine import transformed, warped
from posetrail.frame import Image
from training.augment import Augmentation, drawn, recoloured, region
from training.data.image_files import read_image
from training.loader import Order, collated, process_context, start_worker
from training.loop import Batch
from training.regions import mirrored
from training.samples import Samples

MAX_PEOPLE = 30  # in an image; further ones are trained as background that does not count
Around = Literal["image", "person"]


@dataclass(frozen=True)
class WholeImages(Dataset[tuple[np.ndarray, np.ndarray, np.ndarray]]):
    """Training samples by (epoch, number of the image among those with people).

    Raises:
        InputError: an image cannot be read.
    """

    samples: Samples
    side_px: int  # of the square samples
    augmentation: Augmentation
    around: Around = "image"
    """What a sample is centred on before augmentation: the image, whose shorter side fills it, or one of its people,
    the height of whose box, times the padding, fills it."""
    seed: int = 0

    @property
    def images(self) -> np.ndarray:
        """Positions of the images with people."""
        return np.unique(self.samples.image_rows)

    def __getitem__(self, place: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A sample.

        Returns:
            image (S, S, 4) uint8 RGB and a mask, 0 where people are not annotated; keypoints (30, K, 2) float32 pixels,
            NaN where not labelled; visibility (30, K) uint8.
        """
        epoch, row = place
        number = int(self.images[row])
        image = read_image(self.samples.images[number])
        people = self.samples[self.samples.image_rows == number]
        annotated = people[people.usable]
        keypoints, visibility = annotated.keypoints[:MAX_PEOPLE].astype(float), annotated.visibility[:MAX_PEOPLE]
        draws = drawn(self.augmentation, self.seed, epoch, row)
        box = self._box(image, annotated, np.random.default_rng([self.seed, epoch, row, 1]))
        size = self.side_px, self.side_px
        where = region(box, keypoints[:0].reshape(0, 2), image.shape[1], people.skeleton, self.augmentation, draws)
        seen = _mask(image, people)
        if where.flipped:
            image, seen = cv2.flip(image, 1), cv2.flip(seen, 1)
            mirror = people.skeleton.mirror
            keypoints, visibility = mirrored(keypoints, image.shape[1])[:, mirror], visibility[:, mirror]
        matrix = where.matrix(size)
        joints = transformed(keypoints, np.broadcast_to(matrix, (len(keypoints), 2, 3)))
        every, known = np.full((MAX_PEOPLE, *joints.shape[1:]), np.nan), np.zeros((MAX_PEOPLE, joints.shape[1]))
        every[: len(joints)], known[: len(joints)] = joints, visibility
        pixels = recoloured(warped(image, matrix, size), draws)
        mask = cv2.warpAffine(seen, matrix, size, flags=cv2.INTER_LINEAR, borderValue=255)
        return np.dstack([pixels, mask]), every.astype(np.float32), known.astype(np.uint8)

    def _box(self, image: Image, people: Samples, rng: np.random.Generator) -> np.ndarray:
        """The square (4,) that fills a sample."""
        height, width = image.shape[:2]
        centre, side = np.array([width - 1, height - 1]) / 2, float(min(width, height))
        if self.around == "person" and len(people):
            x1, y1, x2, y2 = people.boxes[rng.integers(len(people))]
            centre, side = np.array([x1 + x2, y1 + y2]) / 2, float(y2 - y1)
        return np.concatenate([centre - side / 2, centre + side / 2])


def _mask(image: Image, people: Samples) -> np.ndarray:
    """(H, W) uint8: 0 in ignore regions and in the boxes of people without joints, 255 elsewhere."""
    mask = np.full(image.shape[:2], 255, np.uint8)
    not_annotated = ~people.usable
    not_annotated[np.flatnonzero(people.usable)[MAX_PEOPLE:]] = True
    for x1, y1, x2, y2 in np.nan_to_num(people.boxes[not_annotated]):
        mask[max(int(y1), 0) : max(int(np.ceil(y2)), 0), max(int(x1), 0) : max(int(np.ceil(x2)), 0)] = 0
    for image_row in np.unique(people.image_rows):
        for polygon in people.ignore_regions[image_row]:
            cv2.fillPoly(mask, [np.asarray(np.round(polygon), np.int32)], (0,))
    for x1, y1, x2, y2 in np.nan_to_num(people.boxes[people.usable][:MAX_PEOPLE]):  # their own joints count
        mask[max(int(y1), 0) : max(int(np.ceil(y2)), 0), max(int(x1), 0) : max(int(np.ceil(x2)), 0)] = 255
    return mask


@dataclass(frozen=True)
class ImageBatches:
    """The batches of a training; see `training.loop.Batches`. Keypoints are (B, 30, K, 2), visibility (B, 30, K)."""

    images: WholeImages
    workers: int = 0

    def __call__(self, first: int, size: int, rank: int, world_size: int) -> Generator[Batch]:
        """This process's parts of the batches, from the sample with number `first` on."""
        yield from DataLoader(
            replace(self.images),
            batch_sampler=Order(len(self.images.images), first, size, rank, world_size, self.images.seed),
            num_workers=self.workers,
            collate_fn=collated,
            worker_init_fn=start_worker,
            multiprocessing_context=process_context() if self.workers else None,
        )
