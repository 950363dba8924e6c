"""Where the lesions of films are, from annotations and masks, brought to the films' frame.

Annotations are files of boxes, polygons or run-lengths, see `lib.checkpoint_audit.outlines`. Masks
are a folder with a PNG per film, of its name; of a multi-label model in a folder per finding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.checkpoint_audit import outlines
from lib.data.films.squares import Squares, resize_mask
from lib.data.naming import meaning, to_type
from lib.drift.pairings import Pairing
from lib.evidence import changes
from lib.study.errors import DataError, few
from lib.study.paths import resolve

_SKEW = 0.01  # by which the proportions of a film and of what was drawn on it may differ


def _row_of(films: pd.DataFrame) -> Callable[[str], int | None]:
    """A function from what a source calls a film to its row; what may be two films is none.

    A film is called by its id or by the end of its path, with or without the ending of the file;
    folders may be joined by underscores, as in CheXlocalize. A longer path that ends in that of the
    film will do too.
    """
    found: dict[str, set[int]] = {}
    whole = {}
    for row, (name, file) in enumerate(zip(films["image_id"], films["file"], strict=True)):
        whole |= {name: row, file: row}
        path = PurePosixPath(file)
        ends = [parts[n:] for parts in (path.parts, path.with_suffix("").parts)
                for n in range(len(parts))]  # fmt: skip
        for key in {name, *("/".join(end) for end in ends), *("_".join(end) for end in ends)}:
            found.setdefault(key, set()).add(row)
    rows = {key: of.pop() for key, of in found.items() if len(of) == 1}

    def row_of(called: str) -> int | None:
        parts = PurePosixPath(called.replace("\\", "/")).parts
        longer = ("/".join(parts[n:]) for n in range(1, len(parts)))
        return rows.get(called, next((whole[end] for end in longer if end in whole), None))

    return row_of


def opened(
    sources: Sequence[str],
    films: pd.DataFrame,
    *,
    findings: Sequence[str] = (),
    labels: Mapping[str, str],
) -> list[tuple[Path, list[outlines.Outline] | None]]:
    """Annotations and masks, looked through but not drawn; a folder has no outlines.

    `films` has ``image_id`` and ``file``, before names are hashed; `findings` are those of a
    multi-label model, `labels` what a source calls otherwise. A DataError if a source cannot be
    read, knows none of the films or, where it tells findings apart, none of the findings.
    """
    made, row_of = [], _row_of(films)
    mean = meaning(list(findings), dict(labels))
    for source in map(resolve, sources):
        if source.is_dir():
            read, told = None, [(file.stem, of) for file, of in _masks_in(source)]
        else:
            read = outlines.read(source)
            told = [(one.film, one.finding) for one in read]
        if told and not any(row_of(film) is not None for film, _ in told):
            raise DataError(
                f"LESIONS={source}: knows none of the {len(films)} films, such as "
                f"{films['image_id'].iloc[0]!r}; found {few(dict.fromkeys(x for x, _ in told))}. "
                "Give lesions the names of the films."
            )
        others = sorted({finding for _, finding in told} - {""})
        if findings and others and not any(mean(name) in findings for name in others):
            raise DataError(
                f"LESIONS={source}: found lesions of {few(others, 20)}, expected some of "
                f"{few(findings, 20)}. Say what one of those means: "
                f"{to_type('data.labels', {others[0]: findings[0]})}"
            )
        made.append((source, read))
    return made


def masks(
    sources: Sequence[str],
    manifest: pd.DataFrame,
    *,
    findings: Sequence[str],
    classes: Sequence[str] = (),
    labels: Mapping[str, str],
    size: int,
    aspect: str,
) -> Iterator[np.ndarray]:
    """Lesions of the films, as the network sees these: bool (films, size, size) for each finding.

    A film has all lesions that any of the `sources` tells. `manifest` has ``image_id``, ``file``,
    ``width``, ``height``, before names are hashed, and ``label``; `findings` are those that are
    asked for, "" for all at once; of a model that gives a film one of `classes`, a lesion of
    another class than its film is none. The rest as of `opened` and
    `lib.data.films.squares.resize`. A DataError as of `opened`, or if a lesion does not fit its
    film.
    """
    told, row_of = opened(sources, manifest, labels=labels), _row_of(manifest)
    mean = meaning(list(filter(None, findings)) or list(classes), dict(labels))
    sides = manifest[["width", "height"]]
    own = manifest["label"].tolist() if classes else [""] * len(manifest)
    for finding in findings:
        found = np.zeros((len(manifest), size, size), bool)

        def asked(name: str, row: int, finding=finding, unknown: bool = True) -> bool:
            known = mean(name) if name else ""
            named = known in ("", finding or own[row])
            return named or (unknown and not finding and known not in classes)

        for source, read in told:
            draw = _from_folder if read is None else partial(_from_outlines, read)
            for row, square in draw(source, asked, row_of, sides, size, aspect):
                found[row] |= square
        yield found


def _masks_in(folder: Path) -> list[tuple[Path, str]]:
    """Masks, each with the finding that its folder is named after."""
    files = sorted(folder.rglob("*.png"))
    return [(file, file.parent.name if file.parent != folder else "") for file in files]


def _from_folder(source, asked, row_of, sides, size, aspect) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of films with the squares of their masks."""
    how = Squares(source, [size], aspect)
    for file, of in _masks_in(source):
        row = row_of(file.stem)
        row = row_of(file.name) if row is None else row
        # A folder of another name may hold lungs, or anything.
        if row is not None and asked(of, row, unknown=False):
            width, height = sides.iloc[row]
            name = file.relative_to(source).as_posix()
            yield row, how.of_mask(name, width=width, height=height)[0]


