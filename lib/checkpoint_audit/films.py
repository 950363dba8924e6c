"""The films of an audit: which of a collection are explained, and their pixels."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lib.checkpoint_audit.labels import canonical, require_findings
from lib.checkpoint_audit.lesions import masks, opened
from lib.checkpoint_audit.params import AuditedFilms, AuditParams
from lib.data import cache, tables
from lib.data.index import class_names, read_index
from lib.data.privacy import pseudonymise, read_salt
from lib.study.artefacts import atomic
from lib.study.errors import DataError, few
from lib.study.paths import resolve


def choose_films(
    index: pd.DataFrame, params: AuditedFilms, *, seed: int, by_class: bool = True
) -> pd.DataFrame:
    """Rows of an index to explain: of one split (a DataError if it is empty), and not too many.

    Where there are too many, each class keeps its share, and at least one film; films of several
    findings are drawn as they come.
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
        labels = usable["label"] if by_class else usable["label"].str[:0]
        labels = labels.sample(frac=1, random_state=np.random.default_rng(seed))
        of_class = labels.groupby(labels)
        place = of_class.cumcount() / of_class.transform("size")
        rows = rows.drop(place.sort_values(kind="stable").index[params.most :])
    return rows.reset_index(drop=True)


def index_films(params: AuditParams) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The films of an audit as the collection lists them, none of them decoded, and the classes.

    These are as given, or the sorted names of the collection; or the findings, and ``label`` has
    all of a film, "A|B", an uncertain one with a question mark. A DataError if the collection or
    the salt cannot be read, or all files of a class are missing.
    """
    source, films = resolve(params.data.source), params.data
    if classes := params.findings:  # the class of a film is all of its findings
        if source.is_dir():
            texts = class_names(source)
        else:
            texts = tables.read_table(source)["label"].str.strip().unique()
        index = read_index(source, classes=texts)
        require_findings(index["label"], classes, labels=films.labels, source=source)
        rows = choose_films(index, films, seed=params.seed, by_class=False)
        _require_film(rows, "any finding", source)
    else:
        classes = params.classes or class_names(source, films.labels)
        if len(classes) < 2:
            raise DataError(
                f"{source}: found the class {few(classes)} alone, expected two or more. Add a "
                "folder or a label for each class that the models tell apart."
            )
        index = read_index(
            source, classes=classes, labels=films.labels, other_labels=films.other_labels
        )
        rows = choose_films(index, films, seed=params.seed)
        for name in classes:
            _require_film(rows[rows["label"] == name], name, source)
    read_salt(films.salt_file)
    return rows, classes


def check(params: AuditParams) -> None:
    """Look through films and lesions, as `index_films` and `opened`, before anything is decoded."""
    rows, _ = index_films(params)
    opened(params.data.lesions, rows, findings=params.findings, labels=params.data.labels)


def _require_film(listed: pd.DataFrame, name: str, source: Path) -> None:
    """Check that at least one of some films is there."""
    root = source if source.is_dir() else source.parent
    files = [root / file for file in listed["file"]]
    if not any(map(os.path.exists, files)):
        raise DataError(
            f"{source}: no film of {name} is there to explain"
            + (f" (looked for {files[0]} first)" if files else "")
            + ". Take more (data.most, data.split=all), or correct the paths."
        )


def read_films(
    params: AuditParams, *, size: int, folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Decode the films of an audit into a cache, with their lesions where these are known.

    Parameters
    ----------
    params : AuditParams
    size : int
        Side of the squares in pixels.
    folder : Path
        Receives the cache. Squares of another size and lesions that are there are removed.

    Returns
    -------
    manifest, rejected : DataFrame
        As `lib.data.cache.build`; ``split`` is "audited".
    classes : tuple of str
        As `index_films`.

    Raises
    ------
    DataError
        As `lib.data.cache.build` and `index_films`, or if a class has no readable film.
    """
    source, films = resolve(params.data.source), params.data
    rows, classes = index_films(params)
    manifest, rejected = cache.build(
        rows, source if source.is_dir() else source.parent, sizes=[size], aspect=films.aspect,
        folder=folder, views=films.views, shareable=films.shareable,
    )  # fmt: skip
    for table in (manifest, rejected) if params.findings else ():
        table["label"] = canonical(table["label"], params.findings, labels=films.labels)
    # Of a run that was told another size, or other lesions.
    for file in (*folder.glob("images_*.npy"), *folder.rglob("lesion_*.npy")):
        if file.name != f"images_{size}.npy":
            file.unlink()
    single = () if params.findings else classes
    drawn_of = masks(
        films.lesions, manifest, findings=(params.findings or ("",)) if films.lesions else (),
        classes=single, labels=films.labels, size=size, aspect=films.aspect,
    )  # fmt: skip
    for number, drawn in enumerate(drawn_of):
        part = f"lesions-{number}" if params.findings else ""
        with atomic(folder / part / f"lesion_{size}.npy") as temporary:
            np.save(temporary, drawn)
    if salt := read_salt(films.salt_file):
        manifest, rejected = pseudonymise(manifest, rejected, salt=salt)
    if absent := [name for name in single if not (manifest["label"] == name).any()]:
        raise DataError(
            f"{source}: no readable film of {', '.join(absent)} is left to explain. Take more "
            "(data.most, data.split=all), or see why films were rejected."
        )
    return manifest.assign(split="audited"), rejected, classes
