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
# # A4 · Audit, second half: did the evidence of your own model move?
#
# *Two versions of one classifier: do they decide for the same reasons?*
#
# The maps come from [the first half](A4_audit_maps.ipynb), which makes them of any two Keras models,
# or from another framework. Nothing here needs to know which.

# %% [markdown]
# **Reads** the folder of a question: `question.json`, `data/manifest.csv`, `maps/<architecture>/*.npz`
# and what the first half wrote to `tables/`.
# **Writes** `tables/*.csv`, `findings.json` and `figures/*` there. `make audit` goes on to
# `report/index.html` in the same folder: the answer on one page, and a browser of all films with
# their maps.

# %%
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, resolve
from lib.study.names import METHOD_TITLES
from lib.data import cache as image_cache
from lib.attribution.maps import blank_tables, load_maps
from lib.drift import cases, pairings, summaries
from lib.drift.priors import prior_table
from lib.evidence import faithfulness
from lib.hypotheses import stated
from lib.figures import drift as drift_plots, pictures, style, training
from lib.checkpoint_audit import classes as class_mapping, findings, lesions, sentences
from lib.checkpoint_audit.questions import CHECKPOINTS, Question

# %% [markdown]
# ## Parameters
#
# The folder of one question; by default that of the first half.

# %% tags=["parameters"]
folder = "results/notebooks/audit-example"

# %%
root = resolve(folder)
paths, question = StudyPaths(root.parent, root.name), Question.read(root)
known, classes, name = question.settings, question.classes, question.architecture
style.style()
pd.Series({"asked": question.title, "classes": ", ".join(classes), "model": name}).to_frame("value")

# %% [markdown]
# ## Films and maps
#
# Of BEFORE there may be two more sets, the controls: explained again, and with permuted weights. Maps
# that were made elsewhere may lack them. Then the floor is not measured, but taken as exact, and the
# other is no control.

# %% tags=["nbval-check-output"]
manifest = artefacts.read_table(paths.manifest)
sets = load_maps(paths, name, ["before", "before_again", "after", "randomised"])
opened = artefacts.read_table(paths.tables / "checkpoints.csv")
explained = [classes[number] for number in sorted(set(sets["before"].label))]
patients = manifest.set_index("image_id")["patient_id"]
style.introduce(name, methods=[method for _, method in sets["before"].maps])
print(f"{len(manifest)} films, maps of {len(sets['before'].label)} of {', '.join(explained)}")

# %% [markdown]
# ## Do the models work, and do their outputs mean what we think?
#
# `best_order` is the assignment of classes to outputs that fits best. Another than the given one,
# and far better: the classes are named in the wrong order. A finding of a multi-label model is named
# where its logit is among the highest, as many as there are films that have it, and judged by its AUC.

# %%
predictions = artefacts.read_table(paths.tables / "predictions.csv")
scores, confusion = findings.score_tables(predictions, classes=classes)
mappings = findings.mappings(predictions, classes=classes, finding=question.finding)
mapping = class_mapping.mapping_table(mappings)
display(mapping.round(3))
scores[["checkpoint", "n", "accuracy", "balanced_accuracy", "macro_auc"]].round(3)

# %%
display(figure := training.confusions(confusion))
style.save(figure, paths.figures / "confusions")

# %% [markdown]
# Rows are true classes. What moves between the two panels are decisions that changed; the primary
# comparison of maps leaves those films out.

# %% [markdown]
# ## Do the maps tell what the prediction rests on?
#
# If not, neither their drift nor their rest says anything about evidence. Cells were blurred, or shown
# on a blurred film, in the order of a map and in a random order; *excess* is how much more the
# probability of the class followed the map: insertion less deletion, minus the same of random maps.
# Maps that are not shown to be better than random ones are marked † below. Maps that were made
# elsewhere cannot be asked without their model.

# %%
faithful = findings.faithful_table(paths.tables)
marked = faithfulness.unfaithful(faithful)
print(sentences.faithfulness_sentence(faithful) or "The maps were not asked.")
faithful[["checkpoint", "role", "method", "films", "excess", "low", "high", "finding"]].round(3)

# %% [markdown]
# Noise, less contrast and blur were put on the films, in several strengths. *Resistance* is how alike a
# map stays where the prediction stays (1 = the same map). *Relevance* is how much more it moves where the
# prediction changes under the same change of the film; a map at 0 does not heed what is predicted.

# %%
file = paths.tables / "perturbed.csv"
steady = artefacts.read_table(file) if file.exists() else pd.DataFrame()
steady.drop(columns=["architecture"], errors="ignore").round(3)

# %% [markdown]
# ## Drift
#
# On the films that both checkpoints classify correctly. Without training there is no placebo: the
# floor is the same checkpoint explained twice, which must overlap by exactly 1, and the ceiling are
# maps of other patients' films of the class.

