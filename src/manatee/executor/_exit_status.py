"""What may be said outside about a cell that failed: class, line, cause. Never a message.

Whatever is said here, the researcher's code can choose; so there is little to choose from. A
class name outside the fixed list becomes `Exception`, and a line must be one the cell has.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence

_LIBRARIES = frozenset(
    {
        # pandas, numpy
        "AxisError",
        "DatabaseError",
        "EmptyDataError",
        "IntCastingNaNError",
        "InvalidIndexError",
        "LinAlgError",
        "MergeError",
        "OutOfBoundsDatetime",
        "ParserError",
        "UndefinedVariableError",
        # pyarrow
        "ArrowCapacityError",
        "ArrowException",
        "ArrowIndexError",
        "ArrowInvalid",
        "ArrowKeyError",
        "ArrowMemoryError",
        "ArrowNotImplementedError",
        "ArrowTypeError",
        # xgboost, scikit-learn, joblib
        "BrokenProcessPool",
        "NotFittedError",
        "TerminatedWorkerError",
        "XGBoostError",
        # the standard library
        "JSONDecodeError",
        "StatisticsError",
        "TimeoutExpired",
        # manatee
        "InputError",
        "OutputCheckError",
        "UnknownDatasetError",
        # IPython
        "StdinNotImplementedError",
        "UsageError",
    }
)

KNOWN_CLASSES = _LIBRARIES | {
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
"""Every class name that is ever said outside."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"Cell In\[(\d{1,6})\], line (\d{1,6})")
_ERRNO = re.compile(r"\[Errno (\d{1,3})\]")

MAX_TRACEBACK_CHARACTERS = 200_000
"""How much of a traceback is searched for the line, from its end."""


def known_class(name: str) -> str:
    """Return the name if it is on the fixed list, else `Exception`."""
    return name if name in KNOWN_CLASSES else "Exception"


def failing_line(traceback: Sequence[str], *, execution: int, lines: int) -> int | None:
    """Return the line of the cell at which it failed: the innermost frame that lies in the cell.

    Args:
        traceback: As the kernel sent it; untrusted.
        execution: The cell's execution count.
        lines: Number of lines of the cell; any other line is not believed.
    """
    text = "\n".join(traceback)[-MAX_TRACEBACK_CHARACTERS:]
    found = None
    for count, line in _FRAME.findall(_COLOUR.sub("", text)):
        if int(count) == execution and 1 <= int(line) <= lines:
            found = int(line)
    return found


def error_number(message: str) -> int | None:
    """Return the errno that an `OSError`'s message begins with, if it does."""
    match = _ERRNO.match(message)
    return int(match[1]) if match else None
