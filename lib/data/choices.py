"""What a choice about the data may be: stated by the study's parameters, looked up here."""

from typing import get_args

from lib.study.data_params import Data, Duplicates
from lib.study.errors import DataError


def check_choice(name, value):
    """Refuse what no study could choose.

    Parameters
    ----------
    name : str
        A field of `lib.study.data_params.Data` or `Duplicates` with named values.

    Raises
    ------
    DataError
        On another value.
    """
    fields = Data.model_fields | Duplicates.model_fields
    if value not in (allowed := get_args(fields[name].annotation)):
        raise DataError(f"{name}: found {value!r}, expected one of {allowed}. Choose one.")
