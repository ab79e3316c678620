"""Limits of a workspace, and what is left out of one."""

MAX_FILES = 10_000
"""Most files and folders of a workspace."""

MAX_BYTES = 1 << 30
"""Most bytes of all files of a workspace together."""

MAX_NOTEBOOK_BYTES = 5 << 20
"""Largest notebook, in bytes. Outputs saved in it count; clear them if they do not fit."""

MAX_NAME_CHARACTERS = 512
"""Longest path inside a workspace; the same as a record's `RelativePath`."""

MAX_PART_BYTES = 255
"""Longest file or folder name in bytes: what Linux file systems take."""

SKIPPED_NAMES = frozenset({".git", ".ipynb_checkpoints", "__pycache__", ".venv"})
"""Files and folders of these names are never packed."""

SKIPPED_SUFFIXES = (".pyc",)
"""Files with these endings are never packed."""

BUFFER_BYTES = 1 << 20
"""How much of a file is read at one time."""
