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
# # 3 · Fine-tune, or pretend to
#
# *What changes when the backbone may learn, and what would have changed anyway?*
#
# Stage two starts from the transfer checkpoint and lets the backbone learn. With
# `mode = "placebo"` the same notebook runs the same optimiser over the same films in the same order
# for the same number of steps, but with the backbone frozen. Drift from transfer to placebo is what
# further training of the head alone does; only drift beyond it can be the backbone's. In a study
# with a planted shortcut, `mode = "corrected"` fine-tunes on the same films with markers that no
# longer tell the class: evidence *should* move then. With `mode = "shuffled"` it learns from labels
# of other films, for as many steps: what moves then moves without anything to learn about disease.
# `mode = "restarted"` is the fine-tuning from another transfer checkpoint, its `base`.

# %% [markdown]
# **Reads** `models/<architecture>/transfer-s<seed>.keras`, the manifest and the films; controls
# also the learning curve of their fine-tuning, and the placebo the features of the frozen backbone.
# **Writes** `models/<architecture>/<mode>-s<seed>.keras` with learning curve and
# predictions; with `follow` also the weights after every epoch.

# %%
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, load_stage
from lib.study.names import MATCHED
from lib.data import batches, cache as image_cache
from lib.models import backbones, convergence, performance, training, training_loop
from lib.models.convergence import ENDINGS
from lib.figures import style, training as training_plots

# %% [markdown]
# ## Parameters
#
# `seed` changes the order of the films, dropout and augmentation; the starting point stays the same.

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"
architecture = "resnet50v2"
base = "transfer-s0"
seed = 0
mode = "finetune"
follow = True

# %% [markdown]
# Batch-norm mode is a parameter, not an accident: by default the statistics stay those of the
# transfer checkpoint, so that a change of maps is not just a change of normalisation.

# %%
params = load_stage(study, "finetune", settings)
paths = StudyPaths(results, params.study)
name, size = f"{mode}-s{seed}", params.input_size[architecture]
before = paths.checkpoint(architecture, base)
matched = mode in MATCHED
tuned = [paths.checkpoint(architecture, f"finetune-s{seed}")] if matched else []
record = artefacts.begin(
    paths.checkpoint(architecture, name),
    parameters=params.dump() | {"architecture": architecture, "seed_of_run": seed, "mode": mode},
    inputs=[paths.manifest, before, *tuned],
)
backbones.configure(params.runtime, seed=derive(params.seed, "finetune", architecture, seed))
style.style()
pd.Series(params.table(), name="value").to_frame()

# %% [markdown]
# ## Films and starting point

# %% tags=["nbval-check-output"]
manifest, cache = artefacts.read_table(paths.manifest), image_cache.load(paths.images(size))
seen = image_cache.load(paths.corrected(size)) if mode == "corrected" else cache
parts = {
    split: batches.films(seen, manifest, splits=[split], classes=params.classes)
    for split in ("train", "validation")
}
model = backbones.build(
    architecture, size=size, classes=len(params.classes), dropout=params.transfer.dropout
)
backbones.load_weights(model, before)
print(f"{mode} from {base}, {len(parts['train'])} training films")

# %% [markdown]
# ## Train
#
# The rate warms up from zero: a fresh optimiser at full rate can throw away what the backbone knew
# before it learns anything. The fine-tuning keeps the epoch with the lowest validation loss. The
# placebo and the training on shuffled labels select nothing; they stop after the number of epochs
# that their fine-tuning kept.

# %%
run = training.Run(
    train=parts["train"],
    validation=parts["validation"],
    params=params.finetune,
    classes=params.classes,
    runtime=params.runtime,
    seed=derive(params.seed, "finetune", seed),
    state=record.path.with_suffix(".state"),
    epochs=paths.epochs(architecture, name) if follow else None,
    key=record.key,
)

# %% [markdown]
# A frozen backbone gives every film the same features in every epoch: the placebo trains its head on
# those of the transfer stage.

# %%
if matched:
    kept = training.kept_epoch(paths.history(architecture, f"finetune-s{seed}"))
if mode == "placebo":
    features = artefacts.read_array(paths.features(architecture, base))
    history = training.train_placebo(model, run, kept_epoch=kept, features=features)
elif mode == "shuffled":
    history = training.train_shuffled(model, run, kept_epoch=kept)
else:
    history = training.train_finetune(model, run)
start = artefacts.read_table(paths.history(architecture, base))
ending = convergence.ending(name, history, start)
print(f"{name}: {ending} ({ENDINGS[ending]})")

# %%
curve = history.assign(architecture=architecture, checkpoint=name)
display(training_plots.learning_curves(curve))

# %% [markdown]
# Look at the first epoch: a validation loss above that of the transfer checkpoint means that the
# fine-tuning first destroyed something. Look at the mark, the epoch that was kept, and at the line
# above, which says how the training ended by the rule that was stated before it.

# %% [markdown]
# ## How good is it?

# %%
held_out = batches.films(cache, manifest, splits=("validation", "test"), classes=params.classes)
if mode != "placebo":
    logits = training_loop.predict(model, held_out, batch_size=params.finetune.batch_size)
else:
    logits = training.head_logits(model, features[held_out.rows])
rows = manifest[manifest["split"].isin(("validation", "test"))]
predictions = performance.prediction_table(rows, logits, classes=params.classes)
after = performance.by_split(predictions, classes=params.classes)
start = artefacts.read_table(paths.predictions(architecture, base))
start = performance.by_split(start, classes=params.classes)
pd.concat({base: start, name: after}, names=["checkpoint"]).round(3)

# %% [markdown]
# A gain of the fine-tuning over transfer says that the backbone learnt something the source task
# had not taught. It does not say that it looks elsewhere: for that, see the maps.

# %% [markdown]
# ## Write

# %%
with artefacts.atomic(record.path) as temporary:
    model.save(temporary, include_optimizer=False)
artefacts.write_table(paths.history(architecture, name), history)
artefacts.write_table(paths.predictions(architecture, name), predictions)
epochs = sorted(paths.epochs(architecture, name).glob("epoch-*.npz")) if follow else []
record.complete(paths.history(architecture, name), paths.predictions(architecture, name), *epochs)
print("wrote", record.path.name, "with learning curve and predictions;", len(epochs), "epochs")

# %% [markdown]
# ## What we saw
#
# Two checkpoints that share a starting point and differ in whether the backbone moved. Next:
# [4 · Attribute](04_attribute.ipynb) asks each of them for its evidence. Back:
# [2 · Transfer](02_transfer.ipynb), [index](00_index.ipynb).
