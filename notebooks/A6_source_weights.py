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
# # A6 · Source weights: bring a checkpoint, check it, use it
#
# *What does the backbone have to know before the transfer stage, and how does a public checkpoint get
# in?*
#
# A study that starts from weak weights cannot be read: its networks fail, and its maps are blank. So
# measure a source before you train on it. The measure is a linear probe, a logistic regression on the
# pooled features of the frozen backbone: it is what the transfer stage can reach.

# %% [markdown]
# **Reads** the manifest, the films, the shipped weights, and a weights file of your own if you name
# one. **Writes** nothing but a copy of the shipped weights, which stands in for a public file.

# %%
import numpy as np
import pandas as pd

from lib.study import StudyPaths, artefacts, load_stage
from lib.data import cache as image_cache
from lib.models import backbones, linear_probe
from lib.models.weights import shipped_file

# %% [markdown]
# ## Parameters
#
# `file` is a Keras weights file of the backbone without its head: `.weights.h5`, or the `.h5` that
# `keras.applications` publishes. Without one the shipped weights are written as such a file, so that
# this notebook runs anywhere.

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"
architecture = "resnet50v2"
file = ""

# %%
params = load_stage(study, "transfer", settings)
paths = StudyPaths(results, params.study)
size = params.input_size[architecture]
backbones.configure(params.runtime, seed=params.seed)
manifest = artefacts.read_table(paths.manifest)
films = np.asarray(image_cache.load(paths.images(size)))
train = np.flatnonzero(manifest["split"] == "train")
print(f"{len(manifest)} films, {len(train)} of them to train on")

# %% [markdown]
# ## Bring it in
#
# A file is read into Keras's own architecture, layer by layer. What does not fit is refused with the
# name of the layer, and nothing in it is executed.

# %%
known = backbones.build_backbone(architecture, size=size, weights=str(shipped_file(architecture)))
own = bool(file)
if not own:
    file = str(paths.root / f"weights/{architecture}.weights.h5")
    (paths.root / "weights").mkdir(parents=True, exist_ok=True)
    known.save_weights(file)
brought = backbones.build_backbone(architecture, size=size, weights=file)

# %% [markdown]
# ## Check it
#
# The pictures that a network has learnt from are scaled in one of three ways, and a file does not say
# in which. The builders here scale as `keras.applications` does for this architecture. A file from
# elsewhere can need another scaling: its probe is then poor, whatever it has learnt.

# %%
candidates = {"the file": brought, "random": backbones.build_backbone(architecture, size=size)}
candidates |= {"shipped (drawn radiographs)": known} if own else {}
probes = {
    name: linear_probe.probe(linear_probe.features(backbone, films, train), manifest)
    for name, backbone in candidates.items()
}
measured = pd.DataFrame(probes).T[["macro_auc", "balanced_accuracy", "train", "test"]]
measured.astype(float).round(3)

# %% [markdown]
# The row *random* is what the architecture can do without having learnt anything. A source that is no
# better than that will not make a study. Compare on the films of *your* study, and on many: on the
# few films of the smoke study every row is rough.

# %% tags=["nbval-check-output"]
worth = measured["macro_auc"].astype(float)
print("the file is better than random weights:", bool(worth["the file"] > worth["random"]))

# %% [markdown]
# ## Use it
#
# A study starts from the file when its parameters say so, in `params/<study>.yml` or on the command
# line. The hash of the file goes into the record of every checkpoint that was trained from it.

# %%
print(f'SET="weights.source=file weights.files.{architecture}=/path/to/file.weights.h5 \\')
print(f'     architectures=[{architecture}]"')

# %% [markdown]
# One architecture by itself is a study too. Without `architectures=` a file is needed for each.
#
# ## What we saw
#
# How to tell a source that a study can stand on from one that it cannot, before any training.
# Back: [2 · Transfer](02_transfer.ipynb), [index](00_index.ipynb).
