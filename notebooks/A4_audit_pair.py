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
# # A4 · Audit: did the evidence of your own model move?
#
# *Two checkpoints of one classifier, before and after fine-tuning, pruning or quantisation: do they
# decide for the same reasons?*
#
# Nothing here needs to know how the model was built or trained. Nested models are unfolded, the
# softmax is taken off, layers are found by position, and the controls are such as need no training.
# What cannot be audited is refused with the reason, and no code from a file is ever run.

# %% [markdown]
# **Reads** two `.keras` or `.h5` files of one architecture and a collection of films.
# **Writes** `audit-<name>/`: `data/manifest.csv`, `maps/<architecture>/*.npz`, `tables/*.csv`,
# `findings.json` and `figures/*`. `make audit` goes on to `report/index.html` in the same folder: the
# answer on one page, and a browser of all films with their maps.

# %%
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, resolve
from lib.study.names import METHOD_TITLES
from lib.study.progress import counter
from lib.data import batches, cache as image_cache
from lib.models import backbones
from lib.attribution.maps import blank_tables
from lib.drift import cases, pairings, summaries
from lib.drift.priors import prior_table
from lib.hypotheses import stated
from lib.figures import drift as drift_plots, pictures, style, training
from lib.checkpoint_audit import classes as class_mapping, films as audited_films, findings, layers
from lib.checkpoint_audit import measures
from lib.checkpoint_audit import pair as pair_audit, params as audit_params

# %% [markdown]
# ## Parameters
#
# By default the notebook audits what notebooks 2 and 3 made, as it would a stranger's files. For
# yours: `make audit BEFORE=a.keras AFTER=b.keras DATA=<folder of class folders | manifest.csv>`.

# %% tags=["parameters"]
settings = {
    "name": "example",
    "before": "results/notebooks/smoke/models/resnet50v2/transfer-s0.keras",
    "after": "results/notebooks/smoke/models/resnet50v2/finetune-s0.keras",
    "data": {"source": "results/notebooks/smoke/data/phantoms/phantoms.csv", "shareable": True},
    "classes": ["normal", "bacterial_pneumonia", "tuberculosis"],
}
results = "results/notebooks"

# %%
params = audit_params.validate(settings)
paths = StudyPaths(results, params.study)
backbones.configure(params.runtime, seed=derive(params.seed, "redraw"))
style.style()
pd.Series(params.model_dump(exclude={"before", "after", "data"}), name="value").to_frame()

# %% [markdown]
# ## The two checkpoints
#
# The description of the graph is looked through before Keras loads it: a class that is not Keras's
# own, or that brings code along, is refused. Both must have the same layers, whether they lie flat
# or in a nested model, and may differ in dropout, augmentation and anything else that acts in
# training only.

# %% tags=["nbval-check-output"]
pair = pair_audit.open_pair(resolve(params.before), resolve(params.after), size=params.size)
print(f"{pair.name}: films of {pair.shape} (height, width, channels)")
for name, flat in zip(findings.CHECKPOINTS, pair.plain, strict=True):
    print(f"{name}: {len(flat.graph.operations)} operations, returns {flat.output}")

# %% [markdown]
# ## The films
#
# The test films where the collection says which these are, otherwise all of them. Films that a model
# was trained on show what it memorised as well as what it learnt.

# %% tags=["nbval-check-output"]
known = params.model_dump(mode="json", exclude={"before", "after"}) | {"files": pair.files}
size = pair.shape[0]
data_record = artefacts.begin(paths.manifest, parameters=known)
manifest, rejected, classes = audited_films.read_films(params, size=size, folder=paths.data)
class_mapping.require_classes(pair.plain[0].graph.output_shape[-1], classes)
artefacts.write_table(paths.manifest, manifest)
artefacts.write_table(paths.data / "rejected.csv", rejected)
data_record.complete(paths.images(size), paths.data / "rejected.csv")
cache = image_cache.load(paths.images(size))
films = batches.films(cache, manifest, splits=["audited"], classes=classes)
print(f"{len(films)} films, {len(rejected)} rejected; outputs 0, 1, … are {', '.join(classes)}")

# %% [markdown]
# ## Preprocessing
#
# Grey levels of another range give another model. What the graph does itself before the first layer
# that learns is found; otherwise it must be said, and is never guessed.

# %% tags=["nbval-check-output"]
preprocess, inside = pair_audit.choose_preprocessing(pair, films, params.preprocessing)
flats = pair.preprocessed(preprocess)
opened = pair_audit.checkpoint_table(
    pair, params.files, inside=inside, preprocessing=preprocess
)  # fmt: skip
print("inside the model:", opened["inside"][0], "| before it:", preprocess)

