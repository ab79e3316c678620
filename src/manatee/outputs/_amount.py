"""How much leaves: bytes, files, characters per cell; and only what was declared."""

import json

from manatee.outputs._subject import (
    Subject,
    cell_outputs,
    cell_text,
    check,
    first_of,
    mime_bundle,
)
from manatee.records import OutputCheck


def total_size(subject: Subject) -> OutputCheck:
    """Limit the bytes of the notebook and all files together."""
    size = len(json.dumps(subject.notebook).encode()) + sum(len(f.data) for f in subject.files)
    limit = subject.policy.max_total_bytes
    problem = f"The outputs are over the {limit} bytes that may leave." if size > limit else ""
    return check("total-size", "Outputs are small", problem, f"At most {limit} bytes.")


def file_count(subject: Subject) -> OutputCheck:
    """Limit the number of files."""
    count, limit = len(subject.files), subject.policy.max_files
    problem = f"There are more than the {limit} files that may leave." if count > limit else ""
    return check("file-count", "Output files are few", problem, f"At most {limit} files.")


def declared_only(subject: Subject) -> OutputCheck:
    """Refuse files the approvers did not read of: a file's name can carry data, too."""
    names = [file.path for file in subject.files]
    undeclared = any(name not in subject.declared for name in names)
    problem = "An output file was not declared in the job." if undeclared else ""
    if len(set(names)) != len(names):
        problem = "Two output files have the same name."
    return check("declared-only", "Only declared files leave", problem, "All were declared.")


def cell_text_length(subject: Subject) -> OutputCheck:
    """Limit the characters each cell prints."""
    lengths: dict[int, int] = {}
    for item in cell_outputs(subject):
        for mime, content in mime_bundle(item.output).items():
            length = len(cell_text(mime, content) or "")
            lengths[item.cell] = lengths.get(item.cell, 0) + length
    limit = subject.policy.max_cell_text_characters
    long = [cell for cell, length in lengths.items() if length > limit]
    problem = f"More than {limit} characters in {first_of(long)}." if long else ""
    return check(
        "cell-text", "Cells print little", problem, f"At most {limit} characters in each cell."
    )
