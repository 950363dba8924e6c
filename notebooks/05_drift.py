# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5 · Drift: did the evidence move?
#
# *How far do the maps of the same film move between transfer and fine-tuning, and is that more than
# moves without any fine-tuning?*
#
# A number alone means nothing. So every comparison stands between two controls: the **placebo**
# (the same training with the backbone frozen: what moves when only the head moved) and the
# **ceiling** (maps of *different* patients' films of one class: as unlike as maps of this model get
# while still sharing the class and the centre of the film).

# %% [markdown]
# **Reads** all maps and predictions of the study. **Writes** `tables/*.csv` and `figures/*`.

# %%
from lib.study import StudyPaths, artefacts, derive, load_stage, schema
from lib.study.names import METHOD_TITLES
from lib.data.audit.summary import load as load_audit
from lib.data import cache
from lib.models import convergence
from lib.models.performance import confusion_table, history_table, performance_table
from lib.attribution import maps
from lib.drift import agreement, cases, consistency, convergent, metrics, pairings, summaries

# %% [markdown]
# What the maps are worth, and what is known of the evidence:

# %%
from lib.evidence import confidence, faithfulness, marker_use, perturbed, trajectory as way
from lib.evidence.changes import (
    change_summary, changes_of_study, evidence_of_study, evidence_summary, lesion_gains,
)  # fmt: skip
from lib.evidence.shortcut import correction, shortcut_pairs
from lib.evidence.validity import metric_validity, with_change
from lib.figures import controls as control_plots, data_audit, drift, evidence as evidence_plots
from lib.figures import pictures, style, training

# %% [markdown]
# ## Parameters
#
# The default compares what notebooks 2 to 4 made with their own defaults, however little that is.
# `make reproduce` passes a study's full grid.

# %% tags=["parameters"]
study = "smoke"
settings = {"architectures": ["resnet50v2"], "seeds": [0]}
results = "results/notebooks"

# %%
params = load_stage(study, "drift", settings)
paths = StudyPaths(results, params.study)
wanted = pairings.pairings(
    params.transfer_seeds, params.seeds, modes=params.modes, controls=params.controls
)
inputs = [
    file
    for architecture in params.architectures
    for checkpoint in params.map_sets
    if artefacts.manifest_path(file := paths.maps(architecture, checkpoint)).exists()
]
record = artefacts.begin(
    paths.tables / "drift.csv", parameters=params.dump(), inputs=[paths.manifest, *inputs]
)
style.style()

# %% [markdown]
# ## What there is to compare

# %% tags=["nbval-check-output"]
sets = {a: maps.load_maps(paths, a, params.map_sets) for a in params.architectures}
sets = {architecture: found for architecture, found in sets.items() if found}
for architecture, found in sets.items():
    absent = [f"{p.name} ({p.before}, {p.after})" for p in pairings.missing(wanted, found)]
    print(f"{architecture}: {', '.join(found)}; missing comparisons: {absent or 'none'}")

# %% [markdown]
# ## How good are the models?
#
# Accuracy first, because drift between models that do not work is drift of noise. `training` says how
# each training ended, by the rule of convergence among the parameters; the placebo is matched to its
# fine-tuning and has no rule of its own.

# %%
found = params.architectures, params.checkpoints
performance = performance_table(paths, *found, classes=params.classes)
history = history_table(paths, *found)
confusion = confusion_table(paths, *found, classes=params.classes)
test = performance.query("split == 'test'")
shown = ["architecture", "checkpoint", "training", "balanced_accuracy", "macro_auc", "ece", "brier"]
print(convergence.sentence(performance))
test[shown].round(3)

# %%
display(figure := training.performance(test))
style.save(figure, paths.figures / "performance")

# %% [markdown]
# Each row is an architecture. The distance from transfer to fine-tuned is what the backbone learnt;
# the placebo shows what the extra training of the head alone brings. In the table `ece` is how far
# confidence and accuracy lie apart, and `brier` the squared error of the probabilities; 0 is best.

# %% [markdown]
# ## How good is a model that sees no disease?
#
# The audit of notebook 1 asked linear models that know only the shape, the border or a thumbnail of
# a film (tested in folds over all films, and not on the test films alone). What a network reaches
# beyond the best of them may be disease; what it reaches below may be anything.

# %%
audit = load_audit(paths.data / "audit.json")
known_probes = audit.get("probes", {}) | {"thumbnail_32": audit["probe"]}
figure = data_audit.probe_bars(known_probes, test)
display(figure)
style.save(figure, paths.figures / "probes")

# %% [markdown]
# What the audit found belongs beside every accuracy, and so it is repeated here, the worst first.

