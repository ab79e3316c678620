"""What a notebook asks of ManaTEE: its data sets, its parameters, and a way to hand in results.

The same three calls work in both stages. They read one file, `session.json`, which the programming
environment and the guest write; the variable `MANATEE_SESSION` says where it is. Nothing here is
trusted: in the guest the checks on outputs are made elsewhere, on whatever was written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manatee.errors import InputError, OutputCheckError, UnknownDatasetError

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

SESSION_VARIABLE = "MANATEE_SESSION"

_FORMATS = {".arrow": "ipc", ".parquet": "parquet"}


def _session() -> dict[str, Any]:
    where = os.environ.get(SESSION_VARIABLE, "")
    if not where:
        raise InputError(
            f"no ManaTEE session: the variable {SESSION_VARIABLE} is not set.",
            hint="Rehearse or submit the notebook with `manatee`; there the session exists.",
        )
    try:
        session = json.loads(Path(where).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"the ManaTEE session that {SESSION_VARIABLE} names cannot be read.",
            hint="Start the session again.",
        ) from error
    if not isinstance(session, dict):
        raise InputError("the ManaTEE session is not a JSON object.")
    return session


def _mapping(member: str) -> dict[str, Any]:
    """Return a member of the session that maps names to values; none is an empty one."""
    found = _session().get(member, {})
    if not isinstance(found, dict):
        raise InputError(f"the ManaTEE session's {member!r} is not a JSON object.")
    return found


def _output_folder() -> Path:
    found = _session().get("outputs")
    if not isinstance(found, str) or not Path(found).is_absolute():
        raise InputError("the ManaTEE session names no output folder.")
    return Path(found)


def dataset(name: str) -> Dataset:
    """Return a data set of this session: the twin in stage one, the sealed table in stage two.

    Args:
        name: The data set's name in the catalogue.

    Returns:
        A `pyarrow.dataset.Dataset`; `.to_table().to_pandas()`, DuckDB and Polars work on it.

    Raises:
        UnknownDatasetError: The session has no such data set; the message lists those it has.
        InputError: There is no session.
    """
    known = _mapping("datasets")
    if name not in known:
        raise UnknownDatasetError(
            f"no data set {name!r} in this session.",
            hint=f"It has: {', '.join(sorted(known)) or 'none'}.",
        )
    import pyarrow.dataset

    folder = Path(str(known[name]))
    for ending, kind in _FORMATS.items():
        if files := sorted(str(path) for path in folder.glob(f"*{ending}")):
            return pyarrow.dataset.dataset(files, format=kind)
    raise UnknownDatasetError(f"the data set {name!r} has no files here.")


def params() -> dict[str, Any]:
    """Return the run's parameters: the notebook's defaults, with the submission's values in place.

    Raises:
        InputError: There is no session.
    """
    return dict(_mapping("parameters"))


def publish(name: str, value: object) -> Path:
    """Hand in a result: write it into the output folder, in the form that fits its type.

    It leaves the guest only if the job declared the file and the output checks pass it.

    Args:
        name: File name; the usual ending of the form is added where it has none.
        value: A matplotlib figure (PNG without metadata), a pandas or pyarrow table (CSV), text,
            bytes, or what JSON can say (a dict, list, number, true, false or None).

    Returns:
        Where the file was written.

    Raises:
        OutputCheckError: The name is not a plain file name, the value has no such form, or the
            file cannot be written.
        OSError: The disk is full.
        InputError: There is no session.
    """
    if not name or "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
        raise OutputCheckError(
            "an output needs a plain file name, without folders.",
            hint='For example publish("model.json", result).',
        )
    folder = _output_folder()
    data, ending = _encode(value)
    target = folder / (name if Path(name).suffix else name + ending)
    try:
        target.write_bytes(data)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        # a full disk stays what it is: OSError, which the run's report knows
        raise OutputCheckError(f"the output cannot be written ({error.strerror}).") from error
    return target


def _encode(value: object) -> tuple[bytes, str]:
    if isinstance(value, bytes):
        return value, ".bin"
    if isinstance(value, str):
        return _utf8(value), ".txt"
    if hasattr(value, "savefig"):
        return _png(value), ".png"
    if hasattr(value, "to_csv"):
        return _csv(value), ".csv"
    if type(value).__module__.partition(".")[0] == "pyarrow":
        return _table(value), ".csv"
    return _json(value), ".json"


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise OutputCheckError("the text has no UTF-8 form: it holds half a character.") from error


def _png(figure: Any) -> bytes:
    import io

    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _csv(frame: Any) -> bytes:
    """Return a pandas table as CSV, its index only where it says something."""
    text: str = frame.to_csv(index=type(frame.index).__name__ != "RangeIndex")
    return _utf8(text)


def _table(table: Any) -> bytes:
    import io

    import pyarrow.csv

    target = io.BytesIO()
    pyarrow.csv.write_csv(table, target)
    return target.getvalue()


def _plain(value: Any) -> Any:
    """Turn numpy's numbers and arrays into Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise OutputCheckError(
        f"a value of type {type(value).__name__} has no JSON form.",
        hint="Publish a dict, a list, a number, text, a table or a figure.",
    )


def _json(value: Any) -> bytes:
    try:
        return (json.dumps(value, indent=2, default=_plain, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputCheckError(
            "the value has no JSON form: it holds NaN, infinity, itself or a key that is no text.",
            hint="Replace such numbers by None before publishing.",
        ) from error
