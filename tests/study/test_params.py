"""Parameters: what a study may be, how it is named, and what each stage may read."""

import ast
import json
import re

import numpy as np
import pytest
import yaml

from lib import __main__ as commands
from lib.study import load, seeds
from lib.study import params as model
from lib.study.architectures import ARCHITECTURES
from lib.study.errors import ParamsError
from lib.study.load import parse_overrides
from lib.study.paths import ROOT

SIZES = {"densenet201": 160, "resnet50v2": 160, "inceptionv3": 203}
STUDIES = ("paper", "phantom", "published", "real", "shortcut", "smoke")


def loaded(text, study="phantom"):
    return load.load(study, parse_overrides(text))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository of its own, so that a test can write studies."""
    (tmp_path / "params").mkdir()
    monkeypatch.setattr(load, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def films(tmp_path):
    """Folders of films by class: an index needs names, not pictures."""
    for name in model.CLASSES:
        (tmp_path / "films" / name).mkdir(parents=True)
        (tmp_path / "films" / name / "1.png").write_bytes(b"")
    return tmp_path / "films"


def test_every_shipped_study_is_listed_here():
    files = {path.stem for path in (ROOT / "params").glob("*.yml")}
    assert files == {*STUDIES, "hypotheses"}  # the rules hold for every study


@pytest.mark.parametrize(
    ("study", "grid"), [(study, 7 if study == "paper" else 5) for study in STUDIES]
)
def test_shipped_studies_have_one_grid_of_at_least_five_cells(study, grid):
    params = loaded("data.source=/films", study)
    grids = [ARCHITECTURES[n].grid(params.input_size[n]) for n in params.architectures]
    assert grids == [grid] * 3


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_written_of_a_study_reads_back_as_the_same(study, tmp_path):
    params = loaded("data.source=/films", study)
    for text in (yaml.safe_dump(params.model_dump(mode="json")), params.model_dump_json()):
        assert load.validate(yaml.safe_load(text), origin="again") == params


def test_sizes_that_the_message_recommends_are_accepted():
    for sizes in ((160, 160, 203), (224, 224, 267)):
        given = dict(zip(SIZES, sizes, strict=True))
        assert load.load("phantom", {"input_size": given}).input_size == given


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs=3", "unknown key 'epochs': did you mean 'follow_epochs'? allowed"),
        ("finetune.epoch=3", "unknown key 'finetune.epoch': did you mean 'epochs'? allowed here"),
        ("data.phantom.shape=1", "unknown key 'data.phantom.shape': allowed here: patients_per_cl"),
        ("a..b=1", "unknown key 'a'"),
        ("input_size.vgg16=96", "input_size.vgg16 = 'vgg16': Input should be 'densenet201', 're"),
        ("architectures=[vgg16]", "architectures.0 = 'vgg16': Input should be 'densenet201'"),
        ("transfer.epochs=0", "transfer.epochs = 0: Input should be greater than or equal to 1"),
        ("transfer.epochs=2.5", "transfer.epochs = 2.5: Input should be a valid integer"),
        ("transfer.epochs=true", "transfer.epochs = True: expected a number, found true or fal"),
        ("seeds=[true]", "seeds = [True]: expected a number, found true or false"),
        ("transfer.dropout=1", "transfer.dropout = 1: Input should be less than 1"),
        ("transfer.learning_rate=.nan", "transfer.learning_rate = nan"),
        ("finetune.warmup_epochs=.inf", "finetune.warmup_epochs = inf: Input should be a finite"),
        ("finetune.from_stage=6", "finetune.from_stage = 6: Input should be less than or equal"),
        ("finetune.batch_norm=on", "finetune.batch_norm = 'on': Input should be 'frozen' or 'tr"),
        ("finetune.augmentation.zoom=0.5", "augmentation.zoom = 0.5: Input should be less than"),
        ("seeds=[0,-1]", "seeds.1 = -1: Input should be greater than or equal to 0"),
        ("seed=2147483648", "seed = 2147483648: Input should be less than 2147483648"),
        ("data=phantom", "data = 'phantom': Input should be a valid dictionary"),
        ("data.aspect=stretch", "data.aspect = 'stretch': Input should be 'letterbox', 'crop'"),
        ("data.phantom.size=63", "phantom.size = 63: Input should be greater than or equal to 64"),
        ("data.phantom.conspicuity=0", "conspicuity = 0: Input should be greater than 0"),
        ("data.phantom.conspicuity=2.01", "conspicuity = 2.01: Input should be less than or equ"),
        ("data.phantom.shortcut=1.5", "shortcut = 1.5: Input should be less than or equal to 1"),
        ("data.phantom.patients_per_class=0", "patients_per_class = 0: Input should be greater"),
        ("data.phantom.images_per_patient=[0,2]", "images_per_patient.0 = 0: Input should be gr"),
        ("data.phantom.images_per_patient=[1,2,3]", "images_per_patient = [1, 2, 3]: Tuple shou"),
        ("attribution.roles=[head]", "attribution.roles.0 = 'head': Input should be 'stage4', '"),
        ("weights.source=places", "weights.source = 'places': Input should be 'imagenet', 'frac"),
        ("runtime.precision=int8", "runtime.precision = 'int8': Input should be 'float32'"),
        ("input_size=", "input_size = None: Input should be a valid dictionary"),
        # Values that are possible one by one and contradict each other:
        ("data.split.train=0.6", "data.split: train + validation + test is 1.14, must be 1"),
        ("seeds=[3,3]", "seeds = [3, 3]: at least 1 value(s), none of them twice"),
        ("seeds=[]", "seeds = []: at least 1 value(s)"),
        ("transfer_seeds=[]", "transfer_seeds = []: at least 1 value(s)"),
        ("architectures=[]", "architectures = []: at least 1 value(s)"),
        ("classes=[normal]", "classes = ['normal']: at least 2 value(s)"),
        ("classes=[normal,normal]", "classes = ['normal', 'normal']: at least 2 value(s), none"),
        ("attribution.roles=[]", "attribution.roles = []: at least 1 value(s)"),
        ("attribution.methods=[gradcam,gradcam]", "attribution.methods = ['gradcam', 'gradcam']"),
        ("input_size.densenet201=31", "input_size.densenet201 = 31: densenet201 takes 32 to 2048"),
        ("input_size.inceptionv3=74", "input_size.inceptionv3 = 74: inceptionv3 takes 75 to 2048"),
        ("input_size.resnet50v2=2049", "input_size.resnet50v2 = 2049: resnet50v2 takes 32 to 2048"),
        ("input_size.densenet201=64", "(densenet201 64 px → 2×2, resnet50v2 160 px → 5×5, incep"),
        ("input_size.resnet50v2=32 architectures=[resnet50v2]", "makes a map of 1×1 cells of it"),
        ("input_size.inceptionv3=160", "(densenet201 160 px → 5×5, resnet50v2 160 px → 5×5, incep"),
        ("classes=[normal,cancer]", "classes: no phantom exists for cancer; allowed: normal, bact"),
        ("data.phantom.images_per_patient=[3,1]", "images_per_patient = [3, 1]: the first number"),
        ("data.phantom.shortcut=1 data.phantom.shortcut_class=flu", "shortcut_class = 'flu': must"),
        ("weights.source=file", "weights.files.densenet201 is missing; weights.source=file needs"),
        ("weights.files.resnet50v2=a.h5", "weights.files is set but weights.source is 'drawn'"),
        ("study=other", "study = 'other': a study is named by its file; copy phantom.yml to para"),
    ],
)  # fmt: skip
def test_impossible_and_contradictory_values_are_named(text, message):
    with pytest.raises(ParamsError) as raised:
        loaded(text)
    assert message in str(raised.value)
    assert str(raised.value).startswith("phantom.yml: ")


def test_every_fault_is_listed_at_once():
    with pytest.raises(ParamsError) as raised:
        loaded("finetune.epochs=0 transfer.patience=x data.aspekt=crop seed=-1")
    lines = str(raised.value).splitlines()
    assert len(lines) == 4 and all(line.startswith("phantom.yml: ") for line in lines)
    for key in ("finetune.epochs = 0", "transfer.patience = 'x'", "'data.aspekt'", "seed = -1"):
        assert sum(key in line for line in lines) == 1


def test_a_contradiction_that_does_not_apply_is_none():
    unequal = "input_size.inceptionv3=160"
    assert (
        loaded(f"{unequal} attribution.require_equal_grid=false").input_size["inceptionv3"] == 160
    )
    assert loaded(f"{unequal} architectures=[densenet201,resnet50v2]").sizes == (160,)
    assert loaded("classes=[normal,cancer] data.source=/films").classes == ("normal", "cancer")
    assert loaded("data.phantom.shortcut_class=flu").data.phantom.shortcut == 0


def test_own_weights_must_exist_for_every_architecture(tmp_path):
    file = tmp_path / "resnet.weights.h5"
    text = f"weights.source=file architectures=[resnet50v2] weights.files.resnet50v2={file}"
    with pytest.raises(ParamsError, match=r"weights\.files\.resnet50v2 = .*: no such file"):
        loaded(text)
    file.write_bytes(b"")
    assert loaded(text).weights.files == {"resnet50v2": str(file)}


def test_input_size_is_needed_for_each_architecture():
    given = {"study": "x", "input_size": {"densenet201": 160}}
    with pytest.raises(ParamsError, match=r"^here: input_size\.resnet50v2 is missing"):
        load.validate(given, origin="here")
    with pytest.raises(ParamsError, match=r"^here: input_size is missing"):
        load.validate({"study": "x"}, origin="here")
    with pytest.raises(ParamsError, match=r"study = '\.\./x': String should match"):
        load.validate({"study": "../x", "input_size": SIZES}, origin="here")


def test_overrides_nest_and_later_words_win():
    assert parse_overrides("") == {}
    assert parse_overrides("seeds=[0,1] finetune.epochs=5 finetune.batch_norm=trainable") == {
        "seeds": [0, 1], "finetune": {"epochs": 5, "batch_norm": "trainable"},
    }  # fmt: skip
    assert parse_overrides("a.b.c=1 a.b.d=x=y a.b.c=2") == {"a": {"b": {"c": 2, "d": "x=y"}}}
    assert parse_overrides("a=true b= c=[x,1]") == {"a": True, "b": None, "c": ["x", 1]}
    assert parse_overrides("a=[0, 1] b='c d' e={f g: [h i, 'j ]k']}") == {
        "a": [0, 1], "b": "c d", "e": {"f g": ["h i", "j ]k"]},
    }  # fmt: skip
    assert loaded("transfer.learning_rate=1e-4").transfer.learning_rate == 0.0001


def test_every_name_of_a_class_can_be_said():
    for text, names in {
        "[yes, no]": ("yes", "no"),
        "[0, 1]": ("0", "1"),
        "['007', on]": ("007", "on"),
        "[Viral Pneumonia, 'it is, \"so\"']": ("Viral Pneumonia", 'it is, "so"'),
    }.items():
        words = parse_overrides(f"classes={text} data.labels={{0: {text[1:-1].split(', ')[0]}}}")
        params = load.load("real", words | {"data": words["data"] | {"source": "/films"}})
        assert params.classes == names and params.data.labels == {"0": names[0]}
    assert parse_overrides("a=true b=False c=yes") == {"a": True, "b": False, "c": "yes"}


@pytest.mark.parametrize("text", ["seeds", "=3", "seeds=[0, 1", "finetune.epochs 5"])
def test_overrides_that_are_no_pairs_are_refused(text):
    with pytest.raises(
        ParamsError,
        match=r"^'.*': expected key=value, names with blanks in quotes or brackets, e\.g\. ",
    ):
        parse_overrides(text)


def test_merging_replaces_leaves_and_keeps_the_rest():
    base, extra = {"a": {"b": 1, "c": [1, 2]}, "d": 3}, {"a": {"c": [9]}, "d": {"e": 4}}
    assert load.merge(base, extra) == {"a": {"b": 1, "c": [9]}, "d": {"e": 4}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 3} and extra["a"] == {"c": [9]}


def test_a_study_that_is_like_another_says_only_what_differs(folder):
    (folder / "params/one.yml").write_text(
        "input_size: {densenet201: 160, resnet50v2: 160, inceptionv3: 203}\n"
        "transfer: {epochs: 7, dropout: 0.5}\n"
    )
    (folder / "params/two.yml").write_text("like: one\ntransfer: {epochs: 9}\nseeds: [3, 4]\n")
    one, two = load.load("one"), load.load("two", {"transfer": {"patience": 2}})
    assert (two.study, two.transfer.epochs, two.transfer.dropout) == ("two", 9, 0.5)
    assert two.seeds == (3, 4) and two.input_size == one.input_size
    assert (two.transfer.patience, two.transfer.batch_size, two.seed) == (2, 32, 20260413)
    (folder / "params/three.yml").write_text("like: four\n")
    with pytest.raises(ParamsError, match=r"four\.yml: three\.yml: like = 'four': no such study"):
        load.load("three")
    (folder / "params/four.yml").write_text("like: three\n")
    with pytest.raises(ParamsError, match="that study is itself like"):
        load.load("three")


def test_study_files_that_cannot_be_read(folder):
    (folder / "params/mine.yml").write_text("")
    with pytest.raises(ParamsError, match=r"mine\.yml: found NoneType, expected"):
        load.load("mine")
    with pytest.raises(ParamsError, match=r"yours\.yml: no such study; params/ has mine$"):
        load.load("yours")


def test_names_derived_from_a_study():
    params = loaded("transfer_seeds=[4,1] seeds=[2,0]")
    assert params.base_transfer == "transfer-s4"
    assert params.checkpoints == (
        "transfer-s4", "transfer-s1", "finetune-s2", "finetune-s0", "placebo-s2", "placebo-s0",
    )  # fmt: skip
    assert params.sizes == (160, 203)
    assert params.show_films
    assert not loaded("data.source=/films").show_films
    assert loaded("data.source=/films data.shareable=true").show_films


def test_a_stage_reads_what_it_declares_and_nothing_else():
    stage = load.load_stage("phantom", "transfer", {"transfer": {"epochs": 3}})
    assert stage.transfer.epochs == 3 and stage.study == "phantom"
    for name in ("finetune", "seeds", "data", "architectures"):
        with pytest.raises(AttributeError, match=f"stage 'transfer' does not read '{name}'; it re"):
            getattr(stage, name)
    with pytest.raises(AttributeError, match="does not read 'transfer_seeds'"):
        _ = stage.base_transfer  # derived from what the stage does not declare
    assert load.load_stage("phantom", "drift").base_transfer == "transfer-s0"
    with pytest.raises(AttributeError, match="does not read 'transfer_seeds'"):
        _ = load.load_stage("phantom", "finetune").checkpoints


def test_a_stage_shows_its_parameters_flat():
    stage = load.load_stage("phantom", "prepare")
    assert set(stage.dump()) == {"study", "seed", "classes", "architectures", "input_size", "data"}
    table = stage.table()
    assert (
        table["data.split.train"] == stage.data.split.train
        and table["input_size.inceptionv3"] == 203
    )
    assert not any(isinstance(value, dict) for value in table.values())


def test_a_further_transfer_seed_reruns_no_fine_tuning():
    one, two, other = (loaded(f"transfer_seeds={seeds}") for seeds in ("[0]", "[0,1]", "[1]"))
    assert load.settings(one, "finetune") == load.settings(two, "finetune")
    assert [each.start_of("finetune") for each in (one, two, other)] == [
        "transfer-s0", "transfer-s0", "transfer-s1",
    ]  # fmt: skip
    assert load.settings(one, "drift") != load.settings(two, "drift")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file that stands for weights of one's own."""
    file = tmp_path_factory.mktemp("weights") / "resnet.weights.h5"
    file.write_bytes(b"")
    return file


