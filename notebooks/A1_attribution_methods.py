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
# # A1 · What an attribution map is made of
#
# *How do activations and gradients become a map, why do two methods sometimes coincide, and what
# can make a map blank or wrong?*
#
# One film, one checkpoint, everything by hand. Nothing here is needed to run the study; it is here
# so that nobody has to take a map on trust.

# %% [markdown]
# **Reads** a checkpoint, its maps and the films of notebooks 1 to 4. **Writes** nothing.

# %%
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.study import StudyPaths, artefacts, load_stage, names
from lib.data import batches, cache
from lib.models import backbones, layers
from lib.attribution import formulas
from lib.attribution.maps import MapSet
from lib.attribution.shared_pass import activations_and_gradients
from lib.drift import metrics
from lib.figures import appendix, style

# %% [markdown]
# ## Parameters
#
# `image_id` chooses another film of the test split; by default it is the first diseased one that
# the checkpoint classifies correctly.

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"
architecture = "resnet50v2"
checkpoint = "transfer-s0"
image_id = ""

# %%
params = load_stage(study, "attribute", settings)
paths = StudyPaths(results, params.study)
size = params.input_size[architecture]
backbones.configure(params.runtime, seed=params.seed)
style.style()
model = backbones.build(architecture, size=size, classes=len(params.classes))
backbones.load_weights(model, paths.checkpoint(architecture, checkpoint))
explained = layers.role_layers(model, architecture)

# %% [markdown]
# ## The film

# %%
manifest = artefacts.read_table(paths.manifest).query("split == 'test'").reset_index(drop=True)
maps = MapSet.load(paths.maps(architecture, checkpoint))
right = (maps.logits.argmax(axis=1) == maps.label) & (manifest["label"] != "normal")
index = int(np.argmax(manifest["image_id"] == image_id if image_id else right))
label = int(maps.label[index])
row = batches.films(
    cache.load(paths.images(size)), artefacts.read_table(paths.manifest), splits=["test"],
    classes=params.classes,
).rows[index]  # fmt: skip
film = cache.load(paths.images(size))[row]
print(f"film {maps.image_id[index]}, explained class: {params.classes[label]}")

# %% [markdown]
# ## Two ingredients
#
# A layer turns the film into K pictures on a coarse grid, its **activations** A. The **gradient** g
# of the class's score with respect to A says how the score would change if a place of a channel
# were a little stronger. Both have the same shape, and every method here is a way to combine them.

# %%
run = activations_and_gradients(model, list(explained.values()))
pixels = batches.pixels(film[None])
logits, activations, gradients = run(pixels, tf.constant([label]))
parts = {
    role: (a.numpy(), g.numpy())
    for role, a, g in zip(explained, activations, gradients, strict=True)
}
pd.DataFrame({role: [*a.shape[1:]] for role, (a, _) in parts.items()}, ["h", "w", "channels"])

# %% [markdown]
# LayerCAM multiplies activation and positive gradient place by place and adds up all channels:

# %%
a, g = (x[0] for x in parts["auto_conv"])
display(appendix.channels(a, g, title="LayerCAM at auto_conv, channel by channel"))

# %% [markdown]
# Rows are the channels that add most; the columns are the activation, the gradient, and what the
# channel contributes. Blue is negative. `auto_conv` is a convolution before its activation
# function, so activations can be negative, and where they outweigh the rest the sum is cut off at 0.
# If that happens everywhere, the map is **blank**: there is no evidence *for* the class at this
# layer, which is a finding and not a fault.

# %% [markdown]
# ## Three methods

# %%
shown = film if params.show_films else None
a, g = parts["post_activation"]
three = {
    names.METHOD_TITLES[name]: getattr(formulas, name)(a, g)[0]
    for name in ("layercam", "gradcam_plus_plus", "gradcam")
}
display(appendix.strip(three, title="post_activation, three methods", film=shown))

# %% [markdown]
# At the pooled map the first two are the same picture, and that is no accident.

# %% [markdown]
# ## Why two methods coincide at the pooled map
#
# Global average pooling gives every place of a channel the same weight, and the head is linear. So
# the gradient of a logit with respect to the pooled map is *one number per channel*, the same at
# every place. With constant g, the normalised α of Grad-CAM++ is constant too, its weight becomes
# ReLU(g), and the sum is that of LayerCAM. Elsewhere the gradient varies and the methods part:

# %% tags=["nbval-check-output"]
for role, (a, g) in parts.items():
    spread = g.std(axis=(1, 2)).max() / np.abs(g).max()
    one, two = (f(a, g) for f in (formulas.layercam, formulas.gradcam_plus_plus))
    gap = np.abs(one / max(one.max(), 1e-30) - two / max(two.max(), 1e-30)).max()
    print(f"{role:16s} gradient varies: {spread > 1e-6!s:5}  methods differ: {gap > 1e-4}")

