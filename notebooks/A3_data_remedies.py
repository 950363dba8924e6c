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
# # A3 · Do remedies take the short cuts away?
#
# *How far does a linear model come that sees no disease, before and after each remedy?*
#
# A remedy is a change of every film that should make the sources of a collection look alike: one
# resolution, no border, one window of intensity, one shape. It is worth its loss only if it takes
# something away from a model that can see nothing else. And a **control** hides the lungs, or all
# but the lungs: what a model reaches without them is not disease (Maguolo & Nanni 2021).

# %% [markdown]
# **Reads** the parameters and the films; the tables of two studies where drift is compared.
# **Writes** `tables/remedies.csv`, `tables/remedies_drift.csv` and `figures/remedies`.

# %%
from lib.study import StudyPaths, artefacts, derive, load_stage, resolve
from lib.study.progress import counter
from lib.data import index as data
from lib.data.audit import trials as remedy_trials
from lib.data.films.treat import has_masks
from lib.drift import summaries
from lib.figures import style
from lib.figures.data_audit import trial_dots

# %% [markdown]
# ## Parameters
#
# `before` names a results folder with the same study as it was without remedies
# (`make remedies RESULTS=after BEFORE=before`); without it drift is not compared.

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"
before = ""

# %%
params = load_stage(study, "remedies", settings)
paths = StudyPaths(results, params.study)
record = artefacts.begin(
    paths.tables / "remedies.csv", parameters=params.dump(), inputs=[paths.manifest]
)
style.style()

# %% [markdown]
# ## The trials
#
# Each is a change of the section `data` of the parameters, made by itself on films that are
# otherwise as they are. Trials that need masks of the lungs are left out where there are none.

# %% tags=["nbval-check-output"]
source = resolve(params.data.source)
if params.data.source == "phantom":
    source = paths.data / "phantoms" / "phantoms.csv"
names = params.data.model_dump(include={"labels", "other_labels"})
index = data.read_index(source, classes=params.classes, **names)
trials = remedy_trials.trials_of(params.data, masks=has_masks(index))
for name, changed in trials.items():
    print(f"{name:28s} aspect {changed.aspect}; {changed.remedies.in_words()}")

# %% [markdown]
# ## The probes
#
# Patients and near-duplicates stay in one fold, and the folds are the same for every trial: only
# the pixels differ. Shape and format of the *file* are not asked again, since no remedy of pixels
# can change them; a model does not see them either.

# %%
table = remedy_trials.probe_trials(
    index, source if source.is_dir() else source.parent, trials, size=min(params.sizes),
    folder=paths.data, seed=derive(params.seed, "probe"), report=counter("trials"),
)  # fmt: skip
wide = table.pivot_table(
    index=["kind", "trial"], columns="probe", values="balanced_accuracy", sort=False
)
wide.round(2)

# %%
display(figure := trial_dots(table))
style.save(figure, paths.figures / "remedies")

# %% [markdown]
# Read down from the first row: a mark that moves to the left lost something that told the classes
# apart; one that stays knew it from elsewhere. Below the line, marks far to the right of the dashed
# line of chance say that the region that was left is enough without the one that was hidden.

# %% [markdown]
# ## Drift before and after
#
# The overlap of the strongest cells in two runs of one study. Each is the mean over its own
# support, so the films are not the same and a difference is no paired comparison.

# %%
known = StudyPaths(before, params.study) if before else None
drift = summaries.drift_side_by_side(known, paths if known else None)
drift.round(2) if len(drift) else "no study to compare with"

# %% [markdown]
# ## Write

# %%
artefacts.write_table(record.path, table)
artefacts.write_table(paths.tables / "remedies_drift.csv", drift)
record.complete(
    paths.tables / "remedies_drift.csv",
    *(paths.figures / f"remedies.{suffix}" for suffix in ("png", "svg")),
    films=int(table["films"].iloc[0]),
)
print("wrote", record.path.name, "and remedies_drift.csv")

# %% [markdown]
# ## What we saw
#
# Which remedy takes how much from models that cannot see disease, on these films. What remains after
# all of them together is what no change of pixels of this kind removes; where a control stays far
# above chance, no accuracy on these films shows that the lungs were read.