# %%
main = {name: {checkpoint: sets[checkpoint] for checkpoint in CHECKPOINTS}}
own = summaries.own_support(main)
common = own[name]
support = summaries.support_table(own, sets["before"].label, classes=classes)
# Of one network the common support is its own.
support = support.drop(columns=name)[support["films"] > 0]
print(f"{common.sum()} of {len(common)} films are classified correctly by both")
support

# %% [markdown]
# Every film has the same weight.

# %%
record = artefacts.begin(
    paths.tables / "drift.csv",
    parameters=known | {"classes": list(classes)},
    inputs=[paths.manifest, *(paths.maps(name, kind) for kind in sets)],
)  # fmt: skip
single, strata, pairs = summaries.drift_tables(
    {name: sets}, pairings.audit_pairings(), patients[sets["before"].image_id].to_numpy(), own,
    seed=derive(known["seed"], "ceiling"), pairs_file=paths.tables / "pairs.csv", class_weights=False,
)  # fmt: skip
drift = summaries.over_seeds(single)

# %%
primary = drift.query("metric == 'iou_top20'")
shown = primary.pivot_table(
    index=["role", "method"], columns="pairing", values="mean", sort=False, dropna=False
)
shown.round(2)

# %%
figure = drift_plots.controls(
    drift, between=("explainer", "ceiling"), marked=marked,
    title="Where does the change lie between its controls?",
)  # fmt: skip
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
    first, between=("explainer", "ceiling"), marked=marked,
    title="Did the evidence of this model move?",
)  # fmt: skip
display(figure)
style.save(figure, paths.figures / "answer")

# %% [markdown]
# The change brought to one number: 1 as when explained twice, 0 as maps of unrelated films. Intervals
# are over patients; one pair of checkpoints says nothing about other trainings.

# %%
all_pairs = artefacts.read_table(paths.tables / "pairs.csv")
retained = findings.retained(all_pairs, patients)
retained.query("metric == 'iou_top20'").drop(columns=["metric", "se_seeds", "seeds"]).round(3)

# %% [markdown]
# ## Is any agreement owed to the middle of the film?
#
# Maps that share nothing but a preference for the centre overlap too. These are their means on the
# grids of this model, by simulation.

# %%
sides = {max(stack.shape[1:]) for stack in sets["before"].maps.values()}
grids = sorted({min(side, findings.PRIOR_GRID) for side in sides})
centre = stated.load().H4.prior.model_dump() | {"pairs": findings.PRIOR_PAIRS}
priors = prior_table(grids, **centre, seed=derive(known["seed"], "prior"))
priors.pivot_table(index=["grid", "metric"], columns="prior", values="mean").round(3)

# %% [markdown]
# ## Blank maps and changed decisions
#
# A blank map shows no support for the class at that layer. The second table has all films, by what
# became of the decision.

# %%
blanks = blank_tables({name: sets}, classes=classes)
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
shareable, rows = known["data"]["shareable"], manifest.set_index("image_id")["row"]
rows = rows[sets["before"].image_id].to_numpy()
(images,) = paths.data.glob("images_*.npy")
films = image_cache.load(images)[rows] if shareable else None
sheet = cases.choose_cases(
    sets, pairs.query("pairing == 'change'"), checkpoints=CHECKPOINTS, **cell, films=films,
)  # fmt: skip
if sheet:
    title = f"{name}, {METHOD_TITLES[cell['method']]} at {cell['role']}"
    figure = pictures.case_sheet(sheet, title=title, show_films=shareable, names=CHECKPOINTS)
    display(figure)
    style.save(figure, paths.figures / "cases")

# %% [markdown]
# ## Evidence in the lesion
#
# Where lesions are known (`LESIONS=`), each map says how much of it lies there, and whether its
# highest cell does (the pointing game). By chance that is the area of the lesion, `area`, and for a
# method that prefers the centre, `centre`.

# %%
lesion = pd.DataFrame()
for file in paths.data.glob("lesion_*.npy"):
    outlines = image_cache.load(file)[rows]
    lesion = lesions.lesion_table(
        sets, outlines, classes=classes, patients=patients[sets["before"].image_id]
    )  # fmt: skip
lesion.round(3)

# %% [markdown]
# ## What is to be said first

# %%
measured = findings.measured(all_pairs, predictions, cell=cell, classes=explained)
found = findings.findings(
    sets, mappings, drift, measured=measured, checkpoints=opened, common=common, said=question.said
)  # fmt: skip
for finding in found:
    print(f"{finding['severity']}: {finding['text']}")

# %% [markdown]
# ## Write

# %%
written = {
    "performance": scores, "confusion": confusion, "support": support, "strata": strata,
    "blanks": blanks, "retained": retained, "priors": priors, "measured": measured,
    "mapping": mapping, "lesion": lesion,
}  # fmt: skip
written = {table: frame for table, frame in written.items() if len(frame)}
artefacts.write_table(record.path, drift)
for table, frame in written.items():
    artefacts.write_table(paths.tables / f"{table}.csv", frame)
artefacts.write_json(paths.root / "findings.json", {"findings": found})
files = sorted(file for file in paths.tables.glob("*.csv") if file != record.path)
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