def _from_outlines(read, source, asked, row_of, sides, size, aspect):
    """The same of outlines; those of one film in one frame are drawn together."""
    together: dict[tuple, list] = {}
    for one in read:
        if one.draw and (row := row_of(one.film)) is not None and asked(one.finding, row):
            together.setdefault((row, one.frame), []).append(one)
    for (row, frame), of in together.items():
        width, height = sides.iloc[row]
        tall, wide = frame or (height, width)
        drawn = np.zeros((tall, wide), bool)
        for one in of:
            try:
                if abs(wide * height - tall * width) > _SKEW * wide * height:
                    raise ValueError(
                        f"found a frame of {wide}x{tall} pixels, expected the proportions of its "
                        f"film, {width}x{height}"
                    )
                drawn |= one.draw(tall, wide)
            except ValueError as error:
                raise DataError(
                    f"LESIONS={source}: film {one.film!r}, {one.entry}: {error}. It may be of a "
                    "film of another size: scale it, or give the films that it was drawn on."
                ) from error
        yield row, resize_mask(drawn, size=size, aspect=aspect)


def lesion_table(
    sets: Mapping[str, MapSet], lesions: np.ndarray, *, classes: Sequence[str], patients: Sequence
) -> pd.DataFrame:
    """Evidence in the lesion before and after, beside what chance gives.

    Parameters
    ----------
    sets : mapping of str to MapSet
        Has "before" and "after".
    lesions : ndarray of bool, shape (films, size, size)
        In the order of the maps.
    classes : sequence of str
        In the order of the maps' labels.
    patients : sequence, one per film

    Returns
    -------
    DataFrame
        A row per layer, method and measure (share of the map, that share by the share of the film
        that the lesion covers, and whether the highest cell touches it: the pointing game), none
        where no lesion is known. ``films`` (with a lesion, and no blank map before or after),
        ``before``, ``after``, ``change`` with ``low`` and ``high`` (95 % over patients), and by
        chance ``area`` (a map that is the same everywhere, a cell drawn blindly) and ``centre`` (a
        preference for the centre).
    """
    two = {"model": {name: sets[name] for name in ("before", "after")}}
    known = {"model": {"lesion": lesions, "lung": None}}
    evidence = changes.evidence_of_study(two, known, classes=classes, patients=list(patients))
    change = changes.changes_of_study(evidence, [Pairing("change", "before", "after")])
    # The same films before and after: a map that vanished would otherwise change the mean.
    scored = change.loc[change["lesion_mass_change"].notna(), ["role", "method", "image_id"]]
    evidence = evidence.merge(scored)
    keys = ["role", "method", "measure"]
    if evidence.empty:
        return pd.DataFrame(columns=[*keys, "films", "before", "after", "change"])
    levels = changes.evidence_summary(evidence, by=("role", "method", "checkpoint")).set_index(keys)
    before, after = (levels[levels["checkpoint"] == name] for name in ("before", "after"))
    gains = changes.change_summary(change, by=("role", "method")).set_index(keys)
    table = pd.DataFrame(
        {
            "films": before["n"], "before": before["mean"], "after": after["mean"],
            "change": gains["mean"], "low": gains["low"], "high": gains["high"],
            "area": before["uniform"], "centre": before["centre"],
        }
    ).reindex(before.index).reset_index()  # fmt: skip
    return table[table["measure"].str.startswith("lesion")].reset_index(drop=True)
