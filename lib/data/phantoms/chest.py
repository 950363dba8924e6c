"""The shape of one patient's chest: outlines of lungs, heart, diaphragm and vessel trees.

Coordinates are those of `draw`: the midline is x = 0.5, and a point of one side is given by
its distance from the midline and its height.
"""

import numpy as np

from lib.data.phantoms.shapes import bands_along, smooth

SIDES = (-1, 1)  # -1 is the patient's right, on the left of the film

# Lowest and highest value of each uniformly drawn quantity; lengths are fractions of the film.
ANATOMY_RANGES = {
    "chest_half_width": (0.32, 0.40),
    "apex": (0.095, 0.15),
    "base": (0.76, 0.86),  # level of the costophrenic angles
    "dome_rise": (0.08, 0.14),  # diaphragm dome above the costophrenic angle
    "left_lower": (0.005, 0.035),  # left dome below right dome
    "cardiothoracic_ratio": (0.40, 0.56),
    "rotation": (-0.018, 0.018),  # shift of heart and trachea against the spine
    "aortic_knob": (0.070, 0.095),
    "rib_drop": (0.17, 0.26),  # height from the spinal to the frontal end of a middle rib
    "rib_width": (0.019, 0.028),
    "rib_density": (0.08, 0.17),
    "clavicle_tilt": (0.03, 0.11),
    "clavicle_height": (0.17, 0.225),
    "scapula_overlap": (-0.03, 0.05),
    "wall_thickness": (0.03, 0.10),
    "arm_gap": (0.0, 0.07),
    "soft_tissue": (0.60, 0.72),
    "vessel_density": (0.5, 1.3),  # up to mild vascular congestion
    "lung_air": (0.34, 0.42),
    "lung_haze": (0.0, 0.07),
    "muscle": (0.0, 0.07),  # pectoral muscle over the upper lung
    "breast": (-0.08, 0.08),  # no breast shadow when negative
    "breast_height": (0.58, 0.66),
    "gastric_bubble": (-0.12, 0.12),  # none when negative
}


