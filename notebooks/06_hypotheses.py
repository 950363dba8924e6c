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
# # 6 · Hypotheses: what may be said?
#
# *Is the drift more than chance, does the ranking of architectures really reverse with the method,
# and is a small shift of the centroid a sign of stability?*
#
# Six questions were put down beforehand in `params/hypotheses.yml`, each with the comparisons that
# count, the rule that decides, and what is needed for an answer. This notebook only applies them. A
# verdict is **supported**, **not supported**, **undefined** (the method has no map there) or
# **inconclusive**; the last one is no failure, it says that these films and seeds cannot tell.

# %% [markdown]
# **Reads** `tables/{pairs,seed_agreement,starts,lesion_gain,shortcut,faithfulness}.csv`,
# `data/manifest.csv`, `params/hypotheses.yml`. **Writes**
# `verdicts.json`, `figures/hypotheses/*` and `tables/{retained,supports,decomposition,
# head_and_features,partial_agreement,contrasts,crossover,ranks,agreement,priors,paper}.csv`.

# %%
import pandas as pd
from IPython.display import Markdown

from lib.study import StudyPaths, artefacts, derive, load_stage, schema
from lib.study.architectures import ARCHITECTURES
from lib.drift.priors import fitted_prior, prior_table
from lib.evidence.faithfulness import unfaithful
from lib.hypotheses import estimates, observations, paper, rankings
from lib.hypotheses.answers import without_seeds
from lib.hypotheses import stated as hypotheses, verdicts as judge
from lib.figures import (
    controls as control_plots, hypotheses as inference_plots, rankings as ranking_plots, style,
)  # fmt: skip

# %% [markdown]
# ## Parameters
#
# The default judges what notebook 5 made with its own defaults: one architecture, one seed, a handful
# of films. That must not suffice for a verdict, and it does not. `make reproduce` passes a study's
# full grid.

# %% tags=["parameters"]
study = "smoke"
settings = {"architectures": ["resnet50v2"]}
results = "results/notebooks"

# %%
params = load_stage(study, "hypotheses", settings)
paths = StudyPaths(results, params.study)
rules = hypotheses.load()
record = artefacts.begin(
    paths.verdicts,
    parameters=params.dump() | {"hypotheses": rules.model_dump(mode="json")},
    inputs=[paths.manifest, paths.tables / "drift.csv"],
)
style.style()

# %% [markdown]
# ## What was asked, and decided in advance

# %% tags=["nbval-check-output"]
print(f"Version {rules.version}, stated on {rules.date}")
for name, rule in rules.rules.items():
    needs, looks = rule.minimum, rule.looks or "any number"
    print(f"{name}: {rule.question}")
    print(f"    {rule.metric} at {', '.join(rule.roles)}; {', '.join(rule.methods)};", end=" ")
    print(f"at least {needs.films} films, {needs.patients} patients; looks (seeds): {looks}")

# %% [markdown]
# A look is a number of seeds at which the study may be judged, with the error rate that it may
# spend. All looks together err with 5 %: adding seeds until a verdict comes is not allowed for free.

# %% [markdown]
# ## What there is to judge
#
# For each architecture count the films that all of its checkpoints classify correctly, every class
# alike. A comparison is one architecture, method, layer and pairing. A map that is blank is an outcome:
# a comparison with too many of them has no answer, because the films that are left are a selection.

# %%
support = {name: observations.read(paths, support=name) for name in observations.SUPPORTS}
observed = support["own"]
grids = {a: ARCHITECTURES[a].grid(params.input_size[a]) for a in params.architectures}
tuned = [name for name in observed.names if name[-1] == "finetune"]
counts = pd.DataFrame([observed.counts("soft_iou", name) for name in tuned])
cells = pd.DataFrame(tuned, columns=observations.CELL)
print(f"{observed.pairs['image_id'].nunique()} films count for one architecture or more; {grids}")
cells.join(counts).drop(columns="pairing")

# %% [markdown]
# Look at the columns `films`, `seeds` and `blank` before any estimate. With one seed, an interval is
# one for new patients with these very checkpoints: another training might give another answer, and
# nothing here says how different.

# %% [markdown]
# ## How alike are maps that share nothing?
#
# Two maps without any relation still overlap, more so if both prefer the centre of the film. `uniform`
# has no such preference: its overlap of the top cells is known exactly (`exact`). `centre` prefers the
# centre as trained networks do. *Fitted* priors are drawn about the centre, too, and as alike by soft
# overlap and Pearson correlation as LayerCAM maps of unrelated films are at the pooled map.