ACCEPTED = [
    "",
    "finetune.epochs=9 seeds=[5] transfer_seeds=[3,1] transfer.augmentation.zoom=0.1",
    "architectures=[resnet50v2] weights.source=file weights.files.resnet50v2={weights}",
    "input_size.inceptionv3=299 attribution.require_equal_grid=false",
    "architectures=[densenet201] input_size.densenet201=64",
    "architectures=[resnet50v2] input_size.resnet50v2=224",
    "architectures=[resnet50v2] input_size.inceptionv3=74 input_size.densenet201=9999",
    "classes=[sick,well] data.source=/films",
    "classes=[sick,well] data.source=/films data.labels.ill=sick attribution.explained=sick",
    "classes=[normal,covid19] data.phantom.shortcut=1",
    "architectures=[resnet50v2] attribution.methods=[layercam] attribution.roles=[auto_conv]",
    "runtime.precision=mixed_float16 weights.recalibrate_batch_norm=false",
]


@pytest.mark.parametrize("stage", load.STAGES)
@pytest.mark.parametrize("text", ACCEPTED)
def test_what_passes_the_front_door_reaches_every_stage_unchanged(text, stage, weights):
    """What the workflow hands to a notebook is the same, whatever the YAML says."""
    params = loaded(text.format(weights=weights))
    part = load.settings(params, stage)
    told = json.loads(json.dumps(part))  # through papermill
    read = load.load_stage(part["study"], stage, told)
    assert read.dump() == part
    if stage != "pretrain":
        for name in set(load.STAGES[stage]) - {"transfer_seeds"}:
            assert getattr(read, name) == getattr(params, name)


