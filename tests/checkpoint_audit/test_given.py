"""Maps of other frameworks: the layout, what is refused, and the audit from the command."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from browser import DESKTOP, PHONE, barriers, launched, visits
from material import encoded, film

from lib import __main__ as commands
from lib.checkpoint_audit import findings, given, sentences
from lib.checkpoint_audit.networks.files import CheckpointRefused
from lib.study.artefacts import read_table
from lib.study.paths import ROOT

FILMS = pd.DataFrame({"image_id": list("abc"), "label": ["ill", "well", "ill"]})
CLASSES = ("ill", "well")


def arrays(**changes):
    """A set of maps of three films, in another order than the films."""
    found = {
        "image_id": np.array(["c", "a", "b"]),
        "logits": np.array([[2, 0], [1, 0], [0, 3]], np.float32),
        "maps/layer4/gradcam": np.arange(12, dtype=np.float32).reshape(3, 2, 2),
    }
    return {name: array for name, array in (found | changes).items() if array is not None}


def npz(path, **changes):
    np.savez(path, **arrays(**changes))
    return path


def read(path, **changes):
    """A set of maps by way of a file."""
    return given.read(npz(path, **changes), FILMS, classes=CLASSES)


def test_maps_are_brought_to_the_order_of_the_films(tmp_path):
    file = npz(tmp_path / "a.npz")
    folder = tmp_path / "a"
    (folder / "maps/layer4").mkdir(parents=True)
    for name, array in arrays().items():
        np.save(folder / f"{name}.npy", array)
    for path in (file, folder):
        given.check(path)
        maps = given.read(path, FILMS, classes=CLASSES).own
        assert maps.image_id.tolist() == ["a", "b", "c"] and maps.label.tolist() == [0, 1, 0]
        np.testing.assert_array_equal(maps.maps["layer4", "gradcam"][0], [[4, 5], [6, 7]])
        np.testing.assert_array_equal(maps.logits, [[1, 0], [0, 3], [2, 0]])


def test_controls_come_along_where_there_are_any(tmp_path):
    stack = np.ones((3, 2, 2), np.float32)
    version = read(tmp_path / "a.npz", **{"again/layer4/gradcam": stack})
    assert version.again is not None and version.randomised is None
    both, said = given.common_films([version, version], ("A", "B"), FILMS)
    assert len(said) == 1 and "not made with permuted weights" in said[0]
    assert both[0].again.maps["layer4", "gradcam"].tolist() == stack.tolist()


@pytest.mark.parametrize("kind", ["again", "randomised"])
def test_a_control_that_lacks_a_layer_is_refused(tmp_path, kind):
    stack = np.ones((3, 2, 2), np.float32)
    more = {f"{kind}/layer4/gradcam": stack, "maps/layer3/gradcam": stack}
    version = read(tmp_path / "a.npz", **more)
    told = rf"A: found no {kind}/<layer>/<method> for 'layer3/gradcam', which maps/ has"
    with pytest.raises(CheckpointRefused, match=told):
        given.common_films([version, version], ("A", "B"), FILMS)


def test_a_floor_that_was_not_measured_is_taken_as_exact_and_said():
    generator, films = np.random.default_rng(5), [f"f{number}" for number in range(12)]
    facts = {"architecture": "model", "method": "cam", "role": "last", "common": True}
    parts = []
    for pairing, after in (("change", "after"), ("explainer", "again"), ("ceiling", "after")):
        values = np.ones(12) if pairing == "explainer" else generator.random(12)
        partner = np.roll(films, 1) if pairing == "ceiling" else films
        told = facts | {"pairing": pairing, "before": "before", "after": after}
        told |= {"image_id": films, "partner_id": partner}
        scores = dict.fromkeys(("iou_top20", "soft_iou", "pearson"), values)
        parts.append(pd.DataFrame(told | scores))
    parts[0].loc[3, "iou_top20"] = parts[1].loc[3, "iou_top20"] = np.nan
    pairs, patients = pd.concat(parts), pd.Series(films, films)
    measured = findings.retained(pairs, patients)
    assumed = findings.retained(pairs[pairs["pairing"] != "explainer"], patients)
    pd.testing.assert_frame_equal(measured, assumed)
    assert measured["estimate"].notna().all()
    drift = pd.concat(parts).groupby(["architecture", "role", "method", "pairing"], sort=False)
    drift = drift["iou_top20"].mean().rename("mean").reset_index().assign(metric="iou_top20")
    support = pd.DataFrame({"films": [12], "common": [12]})

    def said(table):
        return sentences.overlap_sentence(table, support, ("last", "cam"))

    assert "1.00 where the same checkpoint" in said(drift)
    text = said(drift[drift["pairing"] != "explainer"])
    assert "1.00" not in text and "same checkpoint explained twice it was not measured." in text


def test_a_finer_grid_is_averaged_in_the_frame_of_the_film(tmp_path):
    fine = np.arange(48, dtype=np.float32).reshape(3, 4, 4)
    one, two = read(tmp_path / "a.npz"), read(tmp_path / "b.npz", **{"maps/layer4/gradcam": fine})
    (coarse, found), said = given.common_films([one, two], ("A", "B"), FILMS)
    np.testing.assert_array_equal(
        found.own.maps["layer4", "gradcam"][2], [[2.5, 4.5], [10.5, 12.5]]
    )
    assert any("of 2×2 and 4×4 cells" in text and "averaged to 2×2" in text for text in said)
    assert coarse.own.maps["layer4", "gradcam"].shape == (3, 2, 2)


def test_only_what_both_have_is_compared(tmp_path):
    fewer = {name: array[:2] for name, array in arrays().items()}
    one, two = read(tmp_path / "a.npz"), read(tmp_path / "b.npz", **fewer)
    (cut, _), said = given.common_films([one, two], ("A", "B"), FILMS)
    assert cut.own.image_id.tolist() == ["a", "c"] and "A has 1 maps" in said[0]
    changes = {"maps/layer4/gradcam": None, "maps/x/cam": np.ones((3, 2, 2))}
    other = read(tmp_path / "c.npz", **changes)
    with pytest.raises(CheckpointRefused, match=r"layer4/gradcam.*and.*x/cam.*Name those alike"):
        given.common_films([one, other], ("A", "B"), FILMS)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"logits": None}, "expected also logits"),
        ({"maps/layer4/gradcam": None}, "expected also maps/<layer>/<method>"),
        ({"maps/gradcam": np.ones((3, 2, 2))}, "found an array 'maps/gradcam'"),
        ({"logits": np.ones((3, 4))}, r"logits: found shape \(3, 4\), expected \(3, 2\).*CLASSES="),
        ({"maps/layer4/gradcam": -np.ones((3, 2, 2))}, "not negative.*numpy.maximum"),
        ({"maps/layer4/gradcam": np.ones((2, 2, 2))}, r"expected \(3, 2, 2\)"),
        ({"logits": np.full((3, 2), np.nan)}, "expected finite"),
        ({"image_id": np.array(["a", "a", "b"])}, "found 'a' twice"),
        ({"image_id": np.array(["a", "b", "c"], object)}, "none of dtype object"),
        ({"explained": np.array(["ill", "sick", "ill"])}, "found 'sick'"),
        ({"explained": np.array(["ill", "ill", "ill"])}, "maps of 'ill', .* of its class, 'well'"),
    ],
)
def test_what_does_not_fit_the_layout_is_refused(tmp_path, changes, why):
    file = npz(tmp_path / "a.npz", **changes)
    with pytest.raises(CheckpointRefused, match=why):
        given.check(file)
        given.read(file, FILMS, classes=CLASSES)


def test_what_is_no_set_of_maps_is_said_at_once(tmp_path):
    with pytest.raises(CheckpointRefused, match="no such file"):
        given.check(tmp_path / "no.npz")
    (tmp_path / "a.npz").write_bytes(b"no")
    with pytest.raises(CheckpointRefused, match="something else than an"):
        given.check(tmp_path / "a.npz")


def test_the_writer_that_the_book_shows_writes_what_is_read(tmp_path):
    text = (ROOT / "book/audit.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)[1]
    known = {
        "ids": ["c", "a", "b"], "logits": [[2, 0], [1, 0], [0, 3]],
        "maps": np.arange(-6, 6).reshape(3, 2, 2),
    }  # fmt: skip
    exec(code.replace('"before.npz"', repr(str(tmp_path / "before.npz"))), known)
    maps = given.read(tmp_path / "before.npz", FILMS, classes=CLASSES).own
    (stack,) = maps.maps.values()
    assert stack.min() == 0 and stack.max() == 5 and maps.image_id.tolist() == ["a", "b", "c"]


PEOPLE = 24


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """An audit of maps of a model with two findings, of which one kept its evidence."""
    home = tmp_path_factory.mktemp("given")
    root = home / "Doe_Jane"
    root.mkdir()
    generator, lines = np.random.default_rng(0), ["file,Mass,Effusion,patient_id,physician"]
    truth = np.stack([np.arange(PEOPLE) % 2, np.arange(PEOPLE) % 3 == 0], axis=1).astype(int)
    for number, (mass, effusion) in enumerate(truth):
        (root / f"film{number}.png").write_bytes(encoded(film(number)))
        lines.append(f"film{number}.png,{mass},{effusion},p{number},Kildare")
    (root / "list.csv").write_text("\n".join(lines))
    (root / "boxes.csv").write_text("image_id,label,x,y,width,height\nfilm1,Mass,0,0,24,20\n")
    rows = [(n, k) for n, has in enumerate(truth) for k in range(2) if has[k] or not has.any()]
    ids = np.array([f"film{number}.png" for number, _ in rows])
    names = np.array([("Mass", "Effusion")[k] if truth[n, k] else "" for n, k in rows])
    logits = (8.0 * truth - 4)[[number for number, _ in rows]]
    one, two = (generator.random((len(rows), 6, 6)) for _ in range(2))
    other = np.where((names == "Effusion")[:, None, None], two, one)
    for name, stack in (("before", one), ("after", other)):
        twice = np.unique(np.stack([ids, names]), axis=1, return_index=True)[1]
        np.savez(
            root / f"{name}.npz", image_id=ids[twice], explained=names[twice],
            logits=logits[twice], **{"maps/last/cam": stack[twice]},
        )  # fmt: skip
    words = ["--maps-before", root / "before.npz", "--maps-after", root / "after.npz"]
    words += ["--data", root / "list.csv", "--findings", "Mass,Effusion", "--size", "32"]
    words += ["--lesions", root / "boxes.csv", "--results", home / "out"]
    (home / "salt").write_text("0123456789abcdef" * 2)
    words += ["--set", f"data.salt_file='{home / 'salt'}'"]
    assert commands.main(["audit", *map(str, words)]) == 0
    return home / "out/audit-before-after"


@pytest.mark.study
def test_each_finding_is_a_question_and_the_maps_decide_it(audited):
    table = read_table(audited / "tables/overview.csv").set_index("finding")
    assert table["estimate"]["Mass"] == 1 and table["answer"]["Mass"].startswith("No: ")
    assert table["high"]["Effusion"] < 0.5 and table["answer"]["Effusion"].startswith("Yes: ")
    assert (table[["auc_before", "auc_after"]] == 1).all(axis=None)
    assert table["films"].tolist() == [12, 8] == table["common"].tolist()
    page = (audited / "report/index.html").read_text()
    for finding in ("Mass", "Effusion"):
        assert f'href="../{finding}/report/index.html"' in page
        assert (audited / finding / "report/cases.html").exists()
    assert (audited / "report/figures/trend.png").exists()
    page = (audited / "Mass/report/index.html").read_text()
    assert page.count("not measured") == 2  # the sentence, and a row of the table of drift
    assert "was not asked: that takes the model" in page
    told = json.loads((audited / "Mass/findings.json").read_text())["findings"]
    texts = " ".join(finding["text"] for finding in told)
    assert "not made once more nor made with permuted weights" in texts
    lesion = read_table(audited / "Mass/tables/lesion.csv").set_index("measure").loc["lesion_mass"]
    assert lesion["films"] == 1 and lesion["area"] == pytest.approx(0.25)
    assert not (audited / "Effusion/tables/lesion.csv").exists()


@pytest.mark.study
def test_nothing_but_keyed_hashes_is_written_beside_a_salt(audited):
    files = [file for file in audited.rglob("*") if file.is_file() and not file.is_symlink()]
    assert len(files) > 50
    names = [b"Doe_Jane", b"Kildare", b"list.csv", b"boxes.csv"]
    names += [b"film%d." % number for number in range(9)]
    for file in files:
        content = file.read_bytes()
        assert not [name for name in names if name in content], file


@pytest.mark.study
def test_nobody_is_kept_out_by_the_pages_of_an_audit(audited):
    with launched() as chromium, visits(chromium) as visit:
        for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
            for folder in (audited, audited / "Mass"):
                page = visit(folder / "report", "index.html", size=size, color_scheme=scheme)
                assert barriers(page) == [], f"{page.url} {size} {scheme}"
