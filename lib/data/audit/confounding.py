"""Statistics of what goes together with the class of a film: its source, shape and exposure."""

import numpy as np
import pandas as pd
from scipy.stats import kruskal
from scipy.stats.contingency import association

from lib.data.audit.measures import NUMBERS
from lib.study.errors import SOURCES

SHAPE = ("width", "height", "aspect")


def source_association(manifest, columns=SOURCES):
    """Measure how far the source of a film tells its class.

    Parameters
    ----------
    manifest : pandas.DataFrame
    columns : sequence of str
        Columns that may say where a film is from; those absent, or of one value, are passed over.

    Returns
    -------
    dict of str to dict
        By column: ``cramers_v`` (0 to 1; Cramér 1946, eq. 21.9.1 over its largest value),
        ``sources`` (their number), ``largest`` (of each class, its commonest source and that
        source's share), ``apart`` (pairs of classes without a common source).
    """
    result = {}
    for column in (c for c in columns if c in manifest and manifest[c].nunique() > 1):
        table = pd.crosstab(manifest["label"], manifest[column])
        shares = table.div(table.sum(axis=1), axis=0)
        names = list(table.index)
        result[column] = {
            "cramers_v": round(float(association(table.to_numpy(), method="cramer")), 4),
            "sources": table.shape[1],
            "largest": {
                name: {"source": str(row.idxmax()), "share": round(float(row.max()), 4)}
                for name, row in shares.iterrows()
            },
            "apart": [
                [one, other]
                for number, one in enumerate(names)
                for other in names[number + 1 :]
                if not ((table.loc[one] > 0) & (table.loc[other] > 0)).any()
            ],
        }
    return result


def by_class(manifest, measures):
    """Compare shape, exposure, border and sharpness between the classes.

    Returns
    -------
    dict of str to dict
        By measure: ``median`` of each class and ``effect``, the rank epsilon squared of Kruskal and
        Wallis, H / (n - 1) (Tomczak & Tomczak 2014): 0 where classes do not differ, 1 where the
        class fixes the measure.
    """
    aspect = manifest["width"] / manifest["height"]
    table = manifest[["width", "height"]].assign(aspect=aspect).join(measures[list(NUMBERS)])
    labels = manifest["label"]
    return {
        name: {
            "median": {
                str(label): round(float(values), 4)
                for label, values in table[name].groupby(labels).median().items()
            },
            "effect": _epsilon_squared(table[name], labels),
        }
        for name in (*SHAPE, *NUMBERS)
    }


def _epsilon_squared(values, labels):
    parts = [part.to_numpy(float) for _, part in values.groupby(labels)]
    if len(parts) < 2 or len(np.unique(values)) < 2:
        return 0.0
    return round(float(kruskal(*parts).statistic / (len(values) - 1)), 4)
