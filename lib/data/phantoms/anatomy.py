"""The normal chest as radiographic density: bones, soft tissue, airway, vessels and aerated lung.

It depends on the patient and never on the diagnosis.
"""

import numpy as np

from lib.data.phantoms.chest import SIDES, branches
from lib.data.phantoms.shapes import CIRCLE, bands_along, blur, rims_of, smooth


def normal_chest(film, chest, random):
    """Draw a healthy chest from the random numbers of the patient.

    Returns
    -------
    density, markings, aerated : numpy.ndarray
        (film.size, film.size) each: density of everything, of the vessels in the lungs alone, and
        the share of a pixel that is aerated lung, hidden by neither heart nor diaphragm.
    """
    body, hila = chest.body, [chest.place(side, chest.hilum[side]) for side in SIDES]
    tissue, belly = _soft_tissue(film, chest)
    air = film.fill([chest.lung(side) for side in SIDES], softness=0.003)
    heart = film.fill([chest.heart()], softness=0.004)
    lung = np.minimum(air, 1 - belly)
    aerated = lung * (1 - heart)
    depth = 0.5 + 0.5 * np.clip(1.6 * blur(air, 0.04 * film.size) - 0.5, 0, 1)
    # Only the lung tells heart from neck and diaphragm from flank, so both fade away from it.
    half = body.chest_half_width
    flank = film.ramp(0.48 - half, 0.56 - half, axis=1)
    flank = flank * film.ramp(0.52 + half, 0.44 + half, axis=1)
    core = heart * film.ramp(body.apex - 0.03, body.apex + 0.15, axis=0)
    dense = np.maximum(core, belly * flank)
    density = tissue - body.lung_air * depth * (aerated + 0.15 * lung * heart)
    density += tissue * (0.15 * dense + 0.13 * blur(dense, 0.035 * film.size)) + 0.075 * _spine(
        film, chest, random
    )
    density += body.rib_density * _ribs(film, chest) * (1 - 0.6 * dense)
    density += 0.13 * _shoulders(film, chest) + _overlays(film, chest)
    density -= 0.12 * _airway(film, chest)
    trees = [branches(random, chest, side, stems=11, width=0.0095) for side in SIDES]
    outlines, levels = (np.concatenate(parts) for parts in zip(*trees, strict=True))
    vessels = film.fill(outlines, levels=levels, softness=0.0014)
    knots = [hilum + CIRCLE * (0.022, 0.055) + (body.rotation, 0.012) for hilum in hila]
    roots = film.fill(knots, softness=0.014)
    markings = body.vessel_density * lung * (1 - 0.6 * heart) * (0.10 * vessels + 0.085 * roots)
    grain = film.texture(random, 60) + 0.8 * film.texture(random, 25)
    density += aerated * (body.lung_haze + 0.011 * body.vessel_density * grain)
    density += aerated * _distractors(film, chest, random)
    if body.gastric_bubble > 0:
        bubble = np.array([(-0.6, -0.2), (0, -0.5), (0.7, -0.2), (0.6, 0.4), (-0.5, 0.4)])
        centre = chest.place(1, (0.19, chest.dome(1, 0.5) + 0.075))
        shape = smooth(bubble * (0.13, 0.09)) + centre
        density -= 1.5 * body.gastric_bubble * film.fill([shape], softness=0.006)
    return density + markings, markings, aerated


