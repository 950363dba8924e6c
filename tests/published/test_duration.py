"""What a study is said to cost, and how a run says where it stands."""

import os
import time

import pytest

from lib.hypotheses import stated
from lib.published import duration
from lib.study.artefacts import write_json
from lib.study.load import load, parse_overrides
from lib.study.params import Params
from lib.study.paths import StudyPaths


def of(text, study="phantom"):
    params = load(study, parse_overrides(text))
    return params, duration.steps(params, count=duration.films(params))


def seconds(steps, stage):
    return sum(step.seconds for step in steps if step.stage == stage)


def test_the_published_study_costs_what_it_cost():
    """Its own films, seeds and bound of epochs give back its own durations."""
    params = Params.model_validate(duration.recorded(duration.REFERENCE)["parameters"])
    steps = duration.steps(params, count=duration.films(params))
    seconds = duration.recorded(duration.REFERENCE)["seconds"]
    shown = [spent for name, spent in seconds.items() if name.startswith("models/")]
    trained = [s for s in steps if s.stage in ("transfer", "fine-tuning")]
    assert len(trained) == len(shown)
    assert sum(s.seconds for s in trained) == pytest.approx(sum(shown), rel=1e-6)


def test_a_study_is_found_under_the_name_that_it_was_published_by(tmp_path):
    for folder, study in (("phantom", "published"), ("real", "real")):
        write_json(tmp_path / folder / "provenance.json", {"parameters": {"study": study}})
    for study, folder in (("published", "phantom"), ("real", "real"), ("own", "own")):
        assert duration._of_study(tmp_path, study) == tmp_path / folder


def test_cost_grows_with_seeds_epochs_and_films():
    _, one = of("seeds=[0] finetune.epochs=2")
    _, three = of("seeds=[0,1,2] finetune.epochs=2")
    assert seconds(three, "fine-tuning") == pytest.approx(3 * seconds(one, "fine-tuning"))
    _, longer = of("seeds=[0] finetune.epochs=4")
    start = sum(duration.START.values())
    placebo = sum(s.seconds for s in one if s.name.startswith("03_placebo"))
    trained = seconds(one, "fine-tuning") - start - placebo
    assert seconds(longer, "fine-tuning") == pytest.approx(start + placebo + 2 * trained)
    params, _ = of("data.phantom.patients_per_class=70")
    assert duration.films(params) == 700


def test_the_steps_are_those_of_the_workflow():
    params, steps = of("", "shortcut")
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    trained = {f"{c.split('-s')[0]}-{a}-s{c.split('-s')[1]}"
               for a in params.architectures for c in params.checkpoints}  # fmt: skip
    assert {name[3:] for name in names if name[:2] in ("02", "03")} == trained


def test_a_plan_says_what_can_be_judged_and_what_is_lacking():
    params, _ = of("seeds=[0,1] attribution.methods=[layercam]")
    text = duration.plan(params, stated.load(), count=1400, cores=2)
    assert "Study phantom: 1400 films, 3 architectures, 2 fine-tuning seeds of each" in text
    lines = {line[:2]: line for line in text.splitlines() if line.startswith("H")}
    assert "for want of gradcam, 3, 5, 8 or 12 seeds (it has 2):" in lines["H1"]
    assert "a planted shortcut" in lines["H5"]
    params, _ = of("seeds=[0,1,2]")
    told = duration.judged(params, stated.load())
    assert [line[:16] for line in told[:4]] == [f"H{n} can be judged"[:16] for n in range(1, 5)]


def test_without_a_published_study_there_are_steps_and_no_durations(tmp_path):
    params = load("smoke")
    steps = duration.steps(params, count=80, reference=tmp_path)
    assert [s.name for s in steps] == [s.name for s in duration.steps(params, count=80)]
    assert sum(s.seconds for s in steps) == 0
    progress = duration.Progress(StudyPaths(tmp_path, "s"), steps, cores=2)
    file = progress.paths.notebook("01_prepare_data")
    file.parent.mkdir(parents=True)
    file.touch()
    assert f"1 of {len(steps)} steps" in progress.line() and "left" not in progress.line()


def test_progress_counts_steps_and_learns_the_pace(tmp_path, monkeypatch):
    paths = StudyPaths(tmp_path, "s")
    planned = [duration.Step(f"0{n}_x", "fine-tuning", 100.0) for n in range(1, 5)]

    def finish(step):
        file = paths.notebook(step.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    finish(planned[0])  # by an earlier run
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = duration.Progress(paths, planned, cores=2)
    assert "1 of 4 steps" in progress.line() and "left" not in progress.line()
    log = paths.root / "logs/03_x.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        "Executing Cell 5---\nepoch 1/4: training loss 1.2\nepoch 2/4: training loss 0.9\n"
    )
    finish(planned[1])
    clock[0] = 120.0  # 240 seconds of two cores for a step of 100: two steps are left
    line = progress.line()
    assert "2 of 4 steps, about 4 min left" in line
    assert line.endswith("; 03_x: epoch 2/4: training loss 0.9")
    os.utime(log, (0, 0))
    assert "03_x" not in progress.line(), "a log of an earlier run"
