"""Workspaces as deterministic archives, and the notebooks inside them.

The digest of an archive stands in the job manifest, so one folder must give one archive, byte
for byte, on any machine; and no archive that `pack` would not have written is ever unpacked.
"""

from manatee.workspace._limits import (
    MAX_BYTES,
    MAX_FILES,
    MAX_NOTEBOOK_BYTES,
    SKIPPED_NAMES,
    SKIPPED_SUFFIXES,
)
from manatee.workspace._notebook import (
    EntryNotebook,
    NotebookInfo,
    check_notebook,
    read_entry,
    read_notebook,
)
from manatee.workspace._pack import pack
from manatee.workspace._parameters import check_parameters
from manatee.workspace._unpack import unpack

__all__ = [
    "MAX_BYTES",
    "MAX_FILES",
    "MAX_NOTEBOOK_BYTES",
    "SKIPPED_NAMES",
    "SKIPPED_SUFFIXES",
    "EntryNotebook",
    "NotebookInfo",
    "check_notebook",
    "check_parameters",
    "pack",
    "read_entry",
    "read_notebook",
    "unpack",
]
