"""What an audit is told: the command line, its refusals, the films and the folder it takes."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile

import pandas as pd
import pytest

from lib import __main__ as commands
from lib.checkpoint_audit import films as audited_films
from lib.checkpoint_audit import params
from lib.data.index import class_names
from lib.study.errors import DataError, ParamsError
from lib.study.paths import ROOT


def checked(*words):
    return commands.main(["audit", *words, "--only-check"])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("", "BEFORE, AFTER, DATA not given"),
        ("--before no.keras", "AFTER, DATA not given"),
        ("--before no.keras --after b --data d", "BEFORE=.*no such file"),
        ("--before a --after b --data d --set batch_sise=3", "did you mean 'batch_size'"),
        ("--before a --after b --data d --size many", "size = 'many'"),
        ("--versions 'a b' --before c --data d", "BEFORE and VERSIONS given"),
        ("--versions a.keras --data d", "VERSIONS: found 'a.keras' alone"),
        ("--maps-before a.npz --data d", "MAPS_AFTER not given"),
        ("--versions 'a b c'", "DATA not given"),
        ("--maps-before no.npz --maps-after b --data d", "MAPS_BEFORE=.*no.npz: no such file"),
        ("--versions 'a.keras b.keras c.keras' --data d", "version 1=.*a.keras: no such"),
    ],
)
def test_the_command_line_says_what_is_missing(capsys, words, why, tmp_path):
    assert checked(*shlex.split(words), "--results", str(tmp_path)) == 2
    assert re.search(why, capsys.readouterr().err)


@pytest.fixture
def told(collection, tmp_path):
    """The words of an audit of a.keras and b.keras, and the folder of results."""
    for name in "ab":  # no model, but as far as one looks before it is loaded
        with zipfile.ZipFile(tmp_path / f"{name}.keras", "w") as made:
            made.writestr("config.json", '{"class_name": "Functional", "module": "keras"}')
            made.writestr("model.weights.h5", b"")
    words = ["--before", tmp_path / "a.keras", "--after", tmp_path / "b.keras"]
    words += ["--data", collection, "--results", tmp_path / "results"]
    return list(map(str, words)), tmp_path / "results"


def test_the_settings_survive_the_command_line(told):
    words, results = told
    words += ["--layer", "first, last", "--classes", "normal,covid19"]
    assert checked(*words, "--set", "data.shareable=true batch_size=4") == 0
    made = json.loads((results / "audit-a-b/parameters.json").read_text())["settings"]
    found = params.validate(made)
    assert found.layers == ("first", "last") and found.classes == ("normal", "covid19")
    assert found.data.shareable and found.batch_size == 4
    with pytest.raises(ParamsError, match="values that occur once"):
        params.validate(made | {"classes": ["a", "a"]})


def test_no_audit_takes_the_folder_of_another(told, tmp_path, capsys):
    words, results = told
    for run in ("run1", "run2", "run3", "run4"):
        (tmp_path / run).mkdir()
        shutil.copy(tmp_path / "a.keras", tmp_path / run / "best.keras")
    shutil.copytree(tmp_path / "run1", tmp_path / "old/run1")
    shutil.copytree(tmp_path / "run2", tmp_path / "old/run2")

    def audit(before, after, *more):
        pair = ["--before", str(tmp_path / before), "--after", str(tmp_path / after)]
        code = checked(*words, *pair, *more)
        return code or {path.name for path in results.iterdir()}

    first = audit("run1/best.keras", "run2/best.keras")
    assert first == {"audit-run1_best-run2_best"} == audit("run1/best.keras", "run2/best.keras")
    second = audit("run3/best.keras", "run4/best.keras")
    assert second - first == {"audit-run3_best-run4_best"}
    third = audit("old/run1/best.keras", "old/run2/best.keras")
    assert third - second == {"audit-old_run1_best-old_run2_best"}
    settings = json.loads((results / "audit-run1_best-run2_best/parameters.json").read_text())
    told = params.validate(settings["settings"])
    assert told.files == ("run1/best.keras", "run2/best.keras")
    other = shutil.copytree(tmp_path / "films", tmp_path / "more films")
    again = ["run1/best.keras", "run2/best.keras", "--data", str(other)]
    assert audit(*again) == 2
    way_out = re.search(r"holds another audit, .* (NAME=(\S+))$", capsys.readouterr().err.strip())
    assert len(audit(*again, "--name", way_out[2])) == 4
    assert audit("run3/best.keras", "run4/best.keras", "--name", way_out[2]) == 2


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"films/list.csv": "file,lable\n1.png,x\n"}, "'label'"),
        (
            {"films/list.csv": "file,label\nno.png,x\nnormal/normal_1.png,y\n"},
            "no film of x is there to explain .*films/no.png",
        ),
        ({"b.keras": "no"}, "AFTER=.*no ZIP archive"),
    ],
)
def test_what_is_wrong_with_table_or_files_is_said_without_tensorflow(told, tmp_path, spoilt, why):
    words, _ = told
    for name, text in spoilt.items():
        (tmp_path / name).write_text(text)
    table = tmp_path / "films/list.csv"
    words += ["--data", str(table)] if table.exists() else []
    program = (
        "import sys; from lib.__main__ import main; code = main(sys.argv[1:]); "
        "sys.exit(code if not {'tensorflow', 'keras'} & set(sys.modules) else 3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "audit", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and re.search(why, done.stderr), done.stderr


def test_class_names_are_those_of_folders_or_labels(collection, tmp_path):
    assert class_names(collection) == ("covid19", "normal")
    assert class_names(collection, {"covid19": "ill"}) == ("ill", "normal")
    for split in ("train", "test"):
        for label in ("b", "a"):
            (tmp_path / "split" / split / label).mkdir(parents=True)
    assert class_names(tmp_path / "split") == ("a", "b")
    (tmp_path / "list.csv").write_text("file,label\n1.png,x\n2.png,w \n")
    assert class_names(tmp_path / "list.csv") == ("w", "x")
    (tmp_path / "nih.csv").write_text("Image Index,Finding Labels\n1.png,A|B\n")
    with pytest.raises(DataError, match="Name them"):
        class_names(tmp_path / "nih.csv")


def test_the_films_are_the_test_films_where_these_are_known():
    index = pd.DataFrame({"label": list("aabb"), "split": ["train", "test", "test", ""]})

    def chosen(rows, seed=1, **told):
        told = params.AuditedFilms(source="x", **told)
        return audited_films.choose_films(rows, told, seed=seed)

    assert len(chosen(index)) == 2
    assert len(chosen(index, split="all")) == 4
    few = [chosen(index, seed, split="all", most=2) for seed in range(9)]
    assert all(rows["label"].tolist() == ["a", "b"] for rows in few)
    uneven = pd.DataFrame({"label": ["a"] * 1 + ["b"] * 90 + ["c"] * 9, "split": ""})
    found = chosen(uneven, most=20)["label"].value_counts()
    assert found["a"] == 1 and found["b"] in (17, 18) and found["c"] in (1, 2)
    refused = uneven.assign(refused=["", *["no class"] * 90, *[""] * 9])
    assert len(chosen(refused, most=10)) == 100
    with pytest.raises(DataError, match="validation: the collection has no such films"):
        chosen(index, split="validation")


def test_an_audit_that_is_not_complete_has_no_report(tmp_path, capsys):
    assert commands.main(["audit-report", str(tmp_path / "audit-x")]) == 2
    assert "audit-x/questions.json" in capsys.readouterr().err
