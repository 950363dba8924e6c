"""A DenseNet121 of fourteen findings on a table as of NIH, from the command to the page."""

import csv

import keras
import numpy as np
import pandas as pd
import pytest
from material import encoded, film

from lib import __main__ as commands
from lib.attribution.maps import MapSet
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


def audit(root, name, **told):
    words = {"data": root / "Data_Entry.csv", "findings": ",".join(FINDINGS), "name": name} | told
    words |= {"results": root / "out", "set": "attribution.faithfulness_films=2"}
    arguments = [part for key, value in words.items()
                 for part in (f"--{key.replace('_', '-')}", str(value))]  # fmt: skip
    assert commands.main(["audit", *arguments]) == 0
    return root / f"out/audit-{name}"


@pytest.fixture(scope="module")
def audited(root):
    """The audit of the models."""
    models = {"before": root / "old.keras", "after": root / "new.keras"}
    return audit(root, "models", **models, preprocessing="densenet")


def test_every_finding_that_can_be_asked_for_has_a_page(audited):
    table = read_table(audited / "tables/overview.csv").set_index("finding")
    assert sorted(table.index) == sorted(ASKED)
    assert table.loc["Mass", "films"] == 5 and table.loc["Effusion", "films"] == 3
    for finding in ASKED:
        page = (audited / finding / "report/index.html").read_text()
        assert "densenet121" in page and finding in page and "sigmoids" in page
        assert "Asked on" in page and 'data-name="perturbed"' in page
    assert f'href="../{ASKED[0]}/report/index.html"' in (audited / "report/index.html").read_text()


def as_file(audited, name):
    """The maps of a version and its controls, as another framework would write them."""
    logits = np.zeros((FILMS, len(FINDINGS)), np.float32)
    ids, explained, stacks = [], [], {}
    for finding in ASKED:
        told = read_table(audited / finding / "tables/predictions.csv")
        told = told[told["checkpoint"] == name].set_index("image_id")
        score = told[f"logit_{finding}"] - told[f"logit_no {finding}"]
        logits[:, FINDINGS.index(finding)] = score[[f"{n}.png" for n in range(FILMS)]]
        kinds = {"maps": name, "again": f"{name}_again", "randomised": "randomised"}
        for kind, file in kinds.items():
            path = audited / finding / f"maps/densenet121/{file}.npz"
            if name == "before" or kind == "maps":
                maps = MapSet.load(path)
                for cell, stack in maps.maps.items():
                    stacks.setdefault("/".join((kind, *cell)), []).append(stack)
        ids += maps.image_id.tolist()
        explained += [finding] * len(maps.image_id)
    none = [f"{n}.png" for n in range(FILMS) if not {*ASKED} & {*findings_of(n)}]
    arrays = {
        key: np.concatenate([*parts, np.zeros((len(none), *parts[0].shape[1:]))])
        for key, parts in stacks.items()
    }
    ids, explained = [*ids, *none], [*explained, *[""] * len(none)]
    arrays |= {"image_id": np.array(ids), "explained": np.array(explained)}
    arrays["logits"] = logits[[int(each.removesuffix(".png")) for each in ids]]
    np.savez(audited.parent / f"{name}.npz", **arrays)
    return audited.parent / f"{name}.npz"


def test_maps_in_files_give_the_numbers_of_the_models(root, audited):
    files = {f"maps_{name}": as_file(audited, name) for name in ("before", "after")}
    again = audit(root, "maps", **files)
    for finding in ASKED:
        for table in ("drift", "retained", "measured", "performance", "support"):
            one, other = (
                read_table(folder / finding / f"tables/{table}.csv").drop(
                    columns="architecture", errors="ignore"
                )
                for folder in (audited, again)
            )
            pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-5)
        page = (again / finding / "report/index.html").read_text()
        assert "was not asked: that takes the model" in page and "not measured" not in page