# %% tags=["nbval-check-output"]
for finding in audit["findings"]:
    print(f"{finding['severity']}: {finding['text']}")

# %%
figure = training.learning_curves(history)
display(figure)
style.save(figure, paths.figures / "learning_curves")

# %% [markdown]
# Dashed: training, solid: validation; the marks are the kept epochs. A training that converged has a
# flat end: its loss did not fall by more than the tolerance for as many epochs as the rule asks. One
# that did not converge was stopped by the upper bound, and its drift is that of a network on its way.

# %%
main = [params.base_transfer, f"finetune-s{params.seeds[0]}"]
cell = {"role": params.attribution.roles[-1], "method": params.attribution.methods[0]}
figure = training.confusions(confusion[confusion["checkpoint"].isin(main)])
display(figure)
style.save(figure, paths.figures / "confusions")

# %% [markdown]
# Rows of a matrix are true classes. Mass off the diagonal that moves between the two checkpoints
# marks decisions that changed; the comparison of maps below leaves those films out.

# %% [markdown]
# ## Which films count
#
# For each architecture those that *all* of its trained checkpoints classify correctly, its *support*:
# there, evidence can be compared without a changed decision. In every mean each class has the same
# weight, however many of its films count. `common` are the films in the support of every architecture,
# for comparison: notebook 6 shows what they would change.

# %%
own = summaries.own_support(sets)
labels = next(iter(next(iter(sets.values())).values())).label
support = summaries.support_table(own, labels, classes=params.classes)
support

# %% [markdown]
# ## Do the maps tell what the prediction rests on?
#
# If not, neither their drift nor their rest says anything about evidence. Cells were blurred, or shown
# on a blurred film, in the order of a map and in a random order; *excess* is how much more the
# probability of the class followed the map: insertion less deletion, minus the same of random maps.

# %%
manifest = artefacts.read_table(paths.manifest)
faithful = faithfulness.of_study(
    paths, params.architectures, params.checkpoints,
    manifest.set_index("image_id")["patient_id"],
)  # fmt: skip
marked = faithfulness.unfaithful(faithful)
for sentence in faithfulness.sentences(faithful):
    print(sentence)

# %%
if len(faithful):
    display(figure := control_plots.faithfulness(faithful))
    style.save(figure, paths.figures / "faithfulness")

# %% [markdown]
# At 0 a map is no better than a random one. Whiskers that reach 0 earn the mark † wherever the drift of
# such maps is shown below: with so few films that means *not shown*, and not *shown not to*.

# %% [markdown]
# ## Do the maps stay with the prediction, and follow it?
#
# The same films with noise, with less contrast and blurred. *Resistance* is the soft overlap of a map
# with itself where the prediction stays, 0 to 1. *Relevance* is how much more a map moves where the
# prediction changes, under the same change of the film; 0 is a map that heeds no prediction.

# %%
changed = perturbed.of_study(paths, sets, manifest.set_index("image_id")["patient_id"])
for sentence in perturbed.sentences(changed, role="post_activation", method="layercam"):
    print(sentence)

# %% [markdown]
# ## Drift
#
# All metrics of every pair go to `tables/pairs.csv`; here are their means by architecture, method,
# layer and pairing. Blank maps cannot be scored and are counted instead.

# %%
patients = manifest.query("split == 'test'")["patient_id"].to_numpy()
rows = cache.film_rows(manifest)
single, strata, pairs = summaries.drift_tables(
    sets,
    wanted,
    patients,
    own,
    seed=derive(params.seed, "ceiling"),
    pairs_file=paths.tables / "pairs.csv",
)
summary = summaries.over_seeds(single)
strata = summaries.over_seeds(strata, [*summaries.CELL, "stratum"])

# %% [markdown]
# The primary table:

# %%
primary = summary.query("metric == 'iou_top20'")
primary.pivot_table(
    index=["role", "method"], columns=["architecture", "pairing"], values="mean", dropna=False
).round(2)

# %% [markdown]
# The same over the films that are correct at both compared checkpoints, whatever the others say of
# them (kept-correct), every film alike:

# %%
kept = strata.query("metric == 'iou_top20' and stratum == 'kept-correct'")
kept.pivot_table(
    index=["role", "method"], columns=["architecture", "pairing"], values="mean", dropna=False
).round(2)

# %%
every = artefacts.read_table(paths.tables / "pairs.csv")
blank = summaries.transitions(
    every.query("pairing != 'ceiling'"),
    manifest.set_index("image_id")["label"],
)
display(figure := drift.transitions(blank.query("pairing == 'finetune'")))
style.save(figure, paths.figures / "transitions")

