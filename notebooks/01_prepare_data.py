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
# # 1 · Prepare the data
#
# *Which films does the study see, who is in which split, and could a classifier tell the classes
# apart without looking at disease?*
#
# Fine-tuning can only change *why* a model decides if there is something to decide. This notebook
# turns a source of films (drawn phantoms, a folder of class folders, or a manifest) into one table
# and one array per input size, with no patient on two sides of a split, and then asks a deliberately
# weak model how far it gets.

# %% [markdown]
# **Reads** the parameters of the study and its films.
# **Writes** `data/manifest.csv`, `data/images_<size>.npy`, `data/rejected.csv`,
# `data/measures.csv`, `data/duplicates.csv` and `data/audit.json`.

# %%
import numpy as np
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, load_stage, resolve
from lib.study.progress import counter
from lib.data import cache as image_cache, index as data
from lib.data.audit import duplicates, probes, summary as audit
from lib.data.audit.measures import COLUMNS, measure
from lib.data.phantoms.cohort import write_cohort
from lib.data.privacy import pseudonymise, read_salt
from lib.data.splits import assign_splits, check_counts
from lib.figures import pictures, style
from lib.figures.data_audit import measure_boxes, probe_bars

# %% [markdown]
# ## Parameters
#
# `study` names a file in `params/`; `settings` replaces single values of it, for example
# `{"data": {"source": "/films/manifest.csv"}}`.

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"

# %% [markdown]
# They are checked before anything else happens: an unknown key or an impossible value stops here.

# %%
params = load_stage(study, "prepare", settings)
paths = StudyPaths(results, params.study)
record = artefacts.begin(paths.manifest, parameters=params.dump())
style.style()
pd.Series(params.table(), name="value").to_frame()

# %% [markdown]
# ## The films
#
# Phantoms are drawn into PNG files first, so that they enter through the same door as real films.
# A phantom is a synthetic frontal chest radiograph whose anatomy varies by patient, and whose lungs
# and lesion are known exactly. It is not a real patient and proves nothing about real patients; it
# is where one knows what the evidence *is*.

# %%
source = resolve(params.data.source)
if params.data.source == "phantom":
    source = write_cohort(
        params.data.phantom,
        paths.data / "phantoms",
        classes=params.classes,
        seed=derive(params.seed, "cohort"),
    )
names = params.data.model_dump(include={"labels", "other_labels"})
index = data.read_index(source, classes=params.classes, **names)
salt = read_salt(params.data.salt_file)
print(f"{len(index)} films of {index['patient_id'].nunique()} patients are listed")

# %% [markdown]
# Every file is decoded once, and measured while it is there, after the remedies of the parameters
# (none by default; [A3](A3_data_remedies.ipynb) tries them). What cannot be read is not dropped
# silently: it is listed with its reason in `rejected.csv`.

# %%
root = source if source.is_dir() else source.parent
accepted, rejected = image_cache.build(
    index, root, sizes=[*params.sizes, *params.native_sizes], aspect=params.data.aspect,
    folder=paths.data, remedies=params.data.remedies, views=params.data.views, measure=measure,
    shareable=params.data.shareable, progress=counter("films"),
)  # fmt: skip

# %% [markdown]
# An interrupted run of this notebook goes on here with the films that are still missing.

# %% tags=["nbval-check-output"]
print(f"{len(accepted)} films accepted, {len(rejected)} rejected, sides {params.sizes} px")
assert len(accepted) + len(rejected) == len(index)

# %% [markdown]
# ## Films that occur twice
#
# Collections copy from one another. Files of equal bytes are found by their hash, and the same
# picture in another format, size or exposure by a hash of its look. One film under two labels means
# that a label is wrong, and stops here unless a parameter says otherwise.

# %% tags=["nbval-check-output"]
twice = params.data.duplicates
accepted, dropped = duplicates.resolve(
    accepted, conflicting=twice.conflicting_labels, copies=twice.copies
)
rejected = pd.concat([rejected, dropped], ignore_index=True)
pairs = duplicates.find(accepted, accepted["phash"], distance=twice.distance)
measured = accepted[["image_id", *COLUMNS]]
accepted = accepted.drop(columns=list(COLUMNS))
print(f"{len(dropped)} copies left out, {pairs['identical'].sum()} kept,", end=" ")
print(f"{(~pairs['identical']).sum()} pairs of near-duplicates")

# %% [markdown]
# ## Splits
#
# Patients, not films, are dealt to training, validation and test, within each class. Two films of
# one patient on two sides would let a model pass by recognising the patient; so would two copies of
# one film, which are kept together too.

# %%
linked = pairs if twice.near == "group" else pairs[pairs["identical"]]
groups = duplicates.groups(accepted, linked)
manifest = assign_splits(
    accepted, fractions=params.data.split.model_dump(), seed=derive(params.seed, "split"),
    groups=groups, leakage=params.data.leakage,
)  # fmt: skip
manifest = image_cache.build_masks(
    manifest, root, sizes=params.sizes, aspect=params.data.aspect, folder=paths.data,
    remedies=params.data.remedies,
)  # fmt: skip

# %% [markdown]
# A study with a planted shortcut marks the films of one class. The same phantoms are then drawn once
# more with markers that carry no information, row by row: to fine-tune without the shortcut.

