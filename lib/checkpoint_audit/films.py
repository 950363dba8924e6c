"""The films of an audit: which of a collection are explained, and their pixels."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lib.checkpoint_audit.params import AuditedFilms, PairParams
from lib.data import cache
from lib.data.index import class_names, read_index
from lib.data.privacy import pseudonymise, read_salt
from lib.study.errors import DataError, few
from lib.study.paths import resolve


def choose_films(index: pd.DataFrame, params: AuditedFilms, *, seed: int) -> pd.DataFrame:
    """Rows of an index to explain: of one split, and not too many.

    Where there are too many, each class keeps its share, and at least one film.

    Raises
    ------
    DataError
        If the split is empty.
    """
    split = params.split
    if split == "auto":
        split = "test" if (index["split"] == "test").any() else "all"
    rows = index if split == "all" else index[index["split"] == split]
    if rows.empty:
        raise DataError(
            f"data.split = {split}: the collection has no such films. Take data.split=all, or add "
            "a column split."
        )
    usable = rows[rows["refused"] == ""] if "refused" in rows else rows
    if len(usable) > params.most:
        labels = usable["label"].sample(frac=1, random_state=np.random.default_rng(seed))
        of_class = labels.groupby(labels)
        place = of_class.cumcount() / of_class.transform("size")
        rows = rows.drop(place.sort_values(kind="stable").index[params.most :])
    return rows.reset_index(drop=True)


def index_films(params: PairParams) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The films of an audit as the collection lists them, none of them decoded.

    Returns
    -------
    index : DataFrame
        As `lib.data.index.read_index`.
    classes : tuple of str
        In the order of the outputs: as given, or the sorted names of the collection.

    Raises
    ------
    DataError
        If the collection or the salt cannot be read, or all files of a class are missing.
    """
    source, films = resolve(params.data.source), params.data
    classes = params.classes or class_names(source, films.labels)
    if len(classes) < 2:
        raise DataError(
            f"{source}: found the class {few(classes)} alone, expected two or more. Add a folder "
            "or a label for each class that the models tell apart."
        )
    index = read_index(
        source, classes=classes, labels=films.labels, other_labels=films.other_labels
    )
    rows, root = choose_films(index, films, seed=params.seed), _root(source)
    there = pd.Series(
        [os.path.exists(root / file) for file in rows["file"]], rows.index, dtype=bool
    )
    for name in classes:
        listed = rows["label"] == name
        if not (listed & there).any():
            absent = rows.loc[listed, "file"]
            raise DataError(
                f"{source}: no film of {name} is there to explain"
                + (f" (looked for {root / absent.iloc[0]} first)" if len(absent) else "")
                + ". Take more (data.most, data.split=all), or correct the paths."
            )
    read_salt(films.salt_file)
    return rows, classes


def _root(source: Path) -> Path:
    return source if source.is_dir() else source.parent


def read_films(
    params: PairParams, *, size: int, folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Decode the films of an audit into a cache.

    Returns
    -------
    manifest, rejected : DataFrame
        As `lib.data.cache.build`; ``split`` is "audited".
    classes : tuple of str
        As `index_films`.

    Raises
    ------
    DataError
        As `index_films`, or if a class has no readable film.
    """
    source, films = resolve(params.data.source), params.data
    rows, classes = index_films(params)
    manifest, rejected = cache.build(
        rows, _root(source), sizes=[size], aspect=films.aspect, folder=folder, views=films.views,
        shareable=films.shareable,
    )  # fmt: skip
    if salt := read_salt(films.salt_file):
        manifest, rejected = pseudonymise(manifest, rejected, salt=salt)
    if absent := [name for name in classes if not (manifest["label"] == name).any()]:
        raise DataError(
            f"{source}: no readable film of {', '.join(absent)} is left to explain. Take more "
            "(data.most, data.split=all), or see why films were rejected."
        )
    return manifest.assign(split="audited"), rejected, classes
