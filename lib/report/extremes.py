"""The cases that drifted most, each with a link to the view in which it did."""

from urllib.parse import urlencode

from lib.report.browser import FINER, Cases
from lib.report.digest import PRIMARY


def extremes(cases: Cases, *, shareable: bool, most: int = 3) -> dict[str, object]:
    """The films with the lowest mean overlap, each with a link to its lowest pair of maps.

    They are ``extremes``, ``extremes_of`` says among which films. Those that are not `shareable`
    have numbers for names.
    """
    pairs, shown = cases.pairs, cases.shown
    first = "finetune" if "finetune" in set(shown["pairing"]) else shown["pairing"].iloc[0]
    pairs, shown = pairs[pairs["pairing"] == first], shown[shown["pairing"] == first]
    common = pairs["common"].astype(bool)
    of = "of the films that every checkpoint classifies correctly"
    support = {"common": "1"}
    if not common.any():
        common = pairs["stratum"] == "kept-correct"
        of = "of the pairs in which both checkpoints classify the film correctly"
        support = {"common": "0", "stratum": "kept-correct"}
    pairs, shown = pairs[common], shown[common.reindex(shown.index)]
    chosen = pairs.groupby("image_id")[PRIMARY].agg(["mean", "count", "size"])
    chosen = chosen.dropna().sort_values("mean", kind="stable")[:most]
    number = {name: place + 1 for place, name in enumerate(cases.image_id)}
    ties = [name for name in (PRIMARY, FINER) if name in shown]
    lowest = shown.dropna(subset=PRIMARY).sort_values(ties, kind="stable")
    lowest = lowest.groupby("image_id").first()
    found = []
    for name, row in chosen.iterrows():
        view = {"film": number[name], "sort": PRIMARY, "order": "most"} | support
        if name in lowest.index:
            least = lowest.loc[name]
            view |= {key: least[key] for key in ("architecture", "role", "method")}
            view["pair"] = "~".join(least[key] for key in ("pairing", "before", "after"))
        found.append({
            "name": name if shareable else f"film {number[name]}",
            "label": cases.label[number[name] - 1].replace("_", " "),
            "value": row["mean"], "pairs": int(row["count"]),
            "blank": int(row["size"] - row["count"]),
            "lowest": lowest[PRIMARY].get(name),
            "link": "cases.html#" + urlencode(view),
        })  # fmt: skip
    return {"extremes": found, "extremes_of": of}
