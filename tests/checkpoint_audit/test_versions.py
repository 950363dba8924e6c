"""Several versions and several findings of one model: questions that share films and maps."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from tiny_models import classifier, films, pixels

from lib.attribution import perturbed
from lib.attribution.faithfulness import curves
from lib.attribution.maps import MapSet
from lib.checkpoint_audit import asking, findings, given, labels, questions
from lib.checkpoint_audit.networks import versions as audited
from lib.data.batches import Films
from lib.study.artefacts import begin, read_table, write_table
from lib.study.paths import StudyPaths
from lib.study.seeds import derive

pytestmark = pytest.mark.network

FINDINGS = ("Mass", "Effusion")
STATUS = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]], float)
ASKED = np.array([0, 2, 3, 6])  # rows that have their finding
IDS = np.array([f"film{number}" for number in range(len(STATUS))])
FILES = ("v1.keras", "v2.keras", "v3.keras")
CELL = ("post_activation", "gradcam")
MANIFEST = pd.DataFrame(
    {"image_id": IDS, "patient_id": IDS, "label": "", "split": "audited", "row": range(len(IDS))}
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("versions")


def explained(root, models, data, ids, **asked):
    """Maps of versions, as `explain_versions` makes them of their files."""
    files = [root / f"{number}.keras" for number in range(len(models))]
    for model, file in zip(models, files, strict=True):
        model.save(file)
    names = [file.stem for file in files]
    opened = audited.open_versions(*files, names=names)
    return audited.explain_versions(
        opened.plain, data, ids, names=names, methods=["gradcam"], batch_size=4,
        report=lambda name: None, **asked,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(root):
    """Three versions of a model of two findings, with the maps of all rows."""
    models = [classifier(classes=2, end="sigmoid", seed=seed) for seed in (1, 2, 3)]
    film, finding = labels.rows_to_explain(STATUS)
    data = Films(films(len(IDS)).images, film, finding)
    ask = asking.asker(data, ASKED, batch_size=4, seed=3, status=STATUS, film=film)
    return models, explained(root, models, data, IDS[film], ask=ask), film


def test_each_finding_is_explained_by_its_own_logit_alone(found, tmp_path):
    models, versions, film = found
    for model, version in zip(models, versions, strict=True):
        expected = logit(model.predict(pixels(films(len(IDS))), verbose=0).astype(float))
        np.testing.assert_allclose(version.own.logits, expected[film], rtol=1e-3, atol=1e-4)
    assert [version.again is None for version in versions] == [False, False, True]
    # A model that has the second output and no other: its score is half of that logit.
    alone = classifier(classes=1, end="sigmoid")
    *body, kernel, bias = models[1].get_weights()
    alone.set_weights([*body, kernel[:, 1:], bias[1:]])
    data = Films(films(len(IDS)).images, np.arange(len(IDS)), np.ones(len(IDS), int))
    single = explained(tmp_path, [alone, alone], data, IDS)[0].own.maps[CELL]
    own = versions[1].own
    rows = own.label == 1
    np.testing.assert_allclose(own.maps[CELL][rows], 2 * single[film[rows]], rtol=1e-3, atol=1e-6)


def test_every_version_is_asked_by_its_own_weights(found):
    models, versions, film = found
    altered = films(len(IDS)).images[film[ASKED]]
    for model, version in zip(models, versions, strict=True):

        def logits(images, model=model):
            x = np.repeat(images[..., None], 3, -1).astype(np.float32)
            return logit(model.predict(x, verbose=0).astype(float))

        options = {"seed": derive(3, "faithfulness"), "probability": asking.probability}
        expected = curves(logits, altered, version.own, ASKED, **options)
        pd.testing.assert_frame_equal(version.asked["faithfulness"], expected, rtol=1e-3, atol=1e-5)
        # What became of the predictions, from the films themselves.
        told = version.asked["perturbed"].query("role == @CELL[0] and method == @CELL[1]")
        decided = asking.deciding(version.own.logits, STATUS, film)
        finding = version.own.label[ASKED]
        before = decided(version.own.logits[ASKED], finding)
        for change, images in perturbed.perturbed(altered, seed=derive(3, "perturbed")).items():
            stays = told[told["change"] == change].set_index("image_id")["stays"]
            assert stays.index.tolist() == IDS[film[ASKED]].tolist()
            assert stays.tolist() == (decided(logits(images), finding) == before).tolist()
    first, second = (version.asked["faithfulness"] for version in versions[:2])
    assert not first.equals(second)


def test_every_step_and_finding_is_a_question_with_its_films(found, root):
    _, versions, _ = found
    paths = StudyPaths(root, "audit-x")
    record = begin(paths.manifest, parameters={})
    write_table(paths.manifest, MANIFEST)
    record.complete()
    asked = questions.ask(
        paths, versions, MANIFEST, files=FILES, classes=FINDINGS, architecture="stranger",
        settings={}, tables={"checkpoints": pd.DataFrame({"file": FILES})}, status=STATUS,
    )  # fmt: skip
    steps = [f"{step}-{name}" for step in ("1-2", "2-3", "1-3") for name in FINDINGS]
    assert [question.folder for question in asked] == steps
    for folder, question in questions.read_all(paths.root):
        maps = MapSet.load(folder / "maps/stranger/before.npz")
        number = FINDINGS.index(question.finding)
        assert maps.image_id.tolist() == IDS[STATUS[:, number] == 1].tolist()
        assert set(maps.label) == {1} and maps.logits.shape == (3, 2)
        source = versions[question.steps[0]].own
        own = source.label == number
        own &= np.isin(source.image_id, maps.image_id)
        np.testing.assert_array_equal(maps.maps[CELL], source.maps[CELL][own])
        predictions = read_table(folder / "tables/predictions.csv")
        assert (predictions["label"] == question.finding).sum() == 2 * 3
        named = predictions["predicted"] == question.finding
        assert (named.groupby(predictions["checkpoint"]).sum() == 3).all()  # as many as have it
        told = read_table(folder / "tables/checkpoints.csv")
        assert told["file"].tolist() == [question.before, question.after]
        assert (folder / "maps/stranger/randomised.npz").exists()
        faithful = findings.faithful_table(folder / "tables")
        assert set(faithful["checkpoint"]) == {"before", "after"}
        own = faithful.query("role == @CELL[0]")
        assert (own["films"] + own["blank"] == len(ASKED)).all()
        assert (own["patients"] <= 3).all() and len(own) == 2
        steady = read_table(folder / "tables/perturbed.csv")
        pairs = len(ASKED) * sum(map(len, perturbed.STRENGTHS.values()))
        assert (steady[["stay", "blank"]].sum(axis=1) <= pairs).all()
        assert len(steady) == len(faithful)


def test_maps_by_way_of_a_file_are_those_of_the_model(found, tmp_path):
    version = found[1][0]
    own = version.own
    names = np.where(STATUS[found[2], own.label] == 1, np.array(FINDINGS)[own.label], "")
    arrays = {f"maps/{'/'.join(cell)}": stack for cell, stack in own.maps.items()}
    arrays |= {f"again/{'/'.join(cell)}": stack for cell, stack in version.again.maps.items()}
    np.savez(
        tmp_path / "maps.npz", image_id=own.image_id, explained=names, logits=own.logits, **arrays
    )
    read = given.read(tmp_path / "maps.npz", MANIFEST, classes=FINDINGS, findings=True)
    for one, other in ((read.own, own), (read.again, version.again)):
        assert one.image_id.tolist() == other.image_id.tolist()
        np.testing.assert_array_equal(one.logits, other.logits)
        for cell, stack in other.maps.items():
            np.testing.assert_array_equal(one.maps[cell], stack)