def test_a_part_is_not_merged_over_the_file(folder):
    text = yaml.safe_dump({"input_size": SIZES, "weights": {"source": "none"}})
    (folder / "params/mine.yml").write_text(text)
    part = load.settings(load.load("mine", {"seeds": [4]}), "drift")
    (folder / "params/mine.yml").unlink()
    read = load.load_stage("mine", "drift", part)
    assert read.seeds == (4,) and read.weights.source == "none"
    with pytest.raises(AttributeError, match="does not read 'transfer'"):
        _ = read.transfer
    with pytest.raises(ParamsError, match=r"^drift of mine: seeds\.0 = -1: Input should be gr"):
        load.load_stage("mine", "drift", part | {"seeds": [-1]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "smoke"}, "study = 'smoke': with this key .* of 'phantom' .*not read: none"),
        ({"finetune": {}}, "missing or not read: finetune"),
    ],
)
def test_a_part_of_another_stage_or_study_is_refused(change, message):
    part = load.settings(loaded(""), "transfer")
    with pytest.raises(ParamsError, match=message):
        load.load_stage("phantom", "transfer", part | change)
    with pytest.raises(ParamsError, match=r"missing or not read: .*weights"):
        load.load_stage("phantom", "transfer", {"study": "phantom", "seed": 1})


