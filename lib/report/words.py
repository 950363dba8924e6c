"""The answer of a report in sentences, every number of them read from the study's tables."""

from collections.abc import Mapping

import pandas as pd

from lib.evidence.marker_use import PUT
from lib.hypotheses.answers import OPEN, VERDICTS
from lib.report import lesion, marks
from lib.report.digest import PRIMARY, drift_means, stage_means
from lib.report.phrases import CELL, listed, percent, span
from lib.study.names import ARCHITECTURE_TITLES, label

SHORT = {"supported": "Yes", "not supported": "No"}
"""The answer to the first question by its verdict; any other verdict is no answer."""
PART, INCONCLUSIVE = "In part", OPEN.capitalize()
_MORE = "more than training the head alone moves them, and in the same way whatever the seed"
_MOVED = {
    "Yes": f"This is {_MORE}",
    "No": "This is hardly more than training the head alone moves them, or not the same from seed "
    "to seed",
    PART: f"In {{}} of {{}} comparisons this is {_MORE}, as the tests show; in the others these "
    "films and seeds cannot tell",
    INCONCLUSIVE: "Whether this is more than chance and the head, and the same whatever the seed, "
    "these films and seeds cannot tell",
}
_CELL = ["architecture", "method", "role"]
LEARNT_FROM = {
    "fractal": "drawn fractals", "drawn": "drawn radiographs with other findings",
    "imagenet": "photographs (ImageNet)", "file": "films or pictures that are not known",
    "none": "nothing",
}  # fmt: skip
_REMEDIES = {
    "common_resolution": "a common resolution", "border_crop": "a cut border",
    "intensity": "adjusted grey levels", "region": "a hidden region",
}  # fmt: skip


def way(tables: Mapping[str, pd.DataFrame], part: str = "way_to_unrelated") -> pd.DataFrame:
    """How far fine-tuning moved the maps of `CELL`: 0 is the placebo, 1 are unrelated films.

    From ``decomposition`` (or another `part` of it); without it the way is 1 - R of the primary
    overlap in ``retained``, and without either there is no row. ``measure`` is its unit in words.
    """
    columns = ["architecture", "estimate", "low", "high"]
    measure = "squared distance of maps of one length"
    table, retained = tables.get("decomposition"), tables.get("retained")
    if table is not None and len(table):
        table = table[table["part"].eq(part)]
    elif retained is not None and part == "way_to_unrelated":  # studies published before the parts
        table, measure = retained[retained["metric"].eq(PRIMARY)], "top 20 % of cells"
        ends = {"estimate": "estimate", "low": "high", "high": "low"}
        table = table.assign(**{end: 1 - table[other] for end, other in ends.items()})
    else:
        return pd.DataFrame(columns=[*columns, "measure"])
    cell = (table[list(CELL)] == list(CELL.values())).all(axis=1)
    found = table.loc[cell, columns].dropna(subset="estimate").reset_index(drop=True)
    return found.assign(measure=measure)


def short(verdicts: Mapping[str, Mapping] | None) -> str:
    """Answer to the first question of a study: "Yes", "No", `PART` or the verdict's own word."""
    first = next(iter((verdicts or {}).values()), {})
    verdict = first.get("verdict", OPEN)
    return SHORT.get(verdict) or (PART if _shown(first)[0] else verdict.capitalize())


def _shown(verdict: Mapping) -> tuple[int, int]:
    """In how many comparisons, of how many, an inconclusive claim is shown, if none refutes it."""
    rows = pd.DataFrame(verdict.get("family", ()))
    if verdict.get("verdict") != OPEN or not {*_CELL, "shown", "refuted", "undefined"} <= {*rows}:
        return 0, 0
    found = rows[rows["undefined"] == ""].groupby(_CELL)[["shown", "refuted"]].any()
    return (0 if found["refuted"].any() else int(found["shown"].sum())), len(found)


def headline(tables: Mapping[str, pd.DataFrame], verdicts: Mapping | None) -> str:
    """The answer, how much, and for which networks, in one sentence."""
    moved, blank = way(tables), marks.without_maps(tables)
    if moved.empty:
        return f"{short(verdicts)}: how far fine-tuning moved the maps could not be estimated."
    parts = [
        f"{'an undefined part' if (name, *CELL.values()) in blank else percent([estimate])} "
        f"({label(name)})"
        for name, estimate in zip(moved["architecture"], moved["estimate"], strict=True)
    ]
    return (
        f"{short(verdicts)}: fine-tuning moved the maps {listed(parts)} of the way to maps of "
        "other patients’ films."
    )


