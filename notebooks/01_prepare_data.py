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
# **Writes** `data/manifest.csv`, `data/images_<size>.npy`, `data/rejected.csv` and
# `data/audit.json`.

# %%
import numpy as np
import pandas as pd

from lib import artefacts, audit, data, image_cache, looks, pictures, probes, splits
from lib.cohort import write_cohort
from lib.paths import StudyPaths, resolve
from lib.seeds import derive
from lib.studies import load_stage

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
looks.style()
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
index = data.read_index(source, classes=params.classes)
print(f"{len(index)} films of {index['patient_id'].nunique()} patients are listed")

# %% [markdown]
# Every file is decoded once. What cannot be read is not dropped silently: it is listed with its
# reason in `rejected.csv`.

# %% tags=["nbval-check-output"]
root = source if source.is_dir() else source.parent
accepted, rejected = image_cache.build(
    index, root, sizes=params.sizes, aspect=params.data.aspect, folder=paths.data
)
print(f"{len(accepted)} films accepted, {len(rejected)} rejected, sides {params.sizes} px")
assert len(accepted) + len(rejected) == len(index)

# %% [markdown]
# ## Splits
#
# Patients, not films, are dealt to training, validation and test, within each class. Two films of
# one patient on two sides would let a model pass by recognising the patient.

# %%
manifest = splits.assign_splits(
    accepted, fractions=params.data.split.model_dump(), seed=derive(params.seed, "split")
)
manifest = image_cache.build_masks(
    manifest, root, sizes=params.sizes, aspect=params.data.aspect, folder=paths.data
)

# %% tags=["nbval-check-output"]
counts = splits.check_counts(manifest, classes=params.classes)
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
    looks.save(figure, paths.figures / "films")
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
probe = probes.thumbnail_probe(
    image_cache.load(paths.images(min(params.sizes))),
    manifest["label"],
    manifest["patient_id"],
    folds=probes.possible_folds(manifest),
    seed=derive(params.seed, "probe"),
)
print(f"balanced accuracy of the linear probe {probe['balanced_accuracy']:.2f},", end=" ")
print(f"chance {probe['chance']:.2f}")

# %% [markdown]
# The audit puts this beside counts, duplicates and proportions, and says in words what to worry
# about.

# %% tags=["nbval-check-output"]
summary = audit.summarise(manifest, rejected, probe)
for finding in summary["findings"]:
    print(f"{finding['severity']}: {finding['text']}")

# %% [markdown]
# ## Write

# %%
artefacts.write_table(paths.manifest, manifest)
artefacts.write_table(paths.data / "rejected.csv", rejected)
artefacts.write_json(paths.data / "audit.json", summary)
files = [paths.images(size) for size in params.sizes]
record.complete(*files, paths.data / "rejected.csv", paths.data / "audit.json")
print("wrote", ", ".join(p.name for p in (paths.manifest, *files)), "rejected.csv, audit.json")

# %% [markdown]
# ## What we saw
#
# The films are in one table with one row each, no patient is on two sides, and the linear probe
# says how much of the task needs no disease at all. Every later accuracy is to be read beside it.
#
# Next: [2 · Transfer](02_transfer.ipynb), or before it
# [0 · Pre-train on a source task](00_pretrain_source.ipynb).