# %% [markdown]
# A map that vanishes is an outcome and no missing value: where a method is blank for many films, it
# says nothing about them, and the means are those of the films that are left.

# %%
swapped = summary["pairing"].isin(("head_only", "features_only"))  # notebook 6 shows them
figure = drift.controls(summary[~swapped], metric="iou_top20", marked=marked)
display(figure)
style.save(figure, paths.figures / "controls")

# %% [markdown]
# Read each panel from left (nothing in common) to right (the same places). Where the fine-tuned
# point lies close to the placebo, the evidence stayed; where it lies at the ceiling, the two maps
# of one film are no more alike than maps of two different patients. Weights that were *moved at
# random* went as far as in fine-tuning: where both points coincide, any change of the weights would
# have moved the maps as much.

# %%
if len(pairs):
    figure = drift.drift_distributions(
        pairs.query(
            "pairing in ('finetune', 'corrected', 'placebo', 'perturbed', "
            "'finetune_seeds', 'transfer_seeds', 'ceiling')"
        ),
        metric="iou_top20",
        marked=marked,
    )
    display(figure)
    style.save(figure, paths.figures / "drift_distributions")
else:
    print("No film counts: none is classified correctly by every checkpoint.")

# %% [markdown]
# The same numbers film by film. Means hide a lot: look at the width of each distribution, and at the
# number of blank maps under it.

# %% [markdown]
# ## Does the ranking depend on the method?
#
# At `post_activation`, LayerCAM and Grad-CAM++ are the same map up to a factor, so their drift must
# agree but for ties that rounding breaks. This uses all films, by stratum of outcome.

# %% tags=["nbval-check-output"]
pooled = strata.query("metric == 'iou_top20' and role == 'post_activation' and n > 0")
two = pooled.pivot_table(
    index=["architecture", "pairing", "stratum"], columns="method", values="mean", dropna=False
)
if {"layercam", "gradcam_plus_plus"} <= set(two):
    gap = (two["layercam"] - two["gradcam_plus_plus"]).abs().max()
    print("equal drift by LayerCAM and Grad-CAM++ at post_activation:", bool(gap < 0.01))
else:
    print("This study has not both methods at post_activation: there is nothing to compare.")

# %%
tuned = summary.query("pairing == 'finetune'")
ranking = summaries.rank_architectures(tuned, metric="iou_top20")
figure = drift.ranking(ranking, metric="iou_top20", marked=marked)
display(figure)
style.save(figure, paths.figures / "ranking")

# %% [markdown]
# Lines that cross are rankings that depend on the method. Crossing means are not yet a reversal:
# whether one survives its uncertainty is a question for inference over seeds and patients, not for
# the eye.

# %% [markdown]
# ## Do the metrics measure one thing?
#
# Over the films of the fine-tuned pairs, every two metrics are correlated by rank, turned so that
# more is more drift.

# %%
of_tuned = every.query("pairing == 'finetune'")
alike = convergent.metric_agreement(of_tuned)
if len(alike):
    display(figure := control_plots.metric_agreement(alike))
    style.save(figure, paths.figures / "metric_agreement")

# %% [markdown]
# Near 1: either metric would have found the same films to have drifted most. Near 0: they answer
# different questions, and a ranking by one does not carry over to the other.

# %% [markdown]
# ## Is drift more than a change of confidence?
#
# Rank correlation over films of drift with the change of the logit and of the probability of the true
# class, its size and its sign, at the first layer and method that are shown below.

# %%
sure = confidence.confidence_table(
    of_tuned, sets, manifest.set_index("image_id")["patient_id"],
    seed=derive(params.seed, "confidence"),
)  # fmt: skip
told = sure.query(
    "role == @cell['role'] and method == @cell['method'] and metric == 'unit_distance'"
)
told[["architecture", "target", "relation", "rho", "low", "high", "films", "runs"]].round(2)

# %% [markdown]
# ρ near 0 with its size: films whose evidence moved are not those of which the network became more, or
# less, certain.

# %% [markdown]
# ## Are the maps of one class more alike after fine-tuning?
#
# The C-Score compares every two films of a class that a checkpoint classifies correctly, weighted by
# its confidence in both: 1 is the same map for all. The films differ between checkpoints.

# %%
consistent = consistency.consistency_table(
    sets, [name for name in params.checkpoints if name.startswith(("transfer", "finetune"))],
    classes=params.classes,
)  # fmt: skip
stage = consistent["checkpoint"].str.rpartition("-s")[0].rename("stage")
consistent.groupby(["role", "method", "architecture", stage], sort=False)["c_score"].mean().unstack(
    ["architecture", "stage"]
).round(2)

