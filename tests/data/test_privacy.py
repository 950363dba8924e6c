"""Names and ids leave the study as keyed hashes only."""

import hashlib
import hmac

import numpy as np
import pandas as pd
import pytest
from dicom_material import dicom
from material import CLASSES, film

from lib.data import cache
from lib.data.audit.measures import measure
from lib.data.index import read_index
from lib.data.privacy import pseudonymise, pseudonyms, read_salt
from lib.study.errors import DataError

SALT = b"0123456789abcdef"


def test_pseudonyms_are_the_keyed_hash():
    names = pd.Series(["Doe^Jane", "", "Doe^Jane", "7"])
    expected = hmac.new(SALT, b"Doe^Jane", hashlib.sha256).hexdigest()[:16]
    hashed = pseudonyms(names, SALT)
    assert hashed[0] == hashed[2] == expected and hashed[1] == "" and hashed[3] != "7"
    assert (pseudonyms(names, SALT + b"x")[[0, 3]] != hashed[[0, 3]]).all()


def test_nothing_personal_is_left_in_tables_and_caches(tmp_path):
    for label in CLASSES:
        (tmp_path / label).mkdir()
        (tmp_path / label / f"Doe_Jane_19700101_{label}.dcm").write_bytes(
            dicom(film(len(label)), PatientID=f"patient {label}")
        )
        (tmp_path / label / "Roe_Richard.dcm").write_bytes(b"")
    index = read_index(tmp_path, classes=CLASSES).assign(physician="Dr Kildare", site="A")
    manifest, rejected = cache.build(
        index, tmp_path, sizes=[32], aspect="crop", folder=tmp_path / "cache", measure=measure
    )
    assert manifest["patient_id"].tolist() == [f"patient {label}" for label in CLASSES]
    assert manifest["patient_known"].all()
    hashed, hidden = pseudonymise(manifest, rejected, salt=SALT, keep=["site"])
    written = hashed.to_csv() + hidden.to_csv()
    personal = ["Doe", "1970", "Roe", "Kildare", "patient ", "Elsewhere", *manifest["sha256"]]
    assert not [word for word in personal if word.casefold() in written.casefold()]
    assert hashed["view"].tolist() == ["PA", "PA"] and hashed["site"].tolist() == ["A", "A"]
    assert hashed["patient_id"].nunique() == 2 and hashed["image_id"].nunique() == 2
    assert hashed["label"].tolist() == manifest["label"].tolist()
    assert hidden["reason"].tolist() == ["empty file"] * 2 and len(hidden["file"].unique()) == 2
    content = (tmp_path / "cache" / "images_32.npy").read_bytes()
    assert not any(word in content for word in (b"Doe", b"patient ", b"Elsewhere"))
    found = pseudonyms(manifest["file"], SALT)
    np.testing.assert_array_equal(found, hashed["file"])  # who has the salt finds a film again


def test_odd_values_of_headers_and_tables_are_no_way_out():
    manifest = pd.DataFrame(
        {
            "image_id": ["a", "b"], "label": ["ill", "well"], "view": ["PA", "DOE^JANE"],
            "age": ["061Y", "Jane"], "sex": ["f", "Doe"],
        }
    )  # fmt: skip
    rejected = pd.DataFrame(
        {
            "file": ["c", "d"], "label": ["ill", "Doe's knee"],
            "reason": ["no class of the study (found 'Doe')", "empty file"],
        }
    )  # fmt: skip
    hashed, hidden = pseudonymise(manifest, rejected, salt=SALT)
    assert hashed[["view", "age", "sex"]].to_numpy().tolist() == [["PA", "061Y", "f"], ["", "", ""]]
    assert hidden["label"].tolist() == ["ill", ""]
    assert hidden["reason"].tolist() == ["no class of the study", "empty file"]


def test_salt_is_read_and_checked(tmp_path):
    assert read_salt("") is None
    path = tmp_path / "salt"
    with pytest.raises(DataError, match=r"salt cannot be read \(No such file.*token_hex"):
        read_salt(str(path))
    path.write_bytes(b"short\n")
    with pytest.raises(DataError, match=r"found 5 bytes in .*expected at least 16"):
        read_salt(str(path))
    path.write_bytes(SALT + b"\n")
    assert read_salt(str(path)) == SALT
