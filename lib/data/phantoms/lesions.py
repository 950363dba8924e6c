"""The patterns of the diseases: opacity added to the lungs, and where it lies.

Each function of `LESIONS` takes the film, the chest and random numbers of patient and diagnosis. It
returns two layers of the film's size: the opacity, and a field that is high where the lesion is.
"""

import numpy as np

from lib.data.phantoms.chest import SIDES, branches
from lib.data.phantoms.shapes import CIRCLE, bands_along, blur, smooth


def _consolidation(film, chest, random):
    """Bacterial pneumonia: one dense lobe or segment with air bronchograms."""
    side = -1 if random.random() < 0.6 else 1
    top, bottom = ((0.06, 0.42), (0.46, 0.84), (0.56, 1.03))[random.integers(3)]
    inner = random.uniform(-0.15, 0.25)
    outer = inner + random.uniform(0.6, 1.1)
    middle, height = (inner + outer) / 2, bottom - top
    top, bottom = top + height * random.uniform(0, 0.15), bottom - height * random.uniform(0, 0.15)
    across = np.array([inner, middle, outer, outer, outer, middle, inner, inner])
    down = np.array([top, top, top, (top + bottom) / 2, bottom, bottom, bottom, (top + bottom) / 2])
    across, down = across + random.normal(0, 0.06, 8), down + random.normal(0, 0.04, 8)
    outline = smooth(chest.point(side, np.clip(across, -0.2, 1.1), down))
    field = film.fill([outline], softness=0.02)
    if random.random() < 0.5:  # a fissure cuts the opacity off sharply
        edge, beyond = (top + 0.04, -0.7) if random.random() < 0.5 else (bottom - 0.04, 0.7)
        line = np.array([(-0.3, edge + 0.03), (0.5, edge), (1.2, edge + random.uniform(0, 0.06))])
        cut = np.vstack([line, line[::-1] + np.array([0, beyond])])
        field = field * (1 - film.fill([chest.point(side, *cut.T)], softness=0.003))
    field = np.clip(field * (1 + 0.22 * film.texture(random, 12)), 0, 1)
    tubes, _ = branches(random, chest, side, stems=8, width=0.010)
    bronchi = film.fill(tubes, softness=0.0015)
    grain = 1 + 0.12 * film.texture(random, 40) - 0.5 * bronchi
    return random.uniform(0.12, 0.26) * field * grain, field


def _reticulation(film, chest, random):
    """Viral pneumonia: a bilateral net of thickened interstitium around the hila and beyond."""
    spread, haze = random.uniform(0.11, 0.20), random.uniform(0.0, 0.15)
    zone, cuffs = np.zeros((film.size, film.size), np.float32), []
    for side in SIDES:
        centre = chest.point(side, random.uniform(0.15, 0.4), random.uniform(0.45, 0.65))
        blob = centre + spread * CIRCLE * (1, 1.35)
        zone += random.uniform(0.7, 1.0) * film.fill([blob], softness=0.4 * spread)
        spots = chest.point(side, random.uniform(0.0, 0.6, 9), random.uniform(0.3, 0.75, 9))
        cuffs.extend(spots[:, None] + random.uniform(0.006, 0.011, (9, 1, 1)) * CIRCLE)
    zone = np.clip(zone * (1 + 0.4 * film.texture(random, 8)), 0, 1)
    net = 0.7 * film.fill(bands_along(cuffs, 0.005), softness=0.0012)
    for cells, weight in ((34, 0.55), (56, 0.5)):
        net += weight * np.clip(1 - np.abs(film.texture(random, cells)) / 0.45, 0, 1)
    return random.uniform(0.07, 0.16) * zone * (net + haze), zone


def _ground_glass(film, chest, random):
    """COVID-19: bilateral hazy patches near the chest wall, mostly in the lower zones."""
    patches, levels = [], []
    for side in SIDES:
        for _ in range(random.integers(2, 6)):
            centre = chest.point(side, random.uniform(0.66, 0.98), random.uniform(0.5, 0.95))
            ragged = random.uniform(0.03, 0.08) * (1 + random.normal(0, 0.25, (12, 1)))
            patches.append(smooth(centre + ragged * CIRCLE[::2] * (0.75, 1.15)))
            levels.append(random.uniform(0.6, 1.0))
    field = film.fill(patches, levels=levels, softness=0.018)
    field = np.clip(field * (1 + 0.25 * film.texture(random, 24)), 0, 1)
    return random.uniform(0.06, 0.15) * field * (1 + 0.35 * film.texture(random, 60)), field


def _upper_zone_disease(film, chest, random):
    """Tuberculosis: nodules, ring-shaped cavities and scarring streaks in the upper zones."""
    sides = SIDES if random.random() < 0.5 else (int(random.choice(SIDES)),)
    nodules, walls, lumens, streaks = [], [], [], []
    for side in sides:
        focus = random.uniform((0.3, 0.14), (0.7, 0.28))
        count = random.integers(8, 22)
        spots = random.normal(focus, (0.24, 0.08), (count, 2)).clip((0.05, 0.03), (0.95, 0.42))
        spots = chest.point(side, *spots.T)
        for spot in spots:
            ragged = random.uniform(0.004, 0.014) * (1 + random.normal(0, 0.25, (12, 1)))
            nodules.append(smooth(spot + ragged * CIRCLE[::2], rounds=2))
        for _ in range(random.integers(0, 3)):
            centre = chest.point(side, *random.normal(focus, (0.12, 0.06)).clip(0.12, 0.8))
            ragged = 1 + random.normal(0, 0.08, (12, 1))
            radius = random.uniform(0.024, 0.048)
            rim = radius * ragged * CIRCLE[::2] * (1, random.uniform(0.8, 1.2))
            walls.append(smooth(centre + rim))
            lumens.append(smooth(centre + rim * random.uniform(0.5, 0.78, (12, 1)), rounds=2))
        hilum = chest.place(side, chest.hilum[side])
        for spot in spots[: random.integers(0, 6)]:
            path = np.linspace(hilum, spot, 5) + random.normal(0, 0.008, (5, 2))
            path = smooth(path[1:], closed=False, rounds=2)[None]
            streaks.extend(bands_along(path, random.uniform(0.002, 0.005, (1, path.shape[1]))))
    solid = film.fill(nodules, levels=random.uniform(0.45, 1, len(nodules)), softness=0.003)
    cloud = np.clip(1.2 * blur(solid, 0.022 * film.size), 0, 0.4)
    cloud = cloud * np.clip(1 + 0.4 * film.texture(random, 30), 0, 2)
    hole, ring = film.fill(lumens, softness=0.004), film.fill(walls, softness=0.006)
    field = np.maximum(0.7 * solid, ring) * (1 - hole) + 0.7 * cloud * (1 - 0.8 * hole)
    field += 0.35 * film.fill(streaks, softness=0.0015) - 0.06 * hole
    return random.uniform(0.12, 0.22) * field, np.maximum(np.maximum(solid, ring), 1.2 * cloud)


LESIONS = {
    "bacterial_pneumonia": _consolidation,
    "viral_pneumonia": _reticulation,
    "covid19": _ground_glass,
    "tuberculosis": _upper_zone_disease,
}