# %% [markdown]
# ## Single cases
#
# The films whose evidence moved most and least, for one method and layer, chosen by rule and not by
# hand. Where films may not be shown, the maps stand on a neutral ground.

# %%
sheets = {
    architecture: cases.choose_cases(
        sets[architecture],
        pairs.query(
            "architecture == @architecture and pairing == 'finetune' and after == @main[1]"
        ),
        checkpoints=main,
        films=cache.load(paths.images(size))[rows] if params.show_films else None,
        lesions=cache.lesion_masks(paths.data, rows, size=size),
        **cell,
    )
    for architecture in sets
    for size in [params.input_size[architecture]]
}

# %%
for architecture, chosen in sheets.items():
    if chosen:
        names = style.ARCHITECTURE[architecture].title, METHOD_TITLES[cell["method"]]
        title = f"{names[0]}, {names[1]} at {cell['role']}"
        figure = pictures.case_sheet(chosen, title=title, show_films=params.show_films)
        display(figure)
        style.save(figure, paths.figures / f"cases-{architecture}")

# %% [markdown]
# Left to right: the film, the map before, the map after, and where evidence was gained and lost. On
# phantoms the outline is the drawn lesion: a map that moves *onto* it is a change for the better,
# which no reference-free metric can tell from a change for the worse.

# %% [markdown]
# ## Did it move to the right place?
#
# On phantoms the lesion is known. *Relevance mass* is the share of a map that lies in it. A map
# that is the same everywhere scores the lesion's area, and one that only knows the middle of the
# film scores more. On films without masks the tables of this section are empty.

# %%
parts = {"lesion": cache.lesion_masks, "lung": cache.lung_masks, "marker": cache.marker_masks}
masks = {
    a: {part: read(paths.data, rows, size=params.input_size[a]) for part, read in parts.items()}
    for a in sets
}
known = all(found["lesion"] is not None for found in masks.values())
told = {*params.checkpoints, *(c for c in params.map_sets if c.startswith("randomised"))}
scored = {a: {c: m for c, m in of.items() if c in told} for a, of in sets.items()}
evidence = evidence_of_study(scored, masks, classes=params.classes, patients=patients)
by_stage = evidence_summary(evidence, by=["architecture", "stage", "role", "method"])
change = changes_of_study(evidence, wanted)
gained = change_summary(change)
print("lesions are known:", known)

# %%
if known:
    display(figure := evidence_plots.evidence_levels(by_stage, measure="lesion_mass"))
    style.save(figure, paths.figures / "evidence_levels")

# %% [markdown]
# Dots: mean over the films with a lesion; whiskers: 95 % over patients. Read against the two marks
# without colour: at the bar, a map finds the lesion no better than one that is the same
# everywhere; at the cross, no better than one that looks at the middle of the film. Before and
# after are the same films, so judge the difference by the table of changes and not by whether
# whiskers overlap. Compare stages of one architecture rather than levels of two: the cells of the
# three lie at slightly different places of the film.

# %%
compared = every[every["pairing"].isin(("finetune", "corrected"))]
validity = metric_validity(
    compared, change, seed=derive(params.seed, "validity"), metrics=metrics.QUICK
)
if known:
    joined = with_change(compared.query("pairing == 'finetune'"), change)
    figure = evidence_plots.drift_against_evidence(
        joined, validity, role=cell["role"], metric="iou_top20", marked=marked
    )
    display(figure)
    style.save(figure, paths.figures / "drift_against_evidence")

# %% [markdown]
# Each hexagon counts pairs of maps. Up: the map moved more; right: more of it lies on the lesion
# than before; left: less. A metric that only knows *that* evidence moved draws a V, ρ high with the
# size and near 0 with the sign. Only a metric that leans to one side could tell correction from
# loss. A flat cloud means that the map moved between places outside the lesion.

# %% [markdown]
# What fine-tuning gains on the lesion, and what the placebo gains: notebook 6 sets one against the
# other.

# %%
gains = with_change(every[every["pairing"].isin(("finetune", "placebo"))], change)
gains = lesion_gains(gains)
gains.groupby(["architecture", "role", "method", "pairing"])["lesion_gain"].mean().unstack().round(
    3
)

# %% [markdown]
# ## What came first, the accuracy or the drift?
#
# One fine-tuning of each architecture was explained after every epoch. Its drift is the squared
# distance from the transfer checkpoint, of maps of unit length, over the films that both ends
# classify correctly.

# %%
trajectory = way.of_study(
    paths, sets, masks, history,
    transfer=params.base_transfer, followed=params.followed, classes=params.classes,
)  # fmt: skip
for sentence in way.sentences(trajectory, **cell):
    print(sentence)

