"""Shapes in unit coordinates drawn on a film: lines, bands, polygons, textures and blur."""

from dataclasses import dataclass, field

import cv2
import numpy as np

_ANGLES = np.linspace(0, 2 * np.pi, 24)
CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)


def smooth(points, *, closed=True, rounds=3):
    """Round the corners of a line by repeated corner cutting (Chaikin)."""
    points = np.asarray(points, float)
    for _ in range(rounds):
        before, after = (points, np.roll(points, -1, 0)) if closed else (points[:-1], points[1:])
        cut = np.stack([0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after], 1)
        cut = cut.reshape(-1, 2)
        points = cut if closed else np.vstack([points[:1], cut, points[-1:]])
    return points


def bands_along(paths, widths):
    """Outlines of bands along paths (count, steps, 2); widths broadcast to (count, steps)."""
    paths = np.asarray(paths, float)
    along = np.gradient(paths, axis=1)
    along /= np.linalg.norm(along, axis=2, keepdims=True) + 1e-9
    across = np.stack([-along[..., 1], along[..., 0]], 2) * np.asarray(widths)[..., None] / 2
    return np.concatenate([paths + across, (paths - across)[:, ::-1]], 1)


def rims_of(bands):
    """Both long edges of each band, as thin bands of their own: the bright bone cortex."""
    bands = np.asarray(bands)
    half = bands.shape[1] // 2
    return bands_along(np.concatenate([bands[:, :half], bands[:, half:]]), 0.0042)


def blur(layer, sigma):
    """Gaussian blur, sigma in pixels; wide blurs run on a reduced copy because it is faster."""
    if sigma < 0.3:
        return layer
    if sigma < 4:
        return cv2.GaussianBlur(layer, (0, 0), sigma)
    small = cv2.resize(layer, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, layer.shape[::-1], interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True)
class Film:
    """Draws shapes given in unit patient coordinates on a posed film of size x size pixels."""

    size: int
    pose: np.ndarray = field(default_factory=lambda: np.eye(2, 3))  # patient to film

    def fill(self, shapes, *, levels=1.0, softness=0.0):
        """Fill polygons, later over earlier, to a float32 layer with values in [0, 1]."""
        double = 2 * self.size  # drawn twice as fine so that thin vessels stay smooth
        raster = np.zeros((double, double), np.uint8)
        if len(shapes):
            pixels = np.concatenate(shapes) @ self.pose[:, :2].T + self.pose[:, 2]
            corners = np.rint((pixels * double - 0.5) * 16).astype(np.int32)
            corners = np.split(corners, np.cumsum([len(shape) for shape in shapes])[:-1])
            levels = np.broadcast_to(levels, len(shapes)) * 255.0
            for polygon, level in zip(corners, levels.tolist(), strict=True):
                cv2.fillPoly(raster, [polygon], level, cv2.LINE_AA, 4)
        layer = cv2.resize(raster, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return blur(layer.astype(np.float32) / 255, softness * self.size)

    def texture(self, random, cells):
        """Smooth random field, mean 0 and deviation about 0.8, that moves with the patient."""
        coarse = random.standard_normal((cells, cells), np.float32)
        fine = cv2.resize(coarse, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        matrix = np.column_stack([self.pose[:, :2] / len(fine), self.pose[:, 2]]) * self.size
        return cv2.warpAffine(fine, matrix, (self.size,) * 2, borderMode=cv2.BORDER_REFLECT)

    def ramp(self, start, end, *, axis):
        """Rise from 0 at start to 1 at end along an axis of the film (0 down, 1 across)."""
        place = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        rise = np.clip((place - start) / (end - start), 0, 1)
        return rise[:, None] if axis == 0 else rise[None, :]
