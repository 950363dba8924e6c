"""Find films that occur more than once: the same bytes, or the same picture saved another way.

Collections of chest films copy from one another, and a film on both sides of a split lets a model
pass by memory (Garcia Santa Cruz et al. 2021). Pictures are compared by a perceptual hash: the
signs of 256 low frequencies about their median (pHash, Zauner 2010, by imagehash). Films that are
mirrored, turned or cropped by more than a hundredth or so are other films to it.
"""

import cv2
import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.study.errors import DataError, few

HASH_SIDE = 16
BLOCK = (16, 4096)  # hashes against hashes; fits the cache of a processor


def perceptual_hash(film):
    """Hash the look of a film, (h, w) uint8, to 64 hexadecimal digits.

    Saving as JPEG, resizing and moderate changes of exposure move it by at most 20 bits of 256;
    different films are 122 apart in the median.
    """
    small = cv2.resize(film, (4 * HASH_SIDE, 4 * HASH_SIDE), interpolation=cv2.INTER_AREA)
    return str(imagehash.phash(Image.fromarray(small), hash_size=HASH_SIDE))


def neighbours(hashes, *, distance):
    """Find all pairs of hashes that differ in at most so many bits, comparing all, block by block.

    100,000 films take some 20 seconds, and memory for the pairs that are found.

    Returns
    -------
    pandas.DataFrame
        ``first`` < ``second`` (positions) and ``bits`` that differ, sorted. Of several equal hashes
        the first stands for all in pairs with others, and each further one is paired with it: the
        list stays short where one film occurs a thousand times.
    """
    columns = ["first", "second", "bits"]
    if not len(hashes):
        return pd.DataFrame(columns=columns, dtype=np.int64)
    codes = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
    codes, place, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    twins = np.flatnonzero(place[inverse.ravel()] != np.arange(len(hashes)))
    pairs, bits = _near(codes, distance)
    pairs = np.sort(place[pairs], axis=1)
    same = np.column_stack([place[inverse.ravel()[twins]], twins])
    table = np.column_stack([np.vstack([pairs, same]), np.append(bits, np.zeros(len(twins), int))])
    return pd.DataFrame(table, columns=columns).sort_values(columns).reset_index(drop=True)


def _near(codes, distance):
    """Pairs (k, 2) of distinct codes (n, 32) within the distance, and their distances (k,)."""
    words = codes.view(np.uint64)
    rows, columns = BLOCK
    found = [np.zeros((0, 2), np.int64)]
    for top in range(0, len(words), rows):
        some = words[top : top + rows].T[..., None]
        for left in range(top, len(words), columns):
            others = words[left : left + columns].T[:, None]
            # Word by word: a sum along an axis of four is slow. All 256 bits count as none, in
            # eight bits; what is found is counted again below.
            apart = sum(np.bitwise_count(a ^ b) for a, b in zip(some, others, strict=True))
            found.append(np.argwhere(apart <= distance) + np.array([top, left]))
    pairs = np.concatenate(found)
    bits = np.bitwise_count(words[pairs[:, 0]] ^ words[pairs[:, 1]]).sum(axis=1, dtype=np.int64)
    kept = (pairs[:, 0] < pairs[:, 1]) & (bits <= distance)
    return pairs[kept], bits[kept]


def equal_bytes(manifest):
    """Pair every film with the first one of the same ``sha256``; columns as of `find`."""
    positions = pd.Series(np.arange(len(manifest)))
    first = positions.groupby(manifest["sha256"].to_numpy()).transform("first").to_numpy()
    second = np.flatnonzero(first != positions)
    return pd.DataFrame({"first": first[second], "second": second, "bits": 0, "identical": True})


def find(manifest, hashes, *, distance):
    """Pair films of equal bytes, and films that look alike by `neighbours` of their hashes.

    Parameters
    ----------
    manifest : pandas.DataFrame
        With ``sha256``.
    hashes : sequence
        Of the films, row by row, as in `neighbours`.
    distance : int
        Most bits that may differ.

    Returns
    -------
    pandas.DataFrame
        ``first``, ``second`` (positions in the manifest), ``bits`` and ``identical`` (equal bytes).
    """
    digests = manifest["sha256"].to_numpy()
    near = neighbours(list(hashes), distance=distance).astype(np.int64)
    near["identical"] = digests[near["first"]] == digests[near["second"]]
    pairs = pd.concat([equal_bytes(manifest), near]).drop_duplicates(["first", "second"])
    return pairs.sort_values(["first", "second"]).reset_index(drop=True)


def groups(manifest, pairs):
    """Join patients who share a film, directly or through others.

    Returns
    -------
    pandas.Series
        For each row the first patient_id, in the alphabet, of its group.
    """
    patients, names = pd.factorize(manifest["patient_id"], sort=True)
    ends = patients[pairs["first"]], patients[pairs["second"]]
    links = coo_array((np.ones(len(pairs), bool), ends), shape=(len(names),) * 2)
    _, component = connected_components(links, directed=False)
    least = pd.Series(np.arange(len(names))).groupby(component).transform("min").to_numpy()
    return pd.Series(np.asarray(names, dtype=object)[least[patients]], manifest.index, dtype=str)


def across(manifest, pairs, column):
    """Those of `describe` that differ in a column, ``label`` or ``split``."""
    table = describe(manifest, pairs)
    return table[table[column] != table[f"other_{column}"]].reset_index(drop=True)


def describe(manifest, pairs):
    """The pairs in words, to be looked through.

    Returns
    -------
    pandas.DataFrame
        ``file``, ``label``, ``split`` of both (``other_``…), ``bits``, ``identical``.
    """
    columns = ["file", "label", "split"]
    one, other = (manifest.iloc[pairs[side]][columns] for side in ("first", "second"))
    table = pd.concat(
        [one.reset_index(drop=True), other.reset_index(drop=True).add_prefix("other_")], axis=1
    )
    return table.assign(bits=pairs["bits"].to_numpy(), identical=pairs["identical"].to_numpy())


def resolve(manifest, *, conflicting="error", copies="keep"):
    """Decide about films of equal bytes.

    Parameters
    ----------
    manifest : pandas.DataFrame
        With ``sha256``, ``label`` and ``file``.
    conflicting : {"error", "drop", "keep"}
        Where their labels differ, one of them is wrong: an error, leave all of them out, or keep.
    copies : {"keep", "drop"}
        Whether a film that occurs again in the same class stays.

    Returns
    -------
    manifest, dropped : pandas.DataFrame
        The rows that stay, and ``file``, ``label``, ``reason`` of the others.
    """
    wrong = manifest.groupby("sha256")["label"].transform("nunique") > 1
    if wrong.any() and conflicting == "error":
        films = manifest[wrong].groupby("sha256", sort=False)["file"].agg(" = ".join)
        raise DataError(
            f"label: found the same film in two classes: {few(films.tolist())}; expected one label "
            "each. Correct the labels, or set data.duplicates.conflicting_labels=drop (all of them "
            "are left out) or keep."
        )
    reason = pd.Series("", manifest.index)
    if copies == "drop":
        reason[manifest.duplicated(["sha256", "label"])] = "copy of another film of its class"
    if conflicting == "drop":
        reason[wrong] = "film with two labels"
    dropped = manifest.loc[reason != "", ["file", "label"]].assign(reason=reason[reason != ""])
    return manifest[reason == ""].reset_index(drop=True), dropped.reset_index(drop=True)