# %% [markdown]
# ## Layers
#
# `post_activation` is the last map that all of the evidence passes through, the one that is pooled
# or flattened; `auto_conv` the last convolution, which tf-keras-vis would pick; `stage4` the last
# map of the next finer resolution. `LAYER=name` takes another one of this table.

# %% tags=["nbval-check-output"]
chosen = layers.audited_layers(flats[0].graph, params.layers)
candidates = layers.layer_table(flats[0].graph, chosen)
print(candidates.tail(12).to_string(index=False))

# %% [markdown]
# ## Maps
#
# Of the true class, from logits. BEFORE is explained twice, and once more with its weights drawn
# anew (Adebayo et al. 2018): maps that do not change with the weights do not show what was learnt.

# %%
sets = pair_audit.explain_pair(
    flats, films, manifest["image_id"], layers=params.layers, methods=params.methods,
    batch_size=params.batch_size, report=counter,
)  # fmt: skip
for name, maps in sets.items():
    record = artefacts.begin(
        paths.maps(pair.name, name), parameters=known | {"preprocessing": preprocess},
        inputs=[paths.manifest],
    )  # fmt: skip
    maps.save(record.path)
    record.complete(films=len(maps.image_id), layers=maps.layers)

# %% [markdown]
# ## Do the models work, and do their outputs mean what we think?
#
# `best_order` is the assignment of classes to outputs that fits best. Another than the given one,
# and far better: the classes are named in the wrong order.

# %%
predictions, scores, confusion = findings.prediction_tables(
    sets, manifest, architecture=pair.name, classes=classes
)
mappings = {
    name: class_mapping.check_mapping(sets[name].logits, sets[name].label, classes=classes)
    for name in findings.CHECKPOINTS
}
display(class_mapping.mapping_table(mappings, classes=classes).round(3))
scores[["checkpoint", "n", "accuracy", "balanced_accuracy", "macro_auc"]].round(3)

# %%
style.introduce(pair.name)
display(figure := training.confusions(confusion))
style.save(figure, paths.figures / "confusions")

# %% [markdown]
# Rows are true classes. What moves between the two panels are decisions that changed; the primary
# comparison of maps leaves those films out.

# %% [markdown]
# ## Drift
#
# On the films that both checkpoints classify correctly. Without training there is no placebo: the
# floor is the same checkpoint explained twice, which must overlap by exactly 1, and the ceiling are
# maps of other patients' films of the class.

# %%
main = {pair.name: {name: sets[name] for name in findings.CHECKPOINTS}}
own = summaries.own_support(main)
common = own[pair.name]
support = summaries.support_table(own, sets["before"].label, classes=classes)
support = support.drop(columns=pair.name)  # of one network the common support is its own
record = artefacts.begin(
    paths.tables / "drift.csv",
    parameters=known | {"preprocessing": preprocess, "classes": list(classes)},
    inputs=[paths.manifest, *(paths.maps(pair.name, name) for name in sets)],
)  # fmt: skip
single, strata, pairs = summaries.drift_tables(
    {pair.name: sets}, pairings.audit_pairings(), manifest["patient_id"].to_numpy(), own,
    seed=derive(params.seed, "ceiling"), pairs_file=paths.tables / "pairs.csv", class_weights=False,
)  # fmt: skip
drift = summaries.over_seeds(single)
print(f"{common.sum()} of {len(common)} films are classified correctly by both")
support

# %%
primary = drift.query("metric == 'iou_top20'")
shown = primary.pivot_table(
    index=["role", "method"], columns="pairing", values="mean", sort=False, dropna=False
)
shown.round(2)

# %%
figure = drift_plots.controls(
    drift, between=("explainer", "ceiling"), title="Where does the change lie between its controls?"
)
display(figure)
style.save(figure, paths.figures / "controls")

# %% [markdown]
# Read each panel from left (nothing in common) to right (the same places). *Before → after* at 1:
# the evidence stayed. At the ceiling: the two maps of one film are no more alike than those of two
# patients. At the permuted weights: no more alike than to a model that has learnt nothing.

# %% [markdown]
# The same at the deepest layer alone, with the first method: what the report shows first.