def moved_sentences(tables: Mapping[str, pd.DataFrame], verdicts: Mapping | None) -> str:
    """What the headline measures from, what seeds share of it, and what the tests say of it."""
    moved = way(tables)
    if moved.empty:
        return ""
    text = "Training the head alone is 0\u00a0% of that way"
    shared = way(tables, "systematic_share")["estimate"]
    if len(shared):
        text += f", and {percent(shared)} of the drift is the same whatever the seed"
    blank = marks.without_maps(tables)
    undefined = [
        f"{blank[cell]} ({label(cell[0])})"
        for cell in ((name, *CELL.values()) for name in moved["architecture"]) if cell in blank
    ]  # fmt: skip
    if undefined:
        text += f"; a part is undefined where {listed(undefined)}"
    first = next(iter((verdicts or {}).values()), {})
    told = _MOVED.get(short(verdicts), _MOVED[INCONCLUSIVE])
    return f"{text}. {told.format(*_shown(first))}."


def title(parameters: Mapping) -> str:
    """A title that tells a study apart: films, shortcut, remedies, seeds, source weights."""
    data, seeds = parameters["data"], len(parameters["seeds"])
    drawn = data["source"] == "phantom"
    text = "Drawn films" if drawn else "Real films"
    text += " with a planted shortcut" * bool(drawn and data["phantom"]["shortcut"])
    text += " with remedies" * bool(remedies(data))
    source = LEARNT_FROM[parameters["weights"]["source"]]
    return f"{text}, {seeds} seed{'s' * (seeds != 1)}, first weights learnt from {source}"


def remedies(data: Mapping) -> list[str]:
    """The remedies among the parameters of a study's data, in words."""
    used = data.get("remedies", {})
    found = [text for key, text in _REMEDIES.items() if used.get(key) not in (None, 0, "none")]
    return (["the central square"] if data.get("aspect") == "crop" else []) + found


def films_sentence(tables: Mapping[str, pd.DataFrame], parameters: Mapping) -> str:
    """What the films are, and what the networks had learnt before."""
    data, support = parameters["data"], tables.get("support")
    count = f"{int(support['films'].sum())} " if support is not None else ""
    what = f"{count}test films are "
    what += "drawn, not patients" if data["source"] == "phantom" else "radiographs of patients"
    if data["source"] == "phantom" and data["phantom"]["shortcut"]:
        marked = data["phantom"]["shortcut_class"].replace("_", " ")
        what += f", and a marker gives the class {marked} away until it is taken out"
    if used := remedies(data):
        what += f", changed by {listed(used)}"
    source = LEARNT_FROM[parameters["weights"]["source"]]
    return f"The {what}; the networks had learnt from {source} before."


def trust_sentence(
    tables: Mapping[str, pd.DataFrame], parameters: Mapping, audit: Mapping | None
) -> str:
    """How far to trust it: seeds, films that count, trainings, and what a linear model reaches."""
    seeds = len(parameters["seeds"])
    parts = [f"each network was fine-tuned {'once' if seeds == 1 else f'with {seeds} seeds'}"]
    performance = tables.get("performance")
    if performance is not None and "training" in performance:
        runs = performance.drop_duplicates(["architecture", "checkpoint"])
        tuned = runs.loc[runs["checkpoint"].str.startswith("finetune"), "training"]
        parts.append(f"{(tuned == 'converged').sum()} of {len(tuned)} fine-tunings converged")
    if (support := tables.get("support")) is not None:
        parts.append(f"{counted(support)} are compared, those that every checkpoint of "
                     f"{_whose(support)} network names correctly")  # fmt: skip
    text = f"How far to trust it: {listed(parts)}."
    if performance is None:
        return text
    means = stage_means(performance, "balanced_accuracy")
    if audit and "probe" in audit and "finetune" in means:
        probe = f"{audit['probe']['balanced_accuracy']:.2f}"
        text += f" A linear model on thumbnails reaches a balanced accuracy of {probe}, "
        text += f"the fine-tuned networks {span(means['finetune'])}."
    return text


def counted(support: pd.DataFrame) -> str:
    """How many films of `lib.drift.summaries.support_table` count: "30 to 41 of 50 films"."""
    counts = support.select_dtypes("number").sum().astype(int)
    own = [counts[name] for name in ARCHITECTURE_TITLES if name in counts] or [counts["common"]]
    films = f"of {counts['films']} films"
    if len(set(own)) == 1:
        return f"{own[0]} {films}"
    return f"{min(own)} to {max(own)} {films}, by network,"


def _whose(support: pd.DataFrame) -> str:
    """Studies published before the supports of single networks have the common one alone."""
    return "the" if set(ARCHITECTURE_TITLES) & set(support) else "every"