# %%
if params.planted:
    harmless = params.data.phantom.model_copy(update={"shortcut": 0.0})
    folder, seed = paths.data / "corrected", derive(params.seed, "cohort")
    twin = write_cohort(harmless, folder / "phantoms", classes=params.classes, seed=seed)
    twins = data.read_index(twin, classes=params.classes)
    assert list(twins["image_id"]) == list(index["image_id"])
    image_cache.build(
        twins, twin.parent, sizes=params.sizes, aspect=params.data.aspect, folder=folder,
        remedies=params.data.remedies,
    )  # fmt: skip

# %% [markdown]
# Where the study has a salt, names and ids go no further than this: the tables carry keyed hashes.

# %%
if salt:
    sources = params.data.source_columns
    manifest, rejected = pseudonymise(manifest, rejected, salt=salt, keep=sources)
    # The hash of its look would find a film again in any other collection.
    measured = measured.assign(image_id=manifest["image_id"]).drop(columns="phash")

# %% [markdown]
# How many films and patients of each class are in each split.

# %% tags=["nbval-check-output"]
counts = check_counts(manifest, classes=params.classes)
print(counts.to_string(index=False))

# %% [markdown]
# ## What the films look like
#
# Films of two patients of each class. They appear only where the data are marked as shareable
# (phantoms always are); where masks exist, the thin outline is the lung and the thick one the
# lesion.

# %%
shown = manifest.drop_duplicates("patient_id").groupby("label", sort=False).head(2)
cache = image_cache.load(paths.images(max(params.sizes)))
masks = {
    name: np.load(paths.data / f"{file}_{max(params.sizes)}.npy", mmap_mode="r")[shown["row"]]
    for name, file in (("lungs", "lungs"), ("lesions", "lesion"))
    if f"has_{file}" in manifest
}
if params.show_films:
    figure = pictures.film_sheet(
        cache[shown["row"]], labels=shown["label"], ids=shown["image_id"], **masks
    )
    style.save(figure, paths.figures / "films")
    display(figure)

# %% [markdown]
# Read each row from left to right. In phantoms the five patterns are those a radiologist would
# name: a lobar consolidation, a reticulation of both lungs, peripheral ground glass in the lower
# zones, nodules and cavities near the apex, and none of these.

# %% [markdown]
# ## Is there a short cut?
#
# A linear model on 32 × 32 thumbnails sees framing, exposure and gross anatomy, hardly a lesion.
# If it comes near the trained networks, then their accuracy says little about disease.

# %% tags=["nbval-check-output"]
films = image_cache.load(paths.images(min(params.sizes)))
small = probes.thumbnails((films[row] for row in manifest["row"]), 32)
folds = probes.possible_folds(accepted.assign(patient_id=groups))
how = {"folds": folds, "seed": derive(params.seed, "probe")}
probe = probes.thumbnail_probe(small, manifest["label"], groups, **how)
print(f"balanced accuracy of the linear probe {probe['balanced_accuracy']:.2f},", end=" ")
print(f"chance {probe['chance']:.2f}")

# %% [markdown]
# Further probes are shown less still: numbers of shape and exposure, the outermost pixels, or the
# file without its picture. Whatever these reach, no network needs to look at lungs for it.

# %%
all_probes = probes.all_probes(manifest, measured, small, groups=groups, **how)
display(probe_bars(all_probes | {"thumbnail_32": probe}))

# %% [markdown]
# A bar well above the dashed line of chance is a short cut that the classes offer. The next figure
# shows the strongest measures by class; boxes that hardly overlap are such a short cut.

# %%
display(measure_boxes(manifest, measured))

# %% [markdown]
# The audit puts this beside counts, duplicates and proportions, and says in words what to worry
# about.

# %% tags=["nbval-check-output"]
summary = audit.summarise(
    manifest, rejected, probe, measures=measured, probes=all_probes, pairs=pairs,
    sources=params.data.source_columns,
)  # fmt: skip
for finding in summary["findings"]:
    print(f"{finding['severity']}: {finding['text']}")

# %% [markdown]
# ## Write

# %%
tables = {
    "rejected": rejected,
    "measures": measured,
    "duplicates": duplicates.describe(manifest, pairs),
}
artefacts.write_table(paths.manifest, manifest)
for name, table in tables.items():
    artefacts.write_table(paths.data / f"{name}.csv", table)
artefacts.write_json(paths.data / "audit.json", summary)
files = [paths.images(size) for size in (*params.sizes, *params.native_sizes)]
files += [paths.corrected(size) for size in params.sizes if params.planted]
files += [paths.data / "audit.json"]
record.complete(*files, *(paths.data / f"{name}.csv" for name in tables))
print("wrote", ", ".join(p.name for p in (paths.manifest, *files)), *(f"{n}.csv" for n in tables))

# %% [markdown]
# ## What we saw
#
# The films are in one table with one row each, no patient is on two sides, and the linear probe
# says how much of the task needs no disease at all. Every later accuracy is to be read beside it.
#
# Next: [2 · Transfer](02_transfer.ipynb), or before it
# [0 · Pre-train on a source task](00_pretrain_source.ipynb). Back to the [index](00_index.ipynb).