# %%
cell = dict(zip(("role", "method"), findings.primary_cell(drift), strict=True))
first = drift[drift["role"].eq(cell["role"]) & drift["method"].eq(cell["method"])]
figure = drift_plots.controls(
    first, between=("explainer", "ceiling"), title="Did the evidence of this model move?"
)
display(figure)
style.save(figure, paths.figures / "answer")

# %% [markdown]
# The change brought to one number: 1 as when explained twice, 0 as maps of unrelated films. Intervals
# are over patients; one pair of checkpoints says nothing about other trainings.

# %%
patients = manifest.set_index("image_id")["patient_id"]
all_pairs = artefacts.read_table(paths.tables / "pairs.csv")
retained = findings.retained(all_pairs, patients)
retained.query("metric == 'iou_top20'").drop(columns=["metric", "se_seeds", "seeds"]).round(3)

# %% [markdown]
# ## Is any agreement owed to the middle of the film?
#
# Maps that share nothing but a preference for the centre overlap too. These are their means on the
# grids of this model, by simulation.

# %%
grids = sorted({layer.output.shape[1] for layer in chosen.values()})
centre = stated.load().H4.prior.model_dump()
priors = prior_table(grids, **centre, seed=derive(params.seed, "prior"))
priors.pivot_table(index=["grid", "metric"], columns="prior", values="mean").round(3)

# %% [markdown]
# ## Blank maps and changed decisions
#
# A blank map shows no support for the class at that layer. The second table has all films, by what
# became of the decision.

# %%
blanks = blank_tables({pair.name: sets}, classes=classes)
display(blanks.groupby(["checkpoint", "role", "method"], sort=False)[["blank", "n"]].sum())
strata = summaries.over_seeds(strata, [*summaries.CELL, "stratum"])
by_outcome = strata.query("metric == 'iou_top20' and pairing == 'change'")
by_outcome.pivot_table(
    index=["role", "method"], columns="stratum", values=["mean", "n"], dropna=False
).round(2)

# %%
if len(pairs):
    display(figure := drift_plots.drift_distributions(pairs))
    style.save(figure, paths.figures / "drift_distributions")

# %% [markdown]
# The same film by film. A mean that hides two groups of films shows here.

# %% [markdown]
# ## Single cases
#
# The films whose evidence moved most and least, chosen by rule. Films themselves appear only where
# they are marked as shareable (`data.shareable=true`).

# %%
sheet = cases.choose_cases(
    sets, pairs.query("pairing == 'change'"), checkpoints=findings.CHECKPOINTS, **cell,
    films=cache[films.rows] if params.data.shareable else None,
)  # fmt: skip
if sheet:
    figure = pictures.case_sheet(
        sheet, title=f"{pair.name}, {METHOD_TITLES[cell['method']]} at {cell['role']}",
        show_films=params.data.shareable, names=findings.CHECKPOINTS,
    )  # fmt: skip
    display(figure)
    style.save(figure, paths.figures / "cases")

# %% [markdown]
# ## What is to be said first

# %%
measured = measures.measured(all_pairs, predictions, cell=cell, classes=classes)
found = findings.findings(
    sets, mappings, drift, measured=measured, checkpoints=opened, common=common
)  # fmt: skip
for finding in found:
    print(f"{finding['severity']}: {finding['text']}")

# %% [markdown]
# ## Write

# %%
written = {
    "performance": scores, "predictions": predictions, "confusion": confusion, "support": support,
    "strata": strata, "blanks": blanks, "retained": retained, "priors": priors,
    "layers": candidates, "checkpoints": opened, "measured": measured,
    "mapping": class_mapping.mapping_table(mappings, classes=classes),
}  # fmt: skip
artefacts.write_table(record.path, drift)
for name, table in written.items():
    artefacts.write_table(paths.tables / f"{name}.csv", table)
artefacts.write_json(paths.root / "findings.json", {"findings": found})
files = [paths.tables / f"{name}.csv" for name in (*written, "pairs")]
files += [paths.root / "findings.json", *record.written(paths.figures, "*.[ps][nv]g")]
record.complete(*files, common=int(common.sum()))
print("wrote", record.path.name, *(file.name for file in files))

# %% [markdown]
# ## What we saw
#
# Whether two checkpoints of a model that this project did not build look at the same places, between
# what the method itself adds and how unlike maps can get. A small change is no proof that the
# reasons are good, only that they stayed.
#
# `make audit` makes the page for those who open no notebook, `audit-<name>/report/index.html`: it opens
# from disk, has every film with its maps before and after, and links to this notebook. After a run in
# Jupyter, `.venv/bin/python -m lib audit-report <folder of the audit>` makes it.