# %%
prior = rules.H4.prior.model_dump()
seed = derive(params.seed, "prior")
fitted = {}
for name, grid in grids.items():
    unrelated = (name, "layercam", "post_activation", "ceiling")
    alike = {
        metric: float(observed.estimate(metric, {unrelated: 1}).estimate)
        for metric in ("soft_iou", "pearson")
    }
    if found := fitted_prior(grid, **alike, seed=seed):
        fitted[f"fitted to {name}"] = (grid, *found)
priors = prior_table(sorted(set(grids.values())), **prior, seed=seed, fitted=fitted)
priors.pivot_table(index=["grid", "metric"], columns="prior", values=["mean", "exact"]).round(3)

# %% [markdown]
# Read any similarity of real maps against the column `centre`: below it, two maps of one film have
# less in common than maps drawn blindly around the centre. A fitted prior whose other metrics are those
# of unrelated films says that these share a centre and nothing else.

# %% [markdown]
# ## How much of the evidence is retained?
#
# $R = (S - S_\text{ceiling}) / (S_\text{placebo} - S_\text{ceiling})$ puts every similarity $S$ on one
# scale: 1 is no more drift than the placebo, 0 is as different as maps of unrelated films.

# %%
retained = estimates.retained_table(observed)
primary = retained.query("metric == 'iou_top20'")
marked = unfaithful(artefacts.read_table(paths.tables / "faithfulness.csv"))
display(figure := inference_plots.retained(primary, marked=marked))
style.save(figure, paths.figures / "hypotheses/retained")

# %% [markdown]
# A bar that crosses 0 cannot be told from unrelated films, one that crosses 1 not from the placebo. As
# in notebook 5, † marks maps that are not shown to be more faithful than random ones.
# An arrow means that the interval leaves the picture: there the placebo itself is hardly more alike
# than unrelated films, and R means little.

# %%
others = ("seed_agreement", "starts", "lesion_gain", "shortcut")
tables = {name: observations.read(paths, name, support="own") for name in others}
agreed = estimates.partial_agreement_table(tables["seed_agreement"], tables["starts"])
start_share = estimates.start_share_table(tables["starts"])
decomposition = pd.concat([estimates.decomposition_table(observed), start_share])
swaps = estimates.decomposition_table(observed, parts=estimates.SWAPS)
together = pd.concat([decomposition, swaps])
for sentence in estimates.composition(together, role="post_activation", method="layercam"):
    print(sentence)

# %% [markdown]
# ## What is drift made of?
#
# In squared distances of maps of unit length drift splits exactly: into what all seeds share, the
# *systematic* part, and what each seed adds. The sum is the drift of fine-tuning.

# %%
if len(decomposition):
    display(figure := inference_plots.decomposition(decomposition, marked=marked))
    style.save(figure, paths.figures / "hypotheses/decomposition")

# %% [markdown]
# Bars end where maps of unrelated films lie. Seeds that wander independently from one start also
# share a little, because a map cannot be negative; the partial agreement of two seeds has 0 as its
# chance level, and stands beside the agreement with maps of other films.
#
# `random_share` in the table asks whether it matters *where* the weights went: it is the drift of
# weights that were moved as far in a random direction, over the drift of fine-tuning. Near 1, drift
# would say no more than that the weights changed. `start_share`, where fine-tunings from another
# transfer checkpoint were asked for, is what is the same from there too.

# %%
shown = ["architecture", "method", "role", "measure", "estimate", "low", "high", "seed_level"]
agreed.query("role == 'post_activation'")[shown].round(3)

# %% [markdown]
# ## Did the head move the evidence, or the features?
#
# The fine-tuned head on the transfer backbone, and the transfer head on the fine-tuned backbone, are
# two networks between the checkpoints. The way from one checkpoint to the other leads over either of
# them; what the exchange of the head adds, averaged over both ways, and what the exchange of the
# features adds sum to the drift exactly.

# %%
if len(swaps):
    display(figure := control_plots.head_and_features(swaps, marked=marked))
    style.save(figure, paths.figures / "hypotheses/head_and_features")

# %% [markdown]
# A part left of 0 takes back what the other moved. Where the head has most of a bar, the evidence
# moved because known features were weighed anew, and not because others were learnt.

# %% [markdown]
# ## Does it matter which films count?
#
# Retained evidence on three supports: an architecture's own, the common one, and all test films. On
# the first and the last every class counts alike.

# %%
supports = estimates.support_sensitivity(support)
supports.query("role == 'post_activation'").pivot_table(
    index=["architecture", "method"], columns="support", values=["estimate", "films"], dropna=False
).round(2)

# %% [markdown]
# ## The same in units of the metric

