"""Each disease lies where its pattern says."""

import numpy as np
from material import drawn

PATIENTS = range(40)


def smaller_share(radiograph):
    """Share of the lesion on the side that has less of it; the lungs lie on both sides."""
    middle = radiograph.lungs.any(0).nonzero()[0].mean()
    right = radiograph.lesion[:, : round(middle)].sum() / radiograph.lesion.sum()
    return min(right, 1 - right)


def depths(radiograph):
    """Depth of each lesion pixel from 0 at the lung apex to 1 at the lowest lung."""
    rows = radiograph.lungs.any(1).nonzero()[0]
    return (radiograph.lesion.nonzero()[0] - rows[0]) / (rows[-1] - rows[0])


def outer_distances(radiograph):
    """Distance of each lesion pixel to the outer lung edge over the lung width in its row."""
    middle = round(radiograph.lungs.any(0).nonzero()[0].mean())
    halves = [
        (mask[:, :middle], mask[:, middle:][:, ::-1])
        for mask in (radiograph.lungs, radiograph.lesion)
    ]
    found = []
    for lungs, lesion in zip(*halves, strict=True):
        for lung_row, lesion_row in zip(lungs, lesion, strict=True):
            if lesion_row.any():
                edge = lung_row.nonzero()[0]
                found.extend((lesion_row.nonzero()[0] - edge[0]) / (edge[-1] - edge[0] + 1))
    return np.array(found)


def test_bacterial_pneumonia_is_on_one_side():
    # Not exactly 0: on a turned film the middle column is not the patient's midline everywhere.
    assert max(smaller_share(drawn("bacterial_pneumonia", p)) for p in PATIENTS) < 0.05


def test_bacterial_pneumonia_occurs_in_either_lung():
    left = [drawn("bacterial_pneumonia", p).lesion.nonzero()[1].mean() > 64 for p in PATIENTS]
    assert 4 <= sum(left) <= 36


def test_viral_pneumonia_is_bilateral_and_extensive():
    shares = [smaller_share(drawn("viral_pneumonia", p)) for p in PATIENTS]
    extents = [
        drawn("viral_pneumonia", p).lesion.sum() / drawn("normal", p).lungs.sum() for p in PATIENTS
    ]
    assert np.quantile(shares, 0.05) > 0.15
    assert np.mean(extents) > 0.35


def test_covid19_is_bilateral_low_and_peripheral():
    radiographs = [drawn("covid19", patient) for patient in PATIENTS]
    assert np.quantile([smaller_share(r) for r in radiographs], 0.1) > 0.05
    assert min(np.median(depths(r)) for r in radiographs) > 0.4
    assert np.mean([depths(r).mean() for r in radiographs]) > 0.55
    assert np.mean([outer_distances(r).mean() for r in radiographs]) < 0.3


def test_tuberculosis_is_in_the_upper_zones():
    radiographs = [drawn("tuberculosis", patient) for patient in PATIENTS]
    assert max(np.quantile(depths(r), 0.9) for r in radiographs) < 0.5
    one_sided = np.mean([smaller_share(r) < 0.01 for r in radiographs])
    assert 0.2 < one_sided < 0.8