class Chest:
    """Outlines of one patient's chest at the inspiration of one image."""

    def __init__(self, body, inspiration):
        self.body, self.apex, self.base = body, body.apex, body.base + inspiration
        # Half-width of the rib cage from the lung apex down to the costophrenic angle.
        shape = [(0.20, 0), (0.46, 0.015), (0.66, 0.11), (0.82, 0.28), (0.95, 0.56), (1, 0.85)]
        scale = (body.chest_half_width, self.base - self.apex)
        self.wall = smooth(np.array([*shape, (0.975, 1)]) * scale + (0, self.apex), closed=False)
        low = self.base - 0.5 * body.dome_rise
        hilar = 0.52 * low + 0.48 * self.apex
        self.hilum = {-1: (0.09, hilar), 1: (0.095, hilar - 0.025)}
        wide, tall = 1.85 * body.chest_half_width * body.cardiothoracic_ratio, low - hilar
        knob = body.aortic_knob
        vessels = [(0.085, 0), (0.066, self.apex)]
        right = [(0.066, hilar - 0.12), (0.070, hilar - 0.03), (0.33 * wide, hilar + 0.15 * tall)]
        right += [(0.41 * wide, hilar + 0.42 * tall), (0.40 * wide, hilar + 0.7 * tall)]
        left = [(0.060, hilar - 0.19), (knob, hilar - 0.165), (knob, hilar - 0.105)]
        left += [(0.058, hilar - 0.08), (0.092, hilar - 0.03), (0.098, hilar + 0.02)]
        left += [(0.50 * wide, hilar + 0.28 * tall), (0.69 * wide, hilar + 0.56 * tall)]
        left += [(0.74 * wide, hilar + 0.76 * tall), (0.67 * wide, low)]
        self.border = {
            -1: smooth([*vessels, *right, (0.32 * wide, low + 0.04)], closed=False),
            1: smooth([*vessels, *left, (0.4 * wide, low + 0.06)], closed=False),
        }

    def place(self, side, points):
        """Turn (distance from the midline, height) into film coordinates on one side."""
        points = np.asarray(points, float)
        return np.stack([0.5 + side * points[..., 0], points[..., 1]], -1)

    def both(self, points):
        """Place the same points on the patient's right and left."""
        return [self.place(side, points) for side in SIDES]

    def half_width(self, height):
        """Distance of the chest wall from the midline."""
        return np.interp(height, self.wall[:, 1], self.wall[:, 0])

    def dome(self, side, across):
        """Height of the diaphragm from across = 0 (midline) to 1 (chest wall)."""
        across = np.clip(across, 0, 1)
        outer, inner = np.maximum(across - 0.45, 0) / 0.55, np.maximum(0.45 - across, 0) / 0.45
        lower = self.body.left_lower * (side > 0) * (1 - across**6)
        return self.base + lower - self.body.dome_rise * (1 - outer**2.3 - 0.25 * inner**2)

    def floor(self, side):
        """Line of the diaphragm from the chest wall to the midline."""
        across = np.linspace(1, 0, 24)
        line = np.stack([across * self.wall[-1, 0], self.dome(side, across)], 1)
        return self.place(side, line)

    def lung(self, side):
        """Outline of one lung, running on behind the heart."""
        inner = [(0.02, self.base - 0.2), (0.03, self.apex + 0.09), (0.05, self.apex + 0.02)]
        return np.vstack([self.place(side, self.wall), self.floor(side), self.place(side, inner)])

    def heart(self):
        """Outline of heart, great vessels and upper mediastinum."""
        left, right = self.place(1, self.border[1]), self.place(-1, self.border[-1])
        return np.vstack([left, right[::-1]]) + np.array([self.body.rotation, 0])

    def point(self, side, across, down):
        """Film coordinates at across 0 (heart) to 1 (wall), down 0 (apex) to 1 (diaphragm)."""
        across, down = np.broadcast_arrays(np.asarray(across, float), down)
        height = self.apex + down * (self.dome(side, 0.25 + 0.7 * across) - self.apex)
        border = self.border[side]
        inner = np.interp(height, border[:, 1], border[:, 0]) + side * self.body.rotation
        outer = self.half_width(height)
        inner = np.minimum(inner, outer - 0.01)
        return self.place(side, np.stack([inner + across * (outer - inner), height], -1))


def branches(random, chest, side, *, stems, width):
    """Let tapering tubes fork from a hilum outwards: vessels or bronchi.

    `stems` of that width leave it; each further generation has twice as many.

    Returns
    -------
    outlines : numpy.ndarray
        (tubes, points, 2), the thinnest first.
    levels : numpy.ndarray
        (tubes,) brightness of each; 1 for the stems, less for their branches.
    """
    origin = chest.place(side, chest.hilum[side]) + np.array([chest.body.rotation, 0])
    fan = np.linspace(-1.3, 1.45, stems) + random.normal(0, 0.22, stems)
    root = np.stack([0.004 * np.cos(fan), 0.045 * np.sin(fan)], 1)
    origin = origin + root + random.normal(0, 0.012, (stems, 2))
    length = 0.095 * (1 + 0.35 * np.sin(fan)) * random.uniform(0.7, 1.2, stems)
    steps, outlines, levels = np.linspace(0, 1, 6), [], []
    for generation in range(4):
        bend = fan[:, None] + random.normal(0, 0.7, (len(fan), 1)) * (steps - 0.3)
        heading = np.stack([side * np.cos(bend), np.sin(bend)], 2) * length[:, None, None] / 5
        paths = origin[:, None] + np.cumsum(heading, 1) - heading[:, :1]
        taper = width * 0.68**generation * np.linspace(1, 0.7, 6)
        outlines.insert(0, bands_along(paths, taper[None]))
        levels.insert(0, np.full(len(fan), 0.78**generation))
        origin, length = np.repeat(paths[:, -1], 2, 0), np.repeat(length, 2)
        length = length * random.uniform(0.6, 1.0, len(length))
        fan = np.repeat(fan, 2) + np.tile([-1, 1], len(fan)) * random.uniform(
            0.1, 0.55, len(length)
        )
    return np.vstack(outlines), np.concatenate(levels)