def _soft_tissue(film, chest):
    """Thickness of trunk, neck and arms, thinner towards the rim, and the abdomen's own layer."""
    body = chest.body
    wall = body.chest_half_width + body.wall_thickness
    trunk = [(0.105, -0.15), (0.105, 0.01), (0.16, 0.05), (0.36, 0.08), (0.50, 0.11), (0.7, 0.2)]
    trunk += [(0.7, 0.32), (0.52, 0.35), (wall + 0.015, 0.40), (wall, 0.55), (wall, 0.8)]
    trunk = smooth([*trunk, (wall + 0.02, 1.2)], closed=False)
    gap = wall + body.arm_gap
    arm = [(gap - 0.03, 0.25), (gap + 0.005, 0.4), (gap + 0.03, 0.75), (0.9, 0.7), (0.8, 0.2)]
    right, left = chest.both(trunk)
    solid = film.fill([np.vstack([left, right[::-1]]), *chest.both(smooth(arm))], softness=0.003)
    thickness = solid * (0.40 + 0.60 * blur(solid, 0.06 * film.size))
    below = [(wall, 1.2), (-0.02, 1.2), (-0.02, chest.base - 0.6 * body.dome_rise)]
    floors = []
    for side in SIDES:
        corner = chest.place(side, [(wall, chest.base + 0.03)])
        floors.append(np.vstack([corner, chest.floor(side), chest.place(side, below[::-1])]))
    return body.soft_tissue * thickness, film.fill(floors, softness=0.003) * solid


def _spine(film, chest, random):
    """Vertebral column with discs and pedicles."""
    box = np.array([(-0.034, 0.005), (-0.029, 0.027), (-0.034, 0.050)])
    box = smooth(np.vstack([box, box[::-1] * (-1, 1)]), rounds=2)
    tops = np.arange(-0.05, 1.1, 0.057) + random.uniform(0, 0.057)
    bodies = [box + np.array([0.5, top]) for top in tops]
    pedicles = [
        CIRCLE * (0.006, 0.009) + (0.5 + 0.021 * side, top + 0.02) for top in tops for side in SIDES
    ]
    strip = np.array([(0.462, -0.1), (0.538, -0.1), (0.545, 1.1), (0.455, 1.1)])
    column = film.fill([strip], softness=0.012) + 0.7 * film.fill(bodies, softness=0.003)
    return column + 0.3 * film.fill(pedicles, softness=0.002)


def _ribs(film, chest):
    """Rib cage in two sheets: each rib winds from the spine to the side and on to the front."""
    body, turn = chest.body, np.linspace(0, 0.86 * np.pi, 30)
    around = 0.7 * (1 - np.cos(turn)) / 2 + 0.3 * turn / np.pi
    paths = []
    for number in range(11):
        spine = chest.apex + 0.025 + number * (chest.base - chest.apex) * 0.098
        drop = body.rib_drop * min(1.0, 0.5 + 0.12 * number)
        reach = chest.half_width(spine + drop / 2) + 0.006
        bulge = 0.012 + 0.03 * np.exp(-number / 1.5)  # the upper ribs arch over the apex
        height = spine + drop * around - bulge * np.sin(2 * turn) * (turn < np.pi / 2)
        path = np.stack([0.028 + (reach - 0.028) * np.sin(turn), height], 1)
        paths.extend(chest.both(path))
    paths, width = np.array(paths), body.rib_width * np.linspace(0.7, 1.15, 30)[None]
    sheets = []
    for part in (slice(0, 17), slice(16, 30)):
        bands = bands_along(paths[:, part], width[:, part])
        rims = rims_of(bands)
        levels = [0.62] * len(bands) + [0.92] * len(rims)
        sheets.append(film.fill([*bands, *rims], levels=levels, softness=0.0018))
    # Cartilage does not show: the frontal part fades before it reaches the sternum.
    half = body.chest_half_width
    ends = [(0.5 + side * 0.38 * half, 0.5 + side * 0.75 * half) for side in SIDES]
    bony = np.maximum(*(film.ramp(start, end, axis=1) for start, end in ends))
    return sheets[0] + 0.8 * bony * sheets[1]


