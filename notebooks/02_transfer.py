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
# # 2 · Transfer: a new head on a frozen backbone
#
# *How well can the classes be told apart by what the backbone already knew?*
#
# Stage one trains a single dense layer on the pooled features of a frozen backbone. Whatever the
# classifier looks at here was chosen by the source task, not by chest films. This checkpoint is the
# "before" of the whole study.

# %% [markdown]
# **Reads** `data/manifest.csv`, `data/images_<size>.npy` and the source weights.
# **Writes** `models/<architecture>/transfer-s<seed>.keras` with its learning curve, predictions
# and pooled features.

# %%
import numpy as np
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, load_stage
from lib.data import batches, cache as image_cache
from lib.models import backbones, convergence, layers, performance, training
from lib.models.weights import builder_weights, weights_file
from lib.figures import style, training as training_plots

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"
architecture = "resnet50v2"
seed = 0

# %% [markdown]
# Every purpose (head weights, order of films, dropout) has a seed of its own, derived from the
# study's seed and this run's `seed`.

# %%
params = load_stage(study, "transfer", settings)
paths = StudyPaths(results, params.study)
name, size = f"transfer-s{seed}", params.input_size[architecture]
source = weights_file(architecture, params.weights, paths, seed=params.seed)
recorded = [source] if params.weights.source in ("drawn", "fractal") else []
record = artefacts.begin(
    paths.checkpoint(architecture, name),
    parameters=params.dump() | {"architecture": architecture, "seed_of_run": seed},
    inputs=[paths.manifest, *recorded],
)
backbones.configure(params.runtime, seed=derive(params.seed, "transfer", architecture, seed))
style.style()
pd.Series(params.table(), name="value").to_frame()

# %% [markdown]
# ## Films

# %% tags=["nbval-check-output"]
manifest, cache = artefacts.read_table(paths.manifest), image_cache.load(paths.images(size))
parts = {
    split: batches.films(cache, manifest, splits=[split], classes=params.classes)
    for split in ("train", "validation", "test")
}
print({split: len(films) for split, films in parts.items()}, f"at {size} px")

# %% [markdown]
# ## The model
#
# One flat graph: the backbone from `keras.applications` with its own preprocessing, global average
# pooling, dropout, and a dense layer that returns logits.

# %% tags=["nbval-check-output"]
model = backbones.build(
    architecture,
    size=size,
    classes=len(params.classes),
    dropout=params.transfer.dropout,
    weights=builder_weights(architecture, params.weights, paths, seed=params.seed),
)
for role, layer in layers.role_layers(model, architecture).items():
    print(f"{role}: {layer.output.shape[1:]}")

# %% [markdown]
# These layers are where attribution will look later. They are found by position, and their
# channels are asserted.
#
# Weights from another domain bring batch-norm statistics of that domain. With a frozen backbone they
# would stay wrong for good, so they are computed anew on training films (Li et al. 2016).

# %%
if params.weights.recalibrate_batch_norm:
    films = batches.sample(parts["train"], 320, seed=derive(params.seed, "recalibrate"))
    count = backbones.recalibrate_batch_norm(
        model, (x for x, *_ in batches.batches(films, batch_size=32))
    )
    print(f"{count} batch normalisations recalibrated on {len(films)} training films")

# %% [markdown]
# ## Train the head
#
# A frozen backbone gives the same pooled features of a film in every epoch: they are computed once,
# and (without augmentation) the head alone is trained on them. The epoch with the lowest validation
# loss is kept.

# %%
batch_size = params.transfer.batch_size
features = training.pooled_features(model, cache, batch_size=batch_size)
run = training.Run(
    train=parts["train"],
    validation=parts["validation"],
    params=params.transfer,
    classes=params.classes,
    runtime=params.runtime,
    seed=derive(params.seed, "transfer", seed),
    state=record.path.with_suffix(".state"),
    key=record.key,
)
history = training.train_transfer(model, run, features=features)
print(f"{name}: {convergence.ending(name, history, history)}")

# %%
curve = history.assign(architecture=architecture, checkpoint=name)
display(training_plots.learning_curves(curve))

# %% [markdown]
# Dashed is the training loss, solid the validation loss; the mark is the epoch that was kept. If
# the two separate early, the head has too much freedom for so few films. The line above says whether
# the training converged: whether the validation loss was flat, within the tolerance, for as many
# epochs as `transfer.patience`. If not, the "before" is weaker than it had to be.

# %% [markdown]
# ## How good is it?
#
# On validation films (used to choose the epoch) and on test films (never used until here).

# %%
held_out = batches.films(cache, manifest, splits=("validation", "test"), classes=params.classes)
logits = training.head_logits(model, features[held_out.rows])
rows = manifest[manifest["split"].isin(("validation", "test"))]
predictions = performance.prediction_table(rows, logits, classes=params.classes)
table = performance.by_split(predictions, classes=params.classes)
table.round(3)

# %% [markdown]
# Compare the macro AUC with the linear probe of notebook 1. A backbone that is no better knows no more
# of these films than a thumbnail does. One that is perfect leaves fine-tuning nothing to change.

# %% [markdown]
# ## Write

# %%
with artefacts.atomic(record.path) as temporary:
    model.save(temporary, include_optimizer=False)
with artefacts.atomic(paths.features(architecture, name)) as temporary:
    np.save(temporary, features)
artefacts.write_table(paths.history(architecture, name), history)
artefacts.write_table(paths.predictions(architecture, name), predictions)
files = paths.history, paths.predictions, paths.features
record.complete(*(file(architecture, name) for file in files))
print("wrote", record.path.name, "with learning curve, predictions and features")

# %% [markdown]
# ## What we saw
#
# The "before": a classifier whose evidence was chosen elsewhere. Next:
# [3 · Fine-tune](03_finetune.ipynb), from exactly this checkpoint. Back: [1 · Data](01_prepare_data.ipynb),
# [index](00_index.ipynb).