def test_source_weights_do_not_depend_on_the_study_that_asks_first():
    smoke, paper = (
        loaded("", "smoke"),
        "data.source=/films weights.source=fractal runtime.tf32=true",
    )
    words = [f"weights.fractal.{key}={value}" for key, value in smoke.weights.fractal]
    other = loaded(" ".join([paper, *words]), "paper")
    assert other.weights.recalibrate_batch_norm != smoke.weights.recalibrate_batch_norm
    assert load.settings(other, "pretrain") == load.settings(smoke, "pretrain")
    more = loaded("weights.fractal.epochs=9", "smoke")
    assert load.settings(more, "pretrain") != load.settings(smoke, "pretrain")


STAGE_OF = {
    path: re.search(r'load_stage\(study, "(\w+)"', path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "notebooks").glob("[0A]*.py"))
}


@pytest.mark.parametrize(
    "path", [p for p, found in STAGE_OF.items() if found], ids=lambda p: p.stem
)
def test_notebooks_read_only_what_their_stage_declares(path):
    read = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "params"
    } - {"dump", "table"}
    params = load.load_stage("phantom", STAGE_OF[path][1])
    assert read and all(hasattr(params, name) for name in read)


def test_every_stage_is_that_of_a_notebook_and_every_parameter_is_read():
    assert {found[1] for found in STAGE_OF.values() if found} == set(load.STAGES)
    assert set().union(*load.STAGES.values()) == set(model.Params.model_fields)


