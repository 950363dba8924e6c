"""Findings of the source task: what a network learns to see before it meets the five classes.

A backbone pre-trained on a large radiograph collection knows nodules, effusions, catheters and
hearts, not this study's question. Here are the drawn counterparts: twenty findings, each in one of
twelve places of the chest. They share elementary shapes with the classes (all opacities are made
of discs, lines and haze) but no pattern: nothing here draws a lobe with air bronchograms, a net
around both hila, ground glass along the chest wall of the lower zones, or nodules, rings and
streaks at the apex. `Finding.places` leaves out the places where a finding would come near one.

A finding is drawn by a function of film, chest, random numbers and place, which returns a layer of
the film's size: a field that is high where the finding is, and also the change of density, about 1
where it is fullest. Where the two differ it returns both, the change first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.data.phantoms.chest import SIDES
from lib.data.phantoms.shapes import CIRCLE, bands_along, smooth

LEVELS = {"upper": (0.06, 0.33), "middle": (0.36, 0.62), "lower": (0.65, 0.92)}
"""Share of the way from the apex of the lung to the diaphragm."""
DEPTHS = {"central": (0.08, 0.45), "peripheral": (0.55, 0.92)}
"""Share of the way from the heart to the chest wall."""
PLACES = tuple((side, level, depth) for side in SIDES for level in LEVELS for depth in DEPTHS)


@dataclass(frozen=True)
class Finding:
    """One kind of finding.

    ``places`` are those of `PLACES` where it may lie, ``strength`` the lowest and highest factor on
    its change of density, ``inside`` whether it lies in aerated lung and is hidden by heart and
    diaphragm.
    """

    draw: Callable
    places: tuple = PLACES
    strength: tuple[float, float] = (0.10, 0.40)
    inside: bool = True


def _spot(chest, random, place, *, margin=0.0):
    side, level, depth = place
    down = random.uniform(LEVELS[level][0] + margin, LEVELS[level][1] - margin)
    return chest.point(side, random.uniform(*DEPTHS[depth]), down)


def _disc(random, radius, rough=0.12):
    return smooth(radius * (1 + random.normal(0, rough, (12, 1))) * CIRCLE[::2], rounds=2)


def _patch(film, chest, random, place, radius, *, softness=0.018):
    """A ragged patch and its field."""
    centre = _spot(chest, random, place, margin=0.05)
    shape = centre + _disc(random, random.uniform(*radius), 0.22) * (1, random.uniform(0.8, 1.3))
    return film.fill([shape], softness=softness)


def _scatter(chest, random, place, count, spread):
    centre = _spot(chest, random, place, margin=0.06)
    return random.normal(centre, spread, (count, 2))


def _nodule(film, chest, random, place):
    shape = _spot(chest, random, place) + _disc(random, random.uniform(0.014, 0.036))
    return film.fill([shape], softness=0.004)


def _mass(film, chest, random, place):
    centre, radius = _spot(chest, random, place), random.uniform(0.045, 0.08)
    field = film.fill([centre + _disc(random, radius, 0.15)], softness=0.007)
    angles = random.uniform(0, 2 * np.pi, random.integers(0, 16))
    rays = np.stack([np.cos(angles), np.sin(angles)], 1)[:, None] * radius
    rays = centre + rays * np.linspace(0.9, random.uniform(1.2, 1.6), 4)[:, None]
    spicules = film.fill(bands_along(rays, 0.004) if len(rays) else [])
    return field * (1 + 0.15 * film.texture(random, 20)) + 0.5 * spicules, field


def _scattered_nodules(film, chest, random, place):
    count = random.integers(8, 24)
    spots = _scatter(chest, random, place, count, random.uniform(0.035, 0.07))
    discs = [spot + _disc(random, random.uniform(0.004, 0.012), 0.2) for spot in spots]
    return film.fill(discs, levels=random.uniform(0.5, 1, count), softness=0.002)


def _calcifications(film, chest, random, place):
    count = random.integers(2, 8)
    spots = _scatter(chest, random, place, count, random.uniform(0.015, 0.04))
    discs = [spot + CIRCLE * random.uniform(0.003, 0.007) for spot in spots]
    field = film.fill(discs, softness=0.001)
    return 1.6 * field, field


def _cyst(film, chest, random, place):
    centre = _spot(chest, random, place, margin=0.04)
    rim = _disc(random, random.uniform(0.026, 0.055), 0.06)
    outer = film.fill([centre + rim], softness=0.003)
    inner = film.fill([centre + rim * random.uniform(0.8, 0.92)], softness=0.003)
    return outer - inner - 0.35 * inner, outer


def _widened_bronchi(film, chest, random, place):
    count = random.integers(4, 11)
    spots = _scatter(chest, random, place, count, random.uniform(0.03, 0.06))
    rings = spots[:, None] + random.uniform(0.007, 0.013, (count, 1, 1)) * CIRCLE
    along = random.uniform(-1, 1, (1, 2)) * 0.03
    start = spots[: count // 2, None] + np.array([(0, 0), (0.010, 0.004)])[:, None, None]
    trams = (start + along * np.linspace(0, 1, 4)[:, None]).reshape(-1, 4, 2)
    return film.fill(
        [*bands_along(rings, 0.0045), *bands_along(trams, 0.004)],
        softness=0.0012,
    )


def _streaks(film, chest, random, place):
    count, angle = random.integers(3, 8), random.uniform(0, np.pi)
    spots = _scatter(chest, random, place, count, 0.03)
    angles = angle + random.normal(0, 0.25, count)
    half = random.uniform(0.03, 0.06, (count, 1))
    reach = half * np.stack([np.cos(angles), np.sin(angles)], 1)
    paths = spots[:, None] + reach[:, None] * np.linspace(-1, 1, 5)[:, None]
    paths += random.normal(0, 0.003, paths.shape)
    return film.fill(bands_along(paths, random.uniform(0.003, 0.006, (count, 1))), softness=0.0012)


def _plate(film, chest, random, place):
    centre, half = _spot(chest, random, place), random.uniform(0.04, 0.08)
    count, tilt = random.integers(1, 4), random.normal(0, 0.15)
    steps = np.linspace(-1, 1, 6)
    path = centre + half * np.stack([steps, tilt * steps - 0.1 * steps**2], 1)
    paths = path + np.arange(count)[:, None, None] * np.array([0.0, 0.03])
    return film.fill(bands_along(paths, random.uniform(0.007, 0.014, (count, 1))), softness=0.002)


def _wedge(film, chest, random, place):
    side, level, _ = place
    middle, half = random.uniform(*LEVELS[level]), random.uniform(0.06, 0.12)
    tip = (random.uniform(0.35, 0.6), middle + random.normal(0, 0.03))
    base = [(1.02, middle - half), (1.02, middle), (1.02, middle + half)]
    outline = chest.point(side, *np.array([tip, *base]).T)
    return film.fill([outline], softness=0.006)


def _haze(film, chest, random, place):
    field = _patch(film, chest, random, place, (0.05, 0.10), softness=0.025)
    return np.clip(field * (1 + 0.25 * film.texture(random, 16)), 0, 1)


def _net(film, chest, random, place):
    field = _patch(film, chest, random, place, (0.05, 0.10))
    lines = np.clip(1 - np.abs(film.texture(random, random.integers(28, 60))) / 0.4, 0, 1)
    return field * lines, field


def _mottling(film, chest, random, place):
    field = _patch(film, chest, random, place, (0.05, 0.10))
    blots = np.clip(film.texture(random, random.integers(20, 50)), 0, 1.5)
    return field * blots, field


def _bulla(film, chest, random, place):
    centre = _spot(chest, random, place, margin=0.03)
    rim = _disc(random, random.uniform(0.04, 0.08), 0.1)
    field = film.fill([centre + rim], softness=0.004)
    line = film.fill(bands_along((centre + rim)[None], 0.0035), softness=0.001)
    return 0.6 * line - 0.6 * field, field


def _effusion(film, chest, random, place):
    side, height = place[0], random.uniform(0.70, 0.93)
    across = np.array([1.05, 0.9, 0.7, 0.4, 0.0, -0.3])
    surface = height + random.uniform(0.05, 0.16) * (1 - np.clip(across, 0, 1)) ** 0.7
    line = np.stack([across, surface], 1)
    outline = np.vstack([line, line[::-1] * (1, 0) + (0, 1.12)])
    return film.fill([chest.point(side, *outline.T)], softness=0.008)


def _pneumothorax(film, chest, random, place):
    side, end, width = place[0], random.uniform(0.35, 0.75), random.uniform(0.12, 0.35)
    down = np.linspace(-0.02, end, 12)
    edge = 1 - width * np.sqrt(np.clip(1 - down / end, 0, 1)) * np.clip(0.6 + down * 3, 0.6, 1)
    line = chest.point(side, edge, down)
    wall = chest.point(side, np.full(12, 1.03), down)
    field = film.fill([np.vstack([line, wall[::-1]])], softness=0.003)
    pleura = film.fill(bands_along(line[None], 0.0035), softness=0.001)
    return 0.9 * pleura - 0.55 * field, field


def _enlarged_hilum(film, chest, random, place):
    hilum = chest.place(place[0], chest.hilum[place[0]]) + np.array([chest.body.rotation, 0])
    spots = hilum + random.normal(0, (0.012, 0.035), (random.integers(3, 6), 2))
    lumps = [spot + _disc(random, random.uniform(0.02, 0.036)) for spot in spots]
    return film.fill(lumps, softness=0.006)


def _pleural_thickening(film, chest, random, place):
    side, level, _ = place
    middle, half = random.uniform(*LEVELS[level]), random.uniform(0.06, 0.14)
    down = np.linspace(middle - half, middle + half, 9)
    bulge = random.uniform(0.06, 0.16) * np.sin(np.linspace(0, np.pi, 9)) ** 0.7
    inner, outer = chest.point(side, 1 - bulge, down), chest.point(side, np.full(9, 1.03), down)
    return film.fill([np.vstack([inner, outer[::-1]])], softness=0.004)


def _electrode(film, chest, random, place):
    spot = _spot(chest, random, place)
    wire = spot + np.cumsum(random.normal((0.03 * place[0], -0.04), 0.03, (8, 2)), 0)
    wire = smooth(np.vstack([spot, wire]), closed=False)[None]
    disc = film.fill([spot + CIRCLE * random.uniform(0.012, 0.02)], softness=0.001)
    return 0.7 * disc + 0.6 * film.fill(bands_along(wire, 0.004)), disc


def _catheter(film, chest, random, place):
    side, end = place[0], random.uniform(0.35, 0.6)
    path = [(0.2, 0.02), (0.14, 0.12), (0.05, 0.2), (0.03, 0.3), (0.03, end)]
    path = np.array(path) + random.normal(0, 0.012, (5, 2))
    path = smooth(chest.place(side, path), closed=False)[None]
    line = film.fill(bands_along(path, 0.006), softness=0.0008)
    return 0.7 * line, line


def _generator(film, chest, random, place):
    centre = _spot(chest, random, place)
    box = np.array([(-1, -0.7), (1, -0.7), (1, 0.5), (0.5, 0.9), (-0.6, 0.9)])
    body = smooth(centre + box * random.uniform(0.03, 0.045))
    tip = (0.5 + random.normal(0.06, 0.02), random.uniform(0.6, 0.72))
    bend = (0.5 + 0.05 * place[0], centre[1] + random.uniform(0.05, 0.12))
    lead = smooth(np.array([centre, (centre[0], centre[1] - 0.05), bend, tip]), closed=False)
    wire = film.fill(bands_along(lead[None], 0.005), softness=0.0008)
    return film.fill([body], softness=0.001) + 0.7 * wire, film.fill([body], softness=0.001)


def _where(levels=tuple(LEVELS), depths=tuple(DEPTHS)):
    return tuple(place for place in PLACES if place[1] in levels and place[2] in depths)


_LINES, _METAL = (0.12, 0.45), (0.35, 0.8)
FINDINGS = {
    "nodule": Finding(_nodule),
    "mass": Finding(_mass),
    # Many nodules, rings and streaks at the apex would be tuberculosis.
    "scattered_nodules": Finding(_scattered_nodules, _where(("middle", "lower"))),
    "calcifications": Finding(_calcifications),
    "cyst": Finding(_cyst, _where(("middle", "lower")), _LINES),
    "widened_bronchi": Finding(_widened_bronchi, _where(("lower",)), _LINES),
    "streaks": Finding(_streaks, _where(("middle", "lower")), _LINES),
    "plate": Finding(_plate),
    "wedge": Finding(_wedge, _where(depths=("peripheral",))),
    # Haze along the wall of the lower lungs would be COVID-19, a net around the hila viral.
    "haze": Finding(_haze, _where(depths=("central",)) + _where(("upper",), ("peripheral",))),
    "net": Finding(_net, _where(depths=("peripheral",)), _LINES),
    "mottling": Finding(_mottling),
    "bulla": Finding(_bulla),
    "effusion": Finding(_effusion, _where(("lower",), ("peripheral",)), (0.15, 0.5)),
    "pneumothorax": Finding(_pneumothorax, _where(("upper",), ("peripheral",)), (0.15, 0.4)),
    "enlarged_hilum": Finding(
        _enlarged_hilum, _where(("middle",), ("central",)), (0.08, 0.2), inside=False
    ),
    "pleural_thickening": Finding(_pleural_thickening, _where(depths=("peripheral",))),
    "electrode": Finding(_electrode, strength=_METAL, inside=False),
    "catheter": Finding(_catheter, _where(("upper",), ("central",)), (0.2, 0.5), inside=False),
    "generator": Finding(_generator, _where(("upper",), ("peripheral",)), _METAL, inside=False),
}
PAIRS = tuple((name, place) for name, finding in FINDINGS.items() for place in finding.places)
"""Every finding in every place that it may have: what the task asks for."""
