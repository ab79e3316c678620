"""All checks of one run's outputs, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manatee.outputs import _amount, _form, _rows, _types
from manatee.outputs._subject import Subject, check_depth
from manatee.records import DisclosureRecord, OutputFile, OutputPolicy, digest_record

CHECK_NAMES = (
    "total-size",
    "file-count",
    "declared-only",
    "cell-text",
    "notebook-form",
    "no-tracebacks",
    "mime-types",
    "active-content",
    "file-types",
    "images",
    "private-rows",
    "private-values",
)
"""Every check that a disclosure record must hold; one that lacks any proves nothing."""


def check_outputs(
    *,
    notebook: Mapping[str, Any],
    files: tuple[OutputFile, ...],
    declared: tuple[str, ...],
    policy: OutputPolicy,
    tables: Mapping[str, Path],
) -> DisclosureRecord:
    """Check what wants to leave. Reads the tables; writes nothing.

    Args:
        notebook: The executed notebook, nbformat 4, cleaned (`clean_notebook`).
        files: What the notebook put into its output folder.
        declared: Names the job declared.
        policy: The provider's.
        tables: Data set name to the Arrow IPC file the notebook was given.

    Returns:
        Every check with a reason that names cells and files by number, never a value. All must
        have passed (`passed`) before anything leaves.

    Raises:
        OutputCheckError: The notebook is no JSON object, or nested too deeply to be checked.
    """
    check_depth(notebook)
    subject = Subject(notebook, files, declared, policy, tables)
    checks = (
        _amount.total_size(subject),
        _amount.file_count(subject),
        _amount.declared_only(subject),
        _amount.cell_text_length(subject),
        _form.notebook_form(subject),
        _form.no_tracebacks(subject),
        _types.mime_types(subject),
        _types.active_content(subject),
        _types.file_types(subject),
        _types.images(subject),
        *_rows.private_rows_and_values(subject),
    )
    return DisclosureRecord(policy_digest=digest_record(policy), checks=checks)


def passed(record: DisclosureRecord) -> bool:
    """Whether there were checks and every one of them passed."""
    return bool(record.checks) and all(item.passed for item in record.checks)
