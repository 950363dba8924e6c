"""A DenseNet121 of fourteen findings on a table as of NIH, from the command to the page."""

import csv

import keras
import numpy as np
import pytest
from material import encoded, film

from lib import __main__ as commands
from lib.study.artefacts import read_table

pytestmark = [pytest.mark.backbone, pytest.mark.study]
FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia"),
    *("Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening"),
    "Hernia",
)
ASKED = ("Mass", "Effusion")  # some films have them; of the others every film has each
FILMS = 9


def findings_of(number):
    varied = {"Mass": number % 2 == 0, "Effusion": number % 3 == 0}
    return [name for name in FINDINGS if varied.get(name, True)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Films with their table, and two checkpoints of a network with fourteen sigmoids."""
    root = tmp_path_factory.mktemp("fourteen")
    with (root / "Data_Entry.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Image Index", "Finding Labels", "Follow-up #", "Patient ID"])
        for number in range(FILMS):
            (root / f"{number}.png").write_bytes(encoded(film(number)))
            table.writerow([f"{number}.png", "|".join(findings_of(number)), 0, number])
    for name, seed in (("old", 1), ("new", 2)):
        keras.utils.set_random_seed(seed)
        model = keras.applications.DenseNet121(
            weights=None, classes=len(FINDINGS), classifier_activation="sigmoid",
            input_shape=(64, 64, 3),
        )  # fmt: skip
        # By shares of themselves: in 121 layers a common shift would grow beyond all bounds.
        shares = np.random.default_rng(seed)
        model.set_weights(
            [w * (1 + 0.05 * shares.standard_normal(w.shape)) for w in model.get_weights()]
        )
        model.save(root / f"{name}.keras")
    return root


@pytest.fixture(scope="module")
def audited(root):
    """The audit of the models."""
    words = {"before": root / "old.keras", "after": root / "new.keras", "name": "models"}
    words |= {"data": root / "Data_Entry.csv", "findings": ",".join(FINDINGS)}
    words |= {"preprocessing": "densenet", "results": root / "out"}
    words |= {"set": "attribution.faithfulness_films=2"}
    arguments = [part for key, value in words.items() for part in (f"--{key}", str(value))]
    assert commands.main(["audit", *arguments]) == 0
    return root / "out/audit-models"


def test_every_finding_that_can_be_asked_for_has_a_page(audited):
    table = read_table(audited / "tables/overview.csv").set_index("finding")
    assert sorted(table.index) == sorted(ASKED)
    assert table.loc["Mass", "films"] == 5 and table.loc["Effusion", "films"] == 3
    for finding in ASKED:
        page = (audited / finding / "report/index.html").read_text()
        assert "densenet121" in page and finding in page and "sigmoids" in page
        assert "Asked on" in page and 'data-name="perturbed"' in page
    assert f'href="../{ASKED[0]}/report/index.html"' in (audited / "report/index.html").read_text()