def _shoulders(film, chest):
    """Clavicles, shoulder blades and upper arm bones."""
    body, medial = chest.body, chest.body.clavicle_height
    clavicle = [(0.03, medial), (0.08, medial + 0.004), (0.16, medial - 0.25 * body.clavicle_tilt)]
    clavicle += [(0.26, medial - 1.05 * body.clavicle_tilt), (0.36, medial - body.clavicle_tilt)]
    clavicle += [(0.44, medial - 0.7 * body.clavicle_tilt)]
    clavicle = smooth(clavicle, closed=False)
    width = 0.022 + 0.018 * np.exp(-np.linspace(0, 9, len(clavicle)))
    collar = np.concatenate([bands_along(path[None], width[None]) for path in chest.both(clavicle)])
    edge = body.chest_half_width - body.scapula_overlap
    blade = [(edge - 0.05, 0.16), (edge - 0.035, 0.27), (edge + 0.005, 0.40), (edge + 0.03, 0.46)]
    blade += [(edge + 0.05, 0.42), (edge + 0.065, 0.32), (edge + 0.10, 0.22), (edge + 0.11, 0.15)]
    blades = chest.both(smooth(blade, closed=False))
    margins = [line[:48] for line in blades]  # only the borders away from the joint stand out
    ridge = smooth([(edge - 0.045, 0.215), (edge + 0.04, 0.17), (0.43, 0.10)], closed=False)
    arm = [(0.425, 0.17), (0.44, 0.125), (0.50, 0.115), (0.53, 0.17), (0.515, 0.25), (0.56, 0.7)]
    arm = smooth([*arm, (0.50, 0.7), (0.47, 0.26)])
    arms = chest.both(arm)
    edges = [*rims_of(collar), *bands_along(margins, 0.006)]
    edges += [*bands_along(chest.both(ridge), 0.009)]
    bones = 0.85 * film.fill(list(collar), softness=0.002) + 0.6 * film.fill(arms, softness=0.003)
    return (
        bones + 0.22 * film.fill(blades, softness=0.006) + 0.4 * film.fill(edges, softness=0.0016)
    )


def _overlays(film, chest):
    """Pectoral muscles and breasts, which veil the lungs."""
    body = chest.body
    reach, level = body.chest_half_width, body.breast_height
    muscle = [(0.10, 0.22), (0.28, 0.13), (reach + 0.1, 0.2), (reach + 0.06, 0.42), (0.22, 0.46)]
    veil = body.muscle * film.fill(chest.both(smooth(muscle)), softness=0.015)
    if body.breast > 0:
        curve = CIRCLE * (0.155, 0.15) + (0.21, level)
        breasts = film.fill(chest.both(curve), softness=0.012)
        veil = veil + body.breast * breasts * film.ramp(level - 0.13, level + 0.13, axis=0)
    return veil


def _airway(film, chest):
    """Air column of the trachea and the main bronchi."""
    split = chest.hilum[-1][1] - 0.06
    tubes = [
        ([(0, -0.1), (0.002, 0.1), (-0.006, split - 0.05), (-0.008, split + 0.01)], 0.036),
        ([(-0.008, split), (-0.035, split + 0.035), (-0.08, split + 0.08)], 0.022),
        ([(-0.008, split), (0.03, split + 0.03), (0.09, split + 0.055)], 0.020),
    ]
    centre = (0.5 + chest.body.rotation, 0)
    shapes = [
        bands_along(smooth(np.array(path) + centre, closed=False)[None], width)[0]
        for path, width in tubes
    ]
    return film.fill(shapes, softness=0.005)


def _distractors(film, chest, random):
    """Draw findings of every class: calcified granuloma, nipple shadow, linear scar at the base."""
    spots, levels, scars = [], [], []
    for side in SIDES:
        if random.random() < 0.3:
            place = chest.point(side, random.uniform(0.1, 0.9), random.uniform(0.1, 0.9))
            spots.append(place + CIRCLE * random.uniform(0.004, 0.009))
            levels.append(1.0)
        if random.random() < 0.2:
            spots.append(chest.point(side, 0.6, 0.82) + CIRCLE * 0.011)
            levels.append(0.3)
        if random.random() < 0.25:
            scars.append(chest.point(side, [0.2, 0.5, 0.8], 0.88 + random.normal(0, 0.03, 3)))
    layer = 0.2 * film.fill(spots, levels=levels, softness=0.002)
    if scars:
        layer += 0.09 * film.fill(bands_along(scars, 0.005), softness=0.002)
    return layer
