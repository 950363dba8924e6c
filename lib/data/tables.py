"""Tables of films: a manifest, or a table as a well-known collection publishes it.

`PUBLISHED` knows these by their columns; a further collection is an entry there.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from lib.data.naming import meaning, plain
from lib.study.errors import DataError, few
from lib.study.names import SOURCES

MASKS = {"lung_mask": "lungs", "lesion_mask": "lesion", "marker_mask": "marker"}
OURS = ("file", "label", "image_id", "patient_id", "split", "view", *MASKS, *SOURCES)
PATIENTS = ("PatientID", "patient", "subject_id", "subject")
DELIMITERS = ",;\t|"
# What the study writes itself; a column of the same name in a table is another thing.
RESERVED = ("refused", "has_lungs", "has_lesion", "has_marker", "patient_known", "remarks", "row")


@dataclass(frozen=True)
class Published:
    """How a collection writes its table, in columns whose case does not matter.

    Attributes
    ----------
    columns : mapping of str to str
        Theirs to ours. ``label`` is their text of findings; without one, findings are the columns
        of 1, 0, -1 (uncertain) and blank.
    needs : tuple of str
        Columns by which it is told.
    findings : mapping of str to str
        What a label means that is none; "*" any other text.
    separator : str
        Between the findings of a film.
    """

    columns: Mapping[str, str]
    needs: tuple[str, ...]
    findings: Mapping[str, str] = field(default_factory=dict)
    separator: str = "|"


PEOPLE = {"Patient Age": "age", "Age": "age", "Patient Gender": "sex", "Patient Sex": "sex",
          "Sex": "sex", "PatientSex_DICOM": "sex"}  # fmt: skip
PUBLISHED = {
    "NIH ChestX-ray14": Published(
        {"Image Index": "file", "Finding Labels": "label", "Patient ID": "patient_id",
         "View Position": "view"},
        needs=("Image Index", "Finding Labels"),
    ),
    "PadChest": Published(
        {"ImageID": "file", "Labels": "label", "PatientID": "patient_id", "Projection": "view"},
        needs=("ImageID", "Labels"), separator=",",
    ),
    "VinDr-CXR": Published(
        {"image_id": "file", "class_name": "label"}, needs=("image_id", "class_name"),
    ),
    "VinDr-CXR, labels of images": Published({"image_id": "file"}, needs=("image_id", "rad_id")),
    "RSNA Pneumonia": Published(
        {"patientId": "file", "Target": "label"}, needs=("patientId", "Target", "x", "y"),
        findings={"0": "No Lung Opacity", "1": "Lung Opacity"},
    ),
    "RSNA Pneumonia, detailed": Published(
        {"patientId": "file", "class": "label"}, needs=("patientId", "class"),
    ),
    "SIIM-ACR Pneumothorax": Published(
        {"ImageId": "file", "EncodedPixels": "label"}, needs=("ImageId", "EncodedPixels"),
        findings={"-1": "No Pneumothorax", "*": "Pneumothorax"},
    ),
    "CheXpert": Published(
        {"Path": "file", "AP/PA": "view"}, needs=("Path", "Frontal/Lateral", "AP/PA"),
    ),
    "MIMIC-CXR": Published(
        {"dicom_id": "file", "subject_id": "patient_id", "ViewPosition": "view", "split": "split"},
        needs=("dicom_id", "subject_id"),
    ),
}  # fmt: skip


def read_table(path, classes=(), labels=None):
    """Read a table of films and bring it to the columns of a manifest.

    Delimiter, case of the header and rows of blanks do not matter. A table of studies
    (``study_id``) is joined with those beside it that tell their films (``dicom_id``).

    A table with a column per finding (1, 0, -1 for uncertain, or blank) in the place of labels has
    them joined. A film of several rows or findings has a label only if all of them mean one class;
    "No Finding" means "normal" where that is a class and nothing else was said. An uncertain
    finding has a question mark.

    Classes and labels are those of `lib.data.index.read_index`; without classes findings stay as
    they are. All columns are text. Those that are named like patients are ``patient_id``, those
    named like ours (`RESERVED`) begin with "table_".
    """
    table = _with_neighbours(path, _read(path))
    spelt = {column.casefold(): column for column in table}
    known = (x for x in PUBLISHED.values() if {name.casefold() for name in x.needs} <= set(spelt))
    if not {"file", "label"} <= set(spelt) and (found := next(known, None)):
        normal = {"No Finding": "normal"} if "normal" in classes else {}
        mean = meaning(list(classes), normal | dict(labels or {}))
        return _from_published(table, found, spelt, mean)
    names = {plain(name): name for name in OURS}
    table = table.rename(columns={c: names.get(plain(c), c) for c in table})
    if "patient_id" not in table:
        found = [c for c in table if plain(c) in [plain(name) for name in PATIENTS]]
        if len(found) > 1:
            raise DataError(
                f"{path}: found columns {few(found)}, expected one that tells the patient. Name "
                "it patient_id."
            )
        table = table.rename(columns=dict.fromkeys(found, "patient_id"))
    if "file" in table and "label" not in table and (findings := _findings(table)):
        table = table.assign(label=_positive(table[findings])).drop(columns=findings)
    _check_columns(path, list(table))
    return table.rename(columns={c: f"table_{c}" for c in RESERVED if c in table})


def _read(path):
    # Not pandas.read_csv: it pads short rows and shifts long ones without a word.
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            first = handle.readline()
            handle.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            rows = [row for row in csv.reader(handle, delimiter=delimiter, strict=True)
                    if any(cell.strip() for cell in row)]  # fmt: skip
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV in UTF-8 ({error}). Save it again as such.") from error
    header, *rows = rows or [[]]
    header = [column.strip() for column in header]
    if header[-1:] == [""] and all(not row[-1].strip() for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]  # NIH's lines end with a comma
    if not header or len({name.casefold() for name in header}) < len(header):
        _check_columns(path, [name.casefold() for name in header])
    ragged = [n for n, row in enumerate(rows, start=1) if len(row) != len(header)]
    if ragged or not rows:
        found = f"other numbers of fields in rows {few(ragged)}" if ragged else "no rows"
        raise DataError(
            f"{path}: found {found}, expected rows of {len(header)} fields after the header. "
            f"Complete them; quote fields that hold {delimiter!r}."
        )
    return pd.DataFrame(rows, columns=header, dtype=str)


def _with_neighbours(path, table):
    """Films of the studies of a table, as MIMIC-CXR tells them in tables beside it."""
    for other in sorted(path.parent.glob("*.csv")):
        if "study_id" not in table or not other.is_file() or other.samefile(path):
            continue
        with open(other, "rb") as handle:
            header = handle.readline().strip().split(b",")
        if {b"dicom_id", b"study_id"} <= set(header):
            films = _read(other)
            on = [name for name in ("dicom_id", "study_id", "subject_id") if name in table]
            table = films.merge(table[[*on, *table.columns.difference(films.columns)]], on=on)
    return table


def _check_columns(path, columns):
    missing = [column for column in ("file", "label") if column not in columns]
    if missing or len(set(columns)) < len(columns):
        raise DataError(
            f"{path}: found columns {columns}, expected distinct ones with file and label"
            + (f" ({missing} missing)" if missing else "")
            + f", or those of {', '.join(PUBLISHED)}. Correct the first line, e.g. "
            "file,label,patient_id."
        )


def _from_published(table, known, spelt, mean):
    ours = {name.casefold(): column for name, column in (PEOPLE | dict(known.columns)).items()}
    columns = {spelt[name]: column for name, column in ours.items() if name in spelt}
    result = table[list(columns)].rename(columns=columns)
    result = result.loc[:, ~result.columns.duplicated()]
    if "label" not in result:
        result["label"] = _positive(table[_findings(table.drop(columns=list(columns)))])
    # CheXpert tells patient and a lateral view in other places.
    if "patient_id" not in result and result["file"].str.contains(r"patient\d").all():
        result["patient_id"] = result["file"].str.extract(r"(patient\d+)", expand=False)
    lateral = table.get(spelt.get("frontal/lateral"))
    if lateral is not None:
        result["view"] = result["view"].mask(lateral.str.casefold() == "lateral", "LATERAL")
    said = result["label"].str.strip()
    result["label"] = [known.findings.get(x, known.findings.get("*", x)) for x in said]
    # Several boxes, or readers, of one film.
    first = result.drop_duplicates("file").set_index("file").drop(columns="label")
    together = result.groupby("file", sort=False)["label"].agg(known.separator.join)
    result = first.join(together).reset_index()
    result["label"] = [_label(text, known.separator, mean) for text in result["label"]]
    result.insert(0, "image_id", result["file"])
    return result


def _findings(table):
    """Columns that hold nothing but 1, 0, -1 and blanks, and are no other thing of ours."""
    once = table.columns[~table.columns.duplicated(keep=False)]  # others are refused by name
    values = {name: set(table[name].str.strip().str.removesuffix(".0")) for name in once}
    marks = {"", "0", "1", "-1"}
    ours = (*OURS, *RESERVED)
    return [name for name, found in values.items() if found <= marks and name not in ours]


def _positive(table):
    """Findings of columns of 1 (yes), 0, -1 (uncertain) and blank, joined."""
    values = table.apply(lambda column: column.str.strip().str.removesuffix(".0"))
    marks = {"1": "", "-1": "?"}
    return [
        "|".join(name + marks[x] for name, x in zip(table, row, strict=True) if x in marks)
        for row in values.itertuples(index=False)
    ]


def _label(text, separator, mean):
    findings = [re.sub(r"^[\s\['\"]+|[\s\]'\"]+$", "", each) for each in text.split(separator)]
    findings = [name for name in dict.fromkeys(findings) if name]
    meant = {mean(finding) for finding in findings}
    return meant.pop() if len(meant) == 1 else "|".join(findings)
