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


def read_salt(path):
    """Read the secret of a study from a file relative to the repository; None for no file ("").

    Raises
    ------
    DataError
        When the file is missing, unreadable or shorter than 16 bytes.
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

    Parameters
    ----------
    manifest, rejected : pandas.DataFrame
        Of `lib.data.cache.build`, the masks already read.
    salt : bytes
        Of `read_salt`. Whoever has it finds a film again by `pseudonyms` of its name.
    keep : sequence of str
        Columns to leave as they are besides label, split, sizes, view, age and sex.

    Returns
    -------
    manifest, rejected : pandas.DataFrame
        ``image_id``, ``file``, ``patient_id``, ``sha256`` and the names of masks hashed; columns
        that are not known to be harmless are dropped.
    """
    columns = [column for column in manifest if column in (*HASHED, *KEPT, *keep)]
    manifest, rejected = manifest[columns].copy(), rejected.copy()
    for table in (manifest, rejected):
        for column in (column for column in HASHED if column in table):
            table[column] = pseudonyms(table[column], salt)
    if manifest["image_id"].duplicated().any():  # one in ten million at a million films
        raise DataError(
            "data.salt_file: found two image_ids of one hash, expected distinct ones. Use another "
            "salt."
        )
    return manifest, rejected
