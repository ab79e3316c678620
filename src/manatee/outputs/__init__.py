"""Disclosure control: what is checked, inside the guest, before an output may leave it.

Each check is one module and gives one named `OutputCheck`. All must pass. A check that cannot be
carried out (too much text, a table that cannot be read) has failed.

What is not caught, and why there is a reviewer's release policy beside the automatic one: rows that
were encoded (base64, hexadecimal, shifted letters, other units) before they were printed, data
hidden in the pixels of an image, and aggregates over very few people.
"""

from manatee.outputs._check import CHECK_NAMES, check_outputs, passed
from manatee.outputs._clean import clean_notebook, drop_html, strip_errors
from manatee.outputs._policy import DEFAULT_POLICY, output_policy
from manatee.outputs._rows import MAX_UNIQUE_VALUES

__all__ = [
    "CHECK_NAMES",
    "DEFAULT_POLICY",
    "MAX_UNIQUE_VALUES",
    "check_outputs",
    "clean_notebook",
    "drop_html",
    "output_policy",
    "passed",
    "strip_errors",
]