def shortcut_sentences(tables: Mapping[str, pd.DataFrame]) -> str:
    """Whether the networks use a planted marker, and what its removal brings; "" without one."""
    used, brought = tables.get("marker_use"), tables.get("correction")
    if used is None or brought is None:
        return ""
    put = used[used["marker"] == PUT].groupby("stage")["difference"]
    rises = {stage: span(values) for stage, values in put}
    if not {"transfer", "finetune", "corrected"} <= {*rises}:
        return ""
    told = (
        "Put on other films, the marker raises the probability of its class by "
        f"{rises['transfer']} before fine-tuning, by {rises['finetune']} after it, and by "
        f"{rises['corrected']} after fine-tuning on films whose marker tells nothing."
    )
    fine = brought[(brought["measure"] == "lesion_mass") & (brought["role"] == "stage4")]
    parts = [
        f"{span(rows['removed'])} of the {label('', method)} map onto the lesion "
        f"({span(rows['kept'])} where the marker stays)"
        for method in ("layercam", "gradcam")
        if len(rows := fine[fine["method"] == method])
    ]
    return f"{told} The last brings {listed(parts)} at stage4." if parts else told


def first(
    tables: Mapping[str, pd.DataFrame],
    verdicts: Mapping | None,
    parameters: Mapping,
    audit: Mapping | None,
) -> list[str]:
    """The sentences that come before all others: the answer, by the first of the verdicts.

    What it is measured by, the films, a planted marker, what lies in known lesions, and how far to
    trust it.
    """
    trust = (trust_sentence(tables, parameters, audit), marks.faithful_sentence(tables))
    told = (
        headline(tables, verdicts), moved_sentences(tables, verdicts),
        films_sentence(tables, parameters), shortcut_sentences(tables), lesion.short(tables),
        " ".join(filter(None, trust)),
    )  # fmt: skip
    return [*filter(None, told)]


def accuracy_sentence(performance: pd.DataFrame | None) -> str:
    """How fine-tuning changed macro AUC, by architecture; "" if that is not known."""
    if performance is None:
        return ""
    known = stage_means(performance, "macro_auc").reindex(columns=["transfer", "finetune"]).dropna()
    if known.empty:
        return ""
    films = int(performance.query("split == 'test'")["n"].max())
    parts = [
        f"{first:.3f} to {last:.3f} ({label(name)})" for name, (first, last) in known.iterrows()
    ]
    runs = performance["checkpoint"].drop_duplicates().str.split("-").str[0].value_counts()
    seeds = " (means over seeds)" if runs.max() > 1 else ""
    return f"On {films} test films fine-tuning takes macro AUC from {listed(parts)}{seeds}."


def drift_sentence(drift: pd.DataFrame | None, support: pd.DataFrame | None) -> str:
    """Overlap of the strongest cells, with the controls beside it; "" if there is none."""
    if drift is None:
        return ""
    means = drift_means(drift).dropna(axis=1, how="all")
    films, whose = ("films", "the") if support is None else (counted(support), _whose(support))
    where = f"On the {films} that every checkpoint of {whose} network classifies correctly"
    if "finetune" not in means:
        return f"{where} no pair of maps could be compared."
    sentence = f"{where} the strongest 20\u00a0% of the cells of the two maps overlap by "
    tuned = span(means["finetune"])
    sentence += f"{tuned} (mean by architecture, layer and method; 1 = same places)"
    controls = {
        "placebo": "{} where only the head was trained on",
        "perturbed": "{} where the weights were moved as far in a random direction",
        "finetune_seeds": "{} between fine-tunings that differ only in their seed",
        "ceiling": "{} between maps of different patients' films",
    }
    parts = [text.format(span(means[name])) for name, text in controls.items() if name in means]
    return f"{sentence}{', against ' + listed(parts) if parts else ''}."


def verdict_sentence(verdicts: Mapping[str, Mapping] | None) -> str:
    """Which hypotheses have which verdict, by the rules set beforehand; "" without verdicts."""
    if not verdicts:
        return ""
    reached = {name: verdict["verdict"] for name, verdict in verdicts.items()}
    parts = []
    for verdict in dict.fromkeys((*VERDICTS, *reached.values())):
        if names := [name for name, own in reached.items() if own == verdict]:
            parts.append(f"{listed(names)} {'is' if len(names) == 1 else 'are'} {verdict}")
    return f"By the rules that were set beforehand, {listed(parts)}."


def answer(tables: Mapping[str, pd.DataFrame], verdicts: Mapping | None) -> list[str]:
    """The numbers of the first screen, those that can be said."""
    sentences = (
        accuracy_sentence(tables.get("performance")),
        drift_sentence(tables.get("drift"), tables.get("support")),
        marks.undefined_sentence(tables),
        *lesion.sentences(tables),
        verdict_sentence(verdicts),
    )
    return [sentence for sentence in sentences if sentence]
