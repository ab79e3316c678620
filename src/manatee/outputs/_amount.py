"""How much leaves: bytes, files, characters per cell; and only what was declared."""

import json

from manatee.outputs._subject import (
    Subject,
    cell_outputs,
    cell_text,
    check,
    mime_bundle,
    numbered,
)
from manatee.records import OutputCheck


def total_size(subject: Subject) -> OutputCheck:
    """Limit the bytes of the notebook and all files together."""
    size = len(json.dumps(subject.notebook).encode()) + sum(len(f.data) for f in subject.files)
    limit = subject.policy.max_total_bytes
    problem = f"The outputs have {size} bytes; {limit} may leave." if size > limit else ""
    return check("total-size", "Outputs are small", problem, f"{size} of at most {limit} bytes.")


def file_count(subject: Subject) -> OutputCheck:
    """Limit the number of files."""
    count, limit = len(subject.files), subject.policy.max_files
    problem = f"There are {count} output files; {limit} may leave." if count > limit else ""
    return check("file-count", "Output files are few", problem, f"{count} of at most {limit}.")


def declared_only(subject: Subject) -> OutputCheck:
    """Refuse files the approvers did not read of: a file's name can carry data, too."""
    names = [file.path for file in subject.files]
    undeclared = sum(name not in subject.declared for name in names)
    problem = f"{undeclared} output files were not declared in the job." if undeclared else ""
    if len(set(names)) != len(names):
        problem = "Two output files have the same name."
    return check(
        "declared-only", "Only declared files leave", problem, f"{len(names)} files, all declared."
    )


def cell_text_length(subject: Subject) -> OutputCheck:
    """Limit the characters each cell prints."""
    lengths: dict[int, int] = {}
    for item in cell_outputs(subject):
        for mime, content in mime_bundle(item.output).items():
            length = len(cell_text(mime, content) or "")
            lengths[item.cell] = lengths.get(item.cell, 0) + length
    limit = subject.policy.max_cell_text_characters
    long = [cell for cell, length in lengths.items() if length > limit]
    problem = f"More than {limit} characters in {numbered(long)}." if long else ""
    longest = max(lengths.values(), default=0)
    return check(
        "cell-text", "Cells print little", problem, f"At most {longest} of {limit} in one cell."
    )
