"""What kind of content leaves: listed MIME types and file types only, and nothing active."""

import re
from typing import Any

from manatee.errors import MalformedError, TooLargeError
from manatee.outputs._png import png_problem
from manatee.outputs._subject import (
    TEXT_FILE_TYPES,
    Subject,
    cell_outputs,
    check,
    ending,
    first_of,
    joined,
    mime_bundle,
)
from manatee.records import OutputCheck, OutputFile, parse_json, unbase64

_ACTIVE = re.compile(r"html|javascript|ecmascript|svg|xml|widget|vnd\.|pdf|latex", re.IGNORECASE)
"""Never leaves, whatever a policy lists: content that a viewer would carry out."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def mime_types(subject: Subject) -> OutputCheck:
    """Refuse cell outputs with a representation the policy does not list; none is dropped."""
    cells = {
        item.cell
        for item in cell_outputs(subject)
        if any(mime not in subject.policy.allowed_mime_types for mime in mime_bundle(item.output))
    }
    problem = f"A kind of output that may not leave is in {first_of(cells)}." if cells else ""
    listed = ", ".join(subject.policy.allowed_mime_types)
    return check("mime-types", "Only listed kinds of output", problem, f"All of: {listed}.")


def active_content(subject: Subject) -> OutputCheck:
    """Refuse HTML, scripts, SVG and widgets, also where a policy lists them."""
    cells = {
        item.cell
        for item in cell_outputs(subject)
        if any(_ACTIVE.search(mime) for mime in mime_bundle(item.output))
    }
    metadata = subject.notebook.get("metadata", {})
    problem = f"Active content is in {first_of(cells)}." if cells else ""
    if isinstance(metadata, dict) and "widgets" in metadata:
        problem = "The notebook holds the state of widgets."
    return check("active-content", "Nothing active", problem, "No HTML, script or widget.")


def _file_problem(file: OutputFile) -> str:
    kind = ending(file.path)
    if kind == ".png":
        return png_problem(file.data)
    if kind not in TEXT_FILE_TYPES:
        return "has an ending whose content cannot be checked"
    try:
        text = file.data.decode("utf-8")
        if kind == ".json":
            parse_json(file.data, max_bytes=max(len(file.data), 1))
    except (UnicodeDecodeError, MalformedError, TooLargeError):
        return "is not what its ending says"
    return "holds control characters" if _CONTROLS.search(text) else ""


def file_types(subject: Subject) -> OutputCheck:
    """Refuse files of an unlisted ending, or whose content is not what the ending says."""
    problems: dict[int, str] = {}
    for number, file in enumerate(subject.files, start=1):
        if ending(file.path) not in subject.policy.allowed_file_types:
            problems[number] = "has an ending that may not leave"
        elif problem := _file_problem(file):
            problems[number] = problem
    first = f"File {min(problems)} {problems[min(problems)]}." if problems else ""
    return check("file-types", "Files are what they seem", first, "Every one is.")


def _image_problem(mime: str, content: Any) -> str:
    if mime != "image/png":
        return "is of a kind that cannot be checked"
    try:
        return png_problem(unbase64("".join(joined(content).split())))
    except MalformedError:
        return "is not base64"


def images(subject: Subject) -> OutputCheck:
    """Refuse cell images that are not plain PNG: text, metadata or bytes behind the picture."""
    cells: dict[int, str] = {}
    for item in cell_outputs(subject):
        for mime, content in mime_bundle(item.output).items():
            if not mime.startswith("image/"):
                continue
            problem = _image_problem(mime, content)
            if problem:
                cells[item.cell] = problem
    first = f"The image in cell {min(cells)} {cells[min(cells)]}." if cells else ""
    return check("images", "Images are only pictures", first, "No hidden text or bytes.")