# %% [markdown]
# Whatever ranking of architectures one finds with LayerCAM at the pooled map, Grad-CAM++ must show
# the same there. A reversal between the two methods can only come from another layer.

# %% [markdown]
# ## What `penultimate_layer=-1` picks
#
# tf-keras-vis walks back from the end to the last `Conv2D` in the list of layers. In a plain chain
# of convolutions that is the last map. In these backbones it is a branch:

# %% tags=["nbval-check-output"]
facts = {}
for name, side in params.input_size.items():
    backbone = backbones.build(name, size=side, classes=2)
    roles, trunk = layers.role_layers(backbone, name), layers.feeding(backbone)["logits"]
    facts[name] = {
        "channels picked": roles["auto_conv"].output.shape[-1],
        "channels pooled": roles["post_activation"].output.shape[-1],
        "all evidence passes through": roles["auto_conv"].name in trunk,
    }
print(pd.DataFrame(facts).T)

# %% [markdown]
# In DenseNet201 it is the last 32 of the 1920 channels that are pooled, in InceptionV3 the pooling
# branch of the last block, 192 of 2048, before normalisation and activation; in ResNet50V2 the
# residual branch before it is added to the rest. In none of them does all of the evidence pass
# through the layer. A map made there is a map of a part.

# %% [markdown]
# ## What a saturated softmax does
#
# The gradient of a *probability* p is p(1 − p) times that of the logits' difference, and vanishes
# as p nears 1. Multiplying the head by a factor makes the model surer without changing what it
# looks at. The map of the logit keeps its shape; the map of the probability loses its height. A
# display normalised with a small ε fades once the peak comes near that ε.

# %%
kernel, bias = model.get_layer("logits").get_weights()
of_probability = activations_and_gradients(model, [explained["auto_conv"]], score="probability")
faded, rows = {}, []
for factor in (1, 4, 16, 64):
    model.get_layer("logits").set_weights([kernel * factor, bias * factor])
    values, (a,), (g,) = of_probability(pixels, tf.constant([label]))
    map_ = formulas.layercam(a.numpy(), g.numpy())
    p = float(tf.nn.softmax(values)[0, label])
    faded[f"p = {p:.6f}"] = formulas.minmax(map_)[0]
    rows.append([factor, p, np.abs(g).max(), map_.max(), faded[f"p = {p:.6f}"].max()])
model.get_layer("logits").set_weights([kernel, bias])

# %%
display(appendix.strip(faded, title="LayerCAM of the probability as the model grows sure"))
pd.DataFrame(rows, columns=["factor", "p", "largest |g|", "peak, raw", "peak, min-max with ε"])

# %% [markdown]
# Each picture is scaled to its own peak, so the loss shows in the table ("peak, raw") and not in the
# picture. A fine-tuned model is surer than a transferred one: with a probability as the score, part
# of the drift would be nothing but confidence. The study differentiates logits.

# %% [markdown]
# ## Three readings of Grad-CAM++
#
# The formula of the paper leaves α's normalisation open, and implementations differ: over all
# places (tf-keras-vis, ours), over places with positive gradient (the authors' code), or not at all
# (libraries for PyTorch).

# %%
a, g = parts["auto_conv"]
readings = {
    "over all places": formulas.gradcam_plus_plus(a, g),
    "where g > 0": formulas.gradcam_plus_plus_positive(a, g),
    "not normalised": formulas.gradcam_plus_plus_plain(a, g),
}
pictures = {name: values[0] for name, values in readings.items()}
display(appendix.strip(pictures, title="Grad-CAM++ at auto_conv", film=shown))

# %% [markdown]
# How alike are the readings to the first one?

# %%
first, measures = readings["over all places"], ["iou_top20", "soft_iou", "pearson"]
pd.concat(
    {name: metrics.compare(first, other, metrics=measures) for name, other in readings.items()}
).droplevel(1)

# %% [markdown]
# Where the numbers are 1 the reading makes no difference for this film; a "blank" means that one of
# the maps is zero everywhere. Whether a *finding* depends on the reading is a question for all
# films: add `gradcam_plus_plus_positive` and `gradcam_plus_plus_plain` to `attribution.methods`.

# %% [markdown]
# ## What we saw
#
# A map is a sum over channels of activation times gradient, cut off at zero. Its layer decides what
# it can see at all, more than its method. Blank maps come from linear layers with mostly negative
# sums. Two methods that must agree at the pooled map can disagree before it. Next to read:
# [4 · Attribute](04_attribute.ipynb), where all films get their maps. Back to the
# [index](00_index.ipynb).