# %%
if len(trajectory):
    display(figure := evidence_plots.trajectory(trajectory, **cell, marked=marked))
    style.save(figure, paths.figures / "trajectory")

# %% [markdown]
# A large mark is the epoch that was kept. Drift that has come to rest is flat there; drift that
# still grows is that of a network on its way.

# %% [markdown]
# ## Do seeds agree beyond their common start?
#
# Two fine-tunings are alike because both resemble the checkpoint that they started from. The
# *partial agreement* takes that checkpoint out of both: 0 is what seeds that wander independently
# would have. Where `controls` ask for it, fine-tunings from another transfer checkpoint are compared
# with them, too. Notebook 6 gives the intervals.

# %%
agreed = agreement.seed_agreement(
    sets, patients, own, transfer=params.base_transfer,
    tuned=[f"finetune-s{each}" for each in params.seeds], seed=derive(params.seed, "ceiling"),
)  # fmt: skip
measures = ["partial", "partial_other"]
starts = agreement.start_agreement(
    sets, patients, own, starts=[f"transfer-s{each}" for each in params.transfer_seeds],
    seeds=params.seeds, seed=derive(params.seed, "ceiling"),
)  # fmt: skip
for table in (agreed, starts):
    means = table.groupby(["pairing", "architecture", "role", "method"], sort=False)[
        measures
    ].mean()
    display(means.round(2))

# %% [markdown]
# ## Was a change for the better seen as one?
#
# Only where a shortcut was planted: there one fine-tuning keeps it and another takes it away, and
# the films of the betrayed class tell how much evidence each brings back to the lesion. A
# reference-free metric that reports more drift for the correction than for the other calls it
# instability.

# %% [markdown]
# First of all: does the network that both start from use the marker? Its test films exist a second
# time with other markers, and its answers tell.

# %%
shortcut = {}
if params.planted:
    shortcut["marker_use"] = marker_use.of_study(
        paths, params.architectures, params.checkpoints, manifest,
        betrayed=params.data.phantom.shortcut_class,
    )  # fmt: skip
    print(*marker_use.sentences(shortcut["marker_use"]), sep="\n")
    display(shortcut["marker_use"].round(3))

# %% [markdown]
# And what a correction brings back to the lesion.

# %%
if params.planted and known:
    shortcut["shortcut"] = shortcut_pairs(change, label=params.data.phantom.shortcut_class)
    shown = shortcut["shortcut"].groupby(["architecture", "role", "method", "pairing"])
    display(shown["lesion_gain"].agg(["mean", "std", "count"]).round(3))

# %% [markdown]
# And what every measure says about it. A drift metric that grows when the shortcut goes would call
# the better model the less stable one; known evidence has a direction: more of the map on the
# lesion, less of it on the marker (as a multiple of the marker's area, which is tiny).

# %%
if "shortcut" in shortcut:
    label = params.data.phantom.shortcut_class
    shortcut["correction"] = correction(compared, change, label=label)
    told = shortcut["correction"].query("role == @cell['role'] and method == @cell['method']")
    display(told.drop(columns=["role", "method", "kind"]).round(3))

# %% [markdown]
# ## Write

# %%
blanks = maps.blank_tables(sets, classes=params.classes)
written = {
    "drift": summary, "performance": performance, "history": history, "confusion": confusion,
    "support": support, "strata": strata, "ranking": ranking, "blanks": blanks,
    "faithfulness": faithful, "perturbed": changed, "metric_agreement": alike, "confidence": sure,
    "consistency": consistent, "transitions": blank, "seed_agreement": agreed, "starts": starts,
    "trajectory": trajectory,
    "evidence": by_stage, "evidence_change": gained, "validity": validity, "lesion_gain": gains,
} | shortcut  # fmt: skip
files = [*schema.write_tables(paths.tables, written), paths.tables / "pairs.csv"]
figures = record.written(paths.figures, "*.[ps][nv]g")
record.complete(*files[1:], *figures, weights=params.weights.source)
print("wrote", *(file.name for file in files), "and", len(figures), "figures")

# %% [markdown]
# ## What we saw
#
# How far evidence moved, between what it moves without cause and how far it can move at all. The
# source weights of this run are in the record beside the tables: with `weights.source=none` a
# backbone knows nothing before it is fine-tuned, and the comparison is empty by construction.
#
# Next: [6 · Hypotheses](06_hypotheses.ipynb), what may be said. Back:
# [4 · Attribute](04_attribute.ipynb), [index](00_index.ipynb).