# %%
contrasts = estimates.difference_table(observed, metrics=["iou_top20", "centroid_displacement"])
chosen = contrasts.query("metric == 'iou_top20' and role == 'post_activation'")
shown = ["architecture", "method", "contrast", "estimate", "low", "high", "films", "seed_level"]
chosen[shown].round(3)

# %% [markdown]
# These intervals describe; they are not corrected for their number.

# %% [markdown]
# ## Does the ranking reverse with the method?
#
# A reversal needs the difference of two architectures to have one sign with LayerCAM and the other
# with Grad-CAM++, both beyond doubt. Lines that merely cross are not enough.

# %%
crossover = rankings.crossover_table(observed, rules.H2, grids)
if len(crossover):
    stated = crossover[crossover[["method_a", "method_b"]].eq(list(rules.H2.methods)).all(axis=1)]
    stated = stated[stated["metric"] == rules.H2.metric]
    display(figure := ranking_plots.interaction(stated, marked=marked))
    style.save(figure, paths.figures / "hypotheses/interaction")
else:
    print("One architecture: there is no pair to compare.")

# %% [markdown]
# Compare the filled with the open mark of each row. At `post_activation` they lie on each other and
# the interaction is 0, because both methods are there the same map up to a factor. *Not judged*: too
# few films, or seeds that are no planned look. *Undefined*: too many blank maps.

# %% [markdown]
# The question was stated for LayerCAM and Grad-CAM++. The same rule for every pair of methods, every
# layer of the final stage and three metrics, as one family of tests: nobody had predicted these.

# %%
if len(crossover):
    print(rankings.reversal_sentence(crossover))
    display(figure := ranking_plots.reversal_map(crossover, marked=marked))
    style.save(figure, paths.figures / "hypotheses/reversals")

# %%
ranks, agreement = rankings.rank_tables(
    observed, metric="soft_iou", seed=derive(params.seed, "bootstrap")
)
if len(ranks):
    display(figure := ranking_plots.rank_probabilities(ranks, marked=marked))
    style.save(figure, paths.figures / "hypotheses/ranks")

# %% [markdown]
# A rank near 1.00 came out in nearly every resample of these films (and, if there are several, of
# these seeds); two ranks near 0.50 are a tie. `tables/agreement.csv` has Kendall's τ between the methods.

# %% [markdown]
# ## Verdicts

# %%
found = judge.evaluate(rules, {"pairs": observed} | tables, grids=grids, priors=priors)
answers = {verdict.name: verdict.as_json() for verdict in found}
told = [f"**{verdict.question}** {verdict.sentence}" for verdict in found]
Markdown("\n\n".join([*told, without_seeds(answers)]))

# %% [markdown]
# Each sentence is made from the numbers of its family of tests, which `verdicts.json` holds in full,
# with every reason for which a comparison was not judged. A verdict that hangs on one training is worth
# less: from four seeds on each is reached anew without each of them. In a word each:

# %% tags=["nbval-check-output"]
for verdict in found:
    print(f"{verdict.name}: {verdict.verdict}")

# %% [markdown]
# ## The paper beside us
#
# Elangovan & Ting (arXiv:2604.08513) report no table, and neither their data nor their weights are
# known. So each of their claims stands beside our closest measurement, and `holds` says whether the
# same statement holds *here*. This neither confirms nor refutes the paper.

# %%
published = paper.beside_the_paper(
    artefacts.read_table(paths.tables / "performance.csv"),
    artefacts.read_table(paths.tables / "drift.csv"),
    ranks, {verdict.name: verdict.verdict for verdict in found},
)  # fmt: skip
with pd.option_context("display.max_colwidth", None):
    display(published)

# %% [markdown]
# ## Write

# %%
written = {
    "retained": retained, "supports": supports, "decomposition": decomposition,
    "head_and_features": swaps, "partial_agreement": agreed, "contrasts": contrasts,
    "crossover": crossover, "ranks": ranks, "agreement": agreement, "priors": priors, "paper": published,
}  # fmt: skip
files = schema.write_tables(paths.tables, written)
artefacts.write_json(
    paths.verdicts, {"study": study, "verdicts": answers, "rules": rules.model_dump(mode="json")}
)
figures = record.written(paths.figures / "hypotheses", "*.[ps][nv]g")
record.complete(*files, *figures)
print(
    "wrote", record.path.name, *(f"{name}.csv" for name in written), "and", len(figures), "figures"
)

# %% [markdown]
# ## What we saw
#
# Which claims about drift these films and seeds carry, and which they do not. *Not supported* is a
# finding: the opposite was shown, within a margin that was stated beforehand. *Inconclusive* is none:
# absence of evidence is not stability.
#
# Next: [7 · Report](07_report.ipynb), for readers. Back: [5 · Drift](05_drift.ipynb),
# [index](00_index.ipynb).
