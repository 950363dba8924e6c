"""Names and ids of films and patients, as keyed hashes that nobody can undo without the salt.

A name, a date or a hospital's number often hides in a file name, and plain hashes of ids are undone
by trying all of them; with a secret salt (HMAC, RFC 2104) that needs the salt.
"""

import hashlib
import hmac

from lib.data.tables import MASKS
from lib.study.errors import DataError
from lib.study.paths import resolve

LEAST_SALT, DIGITS = 16, 16
HASHED = ("image_id", "file", "patient_id", "sha256", *MASKS)
KEPT = (
    *("label", "patient_known", "split", "width", "height", "row"),
    *("has_lungs", "has_lesion", "has_marker", "view", "age", "sex", "remarks"),
)
# A header or a table may hold anything in these; what is none of their values becomes "".
_VIEWS = "AP|PA|LL|RL|RLD|LLD|RLO|LLO|L|R|LAT|LATERAL|ANTEROPOSTERIOR|POSTEROANTERIOR"
VALUES = {"view": _VIEWS, "age": r"0*1?\d{1,2}[YMWD]?(\.0)?", "sex": "[FMOU]|FEMALE|MALE|UNKNOWN"}


def read_salt(path):
    """Read the secret of a study from a file relative to the repository; None for no file ("").

    One that cannot be read or is shorter than 16 bytes is a DataError.
    """
    if not path:
        return None
    make = f"python -c 'import secrets; print(secrets.token_hex(32))' > {path}"
    try:
        salt = resolve(path).read_bytes().strip()
    except OSError as error:
        raise DataError(
            f"data.salt_file: {path} cannot be read ({error.strerror}); expected a file of at "
            f"least {LEAST_SALT} secret bytes. Make one and keep it to yourself: {make}"
        ) from error
    if len(salt) < LEAST_SALT:
        raise DataError(
            f"data.salt_file: found {len(salt)} bytes in {path}, expected at least {LEAST_SALT}, "
            f"drawn at random: {make}"
        )
    return salt


def pseudonyms(names, salt):
    """Hash a Series of names by HMAC-SHA-256, to 16 hexadecimal digits; the empty one stays."""
    known = {
        name: hmac.new(salt, str(name).encode(), hashlib.sha256).hexdigest()[:DIGITS]
        for name in names.unique()
    }
    return names.map(known | {"": ""})


def pseudonymise(manifest, rejected, *, salt, keep=()):
    """Take names and ids out of the tables of a study.

    The `HASHED` columns are hashed; others that are neither `KEPT` nor in `keep` are dropped, and
    of view, age and sex what is no such thing. Why a film was rejected stays without what was found
    in it, and of its label only what accepted films have too. Whoever has the salt finds a film
    again by `pseudonyms` of its name.

    Parameters
    ----------
    manifest, rejected : pandas.DataFrame
        As of `lib.data.cache.build`.
    salt
        Of `read_salt`.
    keep : sequence of str
        Further columns that stay as they are.

    Returns
    -------
    manifest, rejected : pandas.DataFrame

    Raises
    ------
    DataError
        If two image ids have one hash.
    """
    columns = [column for column in manifest if column in (*HASHED, *KEPT, *keep)]
    manifest, rejected = manifest[columns].copy(), rejected.copy()
    for table in (manifest, rejected):
        for column in (column for column in HASHED if column in table):
            table[column] = pseudonyms(table[column], salt)
    for column in (column for column in VALUES if column in manifest and column not in keep):
        known = manifest[column].astype(str).str.upper().str.fullmatch(VALUES[column])
        manifest[column] = manifest[column].where(known, "")
    rejected["label"] = rejected["label"].where(rejected["label"].isin(manifest["label"]), "")
    rejected["reason"] = rejected["reason"].str.split(" (", regex=False).str[0]
    if manifest["image_id"].duplicated().any():  # one in ten million at a million films
        raise DataError(
            "data.salt_file: found two image_ids of one hash, expected distinct ones. Use another "
            "salt."
        )
    return manifest, rejected