def test_command_line_writes_the_resolved_study(tmp_path, capsys):
    file = tmp_path / "new/params.yml"
    assert (
        commands.main(
            ["params", "smoke", "--set", "seeds=[7] transfer.epochs=2", "--write", str(file)]
        )
        == 0
    )
    written = yaml.safe_load(file.read_text())
    assert (written["study"], written["seeds"], written["transfer"]["epochs"]) == ("smoke", [7], 2)
    assert written["finetune"]["learning_rate"] == 1e-4  # defaults are spelled out
    assert capsys.readouterr().out == ""
    assert commands.main(["params", "smoke", "--set", "seeds=[7] transfer.epochs=2"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "error: .*nothing.yml: no such study; params/ has paper, phantom"),
        (["smoke", "--set", "seeds"], "error: 'seeds': expected key=value"),
        (["smoke", "--set", "epochs=1"], "error: smoke.yml: unknown key 'epochs'"),
        (["real"], "error: real.yml: data.source is not set, and this study needs films"),
        (["real", "--data", "/no/such"], "error: /no/such: found nothing"),
        (["smoke", "--write", "/dev/null/params.yml"], "error: /dev/null/params.yml: could not be"),
        (["real", "--data", "/caf\udce9"], r"error: /caf\\udce9: found bytes that are no UTF-8"),
        (["real", "--data", "~nobody-there/x"], "error: ~nobody-there/x: found no home of that"),
    ],
)  # fmt: skip
def test_command_line_says_what_is_wrong_and_returns_two(arguments, message, capsys):
    assert commands.main(["params", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.match(message, captured.err), captured.err


def test_a_folder_of_results_that_cannot_be_written_is_one_line(capsys):
    assert commands.main(["run", "smoke", "--results", "/dev/null", "--", "true"]) == 2
    expected = "error: /dev/null/smoke: Not a directory. Free some space, check the permissions "
    assert capsys.readouterr().err.startswith(expected)


def test_a_checkout_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, "ROOT", tmp_path / "gone")
    words = [["plan", "smoke", "--write", str(tmp_path / "plan.yml")]]
    words += [["run", "smoke", "--results", str(tmp_path), "--", "true"]]
    for verb in words:
        assert commands.main(verb) == 2
        expected = f"error: {tmp_path}/gone/.snakemake: found no right to write, expected it: "
        assert capsys.readouterr().err.startswith(expected)
    assert not list(tmp_path.iterdir())


def test_command_line_takes_films_and_misses_a_class(films, capsys):
    assert commands.main(["params", "real", "--data", str(films)]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"]["source"] == str(films)
    (films / "covid19/1.png").unlink()
    assert commands.main(["params", "real", "--data", str(films)]) == 2
    assert "no image of class 'covid19'" in capsys.readouterr().err


def test_imagenet_weights_are_looked_for_before_anything_runs(films, tmp_path, monkeypatch, capsys):
    run = ["paper", "--data", str(films)]
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(commands, "_online", lambda: False)
    assert commands.main(["params", *run]) == 2
    message = capsys.readouterr().err
    assert "no weights of DenseNet201, ResNet50V2, InceptionV3 in" in message
    assert "weights.source=file" in message and "weights.source=fractal" in message
    assert commands.main(["plan", *run, "--write", str(tmp_path / "plan.yml")]) == 0
    assert "Study paper: 5 films" in capsys.readouterr().out
    cache = tmp_path / "keras/models"
    cache.mkdir(parents=True)
    ending = "_weights_tf_dim_ordering_tf_kernels_notop.h5"  # as keras.applications names them
    for stem in ("densenet201", "inception_v3"):
        (cache / (stem + ending)).write_bytes(b"")
    (cache / "resnet50v2_weights_tf_dim_ordering_tf_kernels.h5").write_bytes(b"")  # with top
    assert commands.main(["params", *run]) == 2
    assert "no weights of ResNet50V2 in" in capsys.readouterr().err
    (cache / ("resnet50v2" + ending)).write_bytes(b"")
    assert commands.main(["params", *run]) == 0


def test_imagenet_weights_may_be_fetched_and_others_are_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(commands, "_online", lambda: True)
    commands.check_weights(loaded("data.source=/films", "paper"))
    monkeypatch.setattr(commands, "_online", lambda: pytest.fail("asked for the network"))
    commands.check_weights(loaded(""))


def test_augmentation_is_active_when_any_distortion_is():
    assert not model.Augmentation().active
    for name in model.Augmentation.model_fields:
        value = True if name == "flip_left_right" else 0.1
        assert model.Augmentation(**{name: value}).active, name


def test_seeds_do_not_change():
    """A result of an earlier version must stay reproducible: these values are fixed for ever."""
    assert seeds.derive(20260413, "split") == 136023281
    assert seeds.derive(0) == 804681139
    assert seeds.derive(7, "shuffle", 0, 3) == 2116580680


def test_seeds_of_different_purposes_are_independent():
    found = np.array([[seeds.derive(s, "a", n) for n in range(300)] for s in range(10)])
    assert len(np.unique(found)) == found.size
    assert found.min() >= 0 and found.max() < 2**31
    uniform = found / 2**31
    # 3,000 uniform draws: the mean is within 4 standard errors of 1/2, neighbours do not correlate.
    assert abs(uniform.mean() - 0.5) < 4 / np.sqrt(12 * uniform.size)
    for a, b in ((uniform[:, :-1], uniform[:, 1:]), (uniform[:-1], uniform[1:])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)
    assert seeds.derive(1, "a", "b") != seeds.derive(1, "b", "a")
    assert seeds.derive(1, 23) != seeds.derive(12, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff", "not valid YAML: 'utf-8' codec"), (b"a: [", "not valid YAML: while parsing"),
        (b"- 1", "found list, expected `key: value` lines"), (None, "lost; look elsewhere"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_yaml_of_keys_is_named(tmp_path, content, message):
    file = tmp_path / "x.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ParamsError) as refused:
        load.read_yaml(file, missing="lost; look elsewhere")
    assert str(refused.value).startswith(f"{file}: {message}")
