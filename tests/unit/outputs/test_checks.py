"""Each check alone: one output that only this check refuses, and its name in the record."""

from __future__ import annotations

import base64
import copy
import struct
import zlib
from typing import Any

import msgspec
import pytest

from manatee.errors import OutputCheckError
from manatee.outputs import (
    DEFAULT_POLICY,
    check_outputs,
    clean_notebook,
    drop_html,
    passed,
    strip_errors,
)
from manatee.records import DisclosureRecord, OutputFile, OutputPolicy, digest_record

STREAM = {"output_type": "stream", "name": "stdout", "text": "fine\n"}


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(*extra: bytes, pixels: bytes = b"\x00\x00") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    body = header + b"".join(extra) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def notebook(*outputs: Any, **members: Any) -> dict[str, Any]:
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "x",
        "execution_count": 1,
        "outputs": list(outputs),
    }
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell], **members}


def shown(data: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data, **members}


def failing(
    book: dict[str, Any],
    *files: OutputFile,
    declared: tuple[str, ...] | None = None,
    policy: OutputPolicy = DEFAULT_POLICY,
) -> set[str]:
    names = tuple(file.path for file in files) if declared is None else declared
    record = check_outputs(notebook=book, files=files, declared=names, policy=policy, tables={})
    return {item.name for item in record.checks if not item.passed}


def file(path: str, data: bytes = b"1\n") -> OutputFile:
    return OutputFile(path=path, data=data)


def policy(**changed: Any) -> OutputPolicy:
    return msgspec.structs.replace(DEFAULT_POLICY, **changed)


def test_ordinary_outputs_pass_every_check() -> None:
    image = base64.encodebytes(png()).decode()
    book = notebook(STREAM, shown({"text/plain": "1", "image/png": image}))
    files = (file("a.csv"), file("b.json", b"{}"), file("c.png", png()), file("d.md"))
    record = check_outputs(
        notebook=book,
        files=files,
        declared=("a.csv", "b.json", "c.png", "d.md"),
        policy=DEFAULT_POLICY,
        tables={},
    )
    assert passed(record)
    assert record.policy_digest == digest_record(DEFAULT_POLICY)
    assert len({item.name for item in record.checks}) == len(record.checks) == 12


def test_no_checks_is_no_pass() -> None:
    empty = DisclosureRecord(policy_digest=digest_record(DEFAULT_POLICY), checks=())
    assert not passed(empty)


def error(**changed: Any) -> dict[str, Any]:
    return {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []} | changed


@pytest.mark.parametrize(
    ("name", "book", "files", "rules"),
    [
        ("total-size", notebook(STREAM), (), policy(max_total_bytes=10)),
        ("file-count", notebook(), (file("a.txt"), file("b.txt")), policy(max_files=1)),
        ("cell-text", notebook(STREAM), (), policy(max_cell_text_characters=3)),
        ("notebook-form", notebook(extra=1), (), DEFAULT_POLICY),
        ("notebook-form", notebook({**STREAM, "name": "secret"}), (), DEFAULT_POLICY),
        ("notebook-form", notebook({**STREAM, "extra": 1}), (), DEFAULT_POLICY),
        ("notebook-form", notebook(metadata={"secret": 1}), (), DEFAULT_POLICY),
        ("notebook-form", notebook(metadata={"language_info": {"v": 1}}), (), DEFAULT_POLICY),
        ("notebook-form", notebook(cells=["x"]), (), DEFAULT_POLICY),
        (
            "notebook-form",
            notebook(cells=[{"cell_type": "markdown", "source": "", "outputs": [STREAM]}]),
            (),
            DEFAULT_POLICY,
        ),
        ("notebook-form", notebook(shown({}, metadata={"x": 1})), (), DEFAULT_POLICY),
        ("notebook-form", notebook(shown({}, execution_count=1909)), (), DEFAULT_POLICY),
        ("no-tracebacks", notebook(error(evalue="19 years")), (), DEFAULT_POLICY),
        ("no-tracebacks", notebook(error(traceback=["x"])), (), DEFAULT_POLICY),
        ("no-tracebacks", notebook(error(ename="Aged19Smoker")), (), DEFAULT_POLICY),
        ("mime-types", notebook(shown({"text/markdown": "x"})), (), DEFAULT_POLICY),
        (
            "active-content",
            notebook(shown({"text/html": "x"})),
            (),
            policy(allowed_mime_types=("text/html",)),
        ),
        (
            "images",
            notebook(shown({"image/jpeg": "AA=="})),
            (),
            policy(allowed_mime_types=("image/jpeg",)),
        ),
        ("images", notebook(shown({"image/png": "AA=="})), (), DEFAULT_POLICY),
        ("images", notebook(shown({"image/png": {"a": 1}})), (), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.pkl"),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a"),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.pdf"),), policy(allowed_file_types=(".pdf",))),
        ("file-types", notebook(), (file("a.json", b"{"),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.csv", b"\xff"),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.txt", b"\x1b[2J"),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.png", b"1"),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.png", png() + b"1"),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.png", png(pixels=b"\0\0\0")),), DEFAULT_POLICY),
        ("file-types", notebook(), (file("a.png", png(chunk(b"eXIf", b"1"))),), DEFAULT_POLICY),
        ("declared-only", notebook(), (file("a.csv"), file("a.csv")), DEFAULT_POLICY),
    ],
)
def test_each_check_refuses_alone_by_its_name(
    name: str, book: dict[str, Any], files: tuple[OutputFile, ...], rules: OutputPolicy
) -> None:
    assert failing(book, *files, policy=rules) == {name}


def test_an_undeclared_file_does_not_leave() -> None:
    assert failing(notebook(), file("Zaphod.csv"), declared=("a.csv",)) == {"declared-only"}


def test_the_text_matplotlib_writes_by_itself_may_stay() -> None:
    text = b"Software\x00Matplotlib version3.10.7, https://matplotlib.org/"
    assert failing(notebook(), file("a.png", png(chunk(b"tEXt", text)))) == set()


def test_stripping_leaves_of_an_error_its_class_only_if_python_has_it() -> None:
    book = notebook(
        error(evalue="row 19", traceback=["row 19"]), error(ename="Aged19"), error(ename=[1])
    )
    kept = copy.deepcopy(book)
    stripped = strip_errors(book)
    assert book == kept, "the original stays as it was"
    outputs = stripped["cells"][0]["outputs"]
    assert [item["ename"] for item in outputs] == ["ValueError", "Exception", "Exception"]
    assert all(item["evalue"] == "" and item["traceback"] == [] for item in outputs)
    assert failing(stripped) == set()


def test_cleaning_removes_what_the_kernel_wrote_and_keeps_what_the_researcher_wrote() -> None:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = notebook(
        shown({"text/plain": "1", "text/html": "<b>1</b>"}, metadata={"secret": 1}, transient={}),
        metadata={
            "kernelspec": {**spec, "secret": 1},
            "language_info": {"name": "python", "version": "19"},
            "widgets": {},
            "manatee": {"parameters": {"a": 1}},
        },
    )
    book["cells"][0]["metadata"] = {"execution": {"t": 1}, "tags": ["mine"]}
    cleaned = clean_notebook(book)
    assert cleaned["metadata"] == {
        "kernelspec": spec,
        "language_info": {"name": "python"},
        "manatee": {"parameters": {"a": 1}},
    }
    assert cleaned["cells"][0]["metadata"] == {"tags": ["mine"]}
    assert cleaned["cells"][0]["outputs"] == [shown({"text/plain": "1"})]
    assert failing(cleaned) == set()


def test_html_without_text_beside_it_is_not_dropped_but_refused() -> None:
    book = notebook(shown({"text/html": "<b>1</b>"}))
    assert drop_html(book) == book
    assert failing(book) == {"mime-types", "active-content"}


def test_nesting_too_deep_to_check_is_refused() -> None:
    value: Any = 1
    for _ in range(3000):
        value = [value]
    book = notebook(shown({"application/json": value}))
    for act in (clean_notebook, strip_errors, drop_html, failing):
        with pytest.raises(OutputCheckError, match="nested deeper"):
            act(book)


def said(book: dict[str, Any], *files: OutputFile, rules: OutputPolicy) -> list[str]:
    names = tuple(item.path for item in files)
    record = check_outputs(notebook=book, files=files, declared=names, policy=rules, tables={})
    return [item.reason for item in record.checks]


def cells_of(*printed: str) -> dict[str, Any]:
    book = notebook()
    cell = book["cells"][0]
    book["cells"] = [
        {**cell, "id": f"c{number}", "outputs": [{**STREAM, "text": text}] if text else []}
        for number, text in enumerate(printed)
    ]
    return book


STRICT = {"max_total_bytes": 10, "max_cell_text_characters": 3, "max_files": 1}


@pytest.mark.parametrize("rules", [policy(), policy(**STRICT)], ids=["passed", "failed"])
def test_reasons_do_not_say_how_much_or_how_many(rules: OutputPolicy) -> None:
    """They are said of outputs that stay: a size or a count would carry what the code puts in."""
    few = said(cells_of("aaaa", "bbbb"), file("a.csv"), file("b.csv"), rules=rules)
    many = said(
        cells_of("a" * 17, "b" * 1909),
        *(file(f"{number}.csv", b"1,2\n" * (number + 1)) for number in range(3)),
        rules=rules,
    )
    assert few == many


def test_reasons_do_not_say_which_but_for_the_first() -> None:
    rules = policy(max_cell_text_characters=3)
    some = said(cells_of("", "long", "", "long"), rules=rules)
    others = said(cells_of("", "long", "long", "", "long"), rules=rules)
    assert "More than 3 characters in cell 2 and others." in some
    assert set(others) >= {reason for reason in some if "cell" in reason and "code" not in reason}
    one = said(cells_of("", "long"), rules=rules)
    assert "More than 3 characters in cell 2." in one


def test_of_wrong_files_the_first_is_named() -> None:
    wrong = said(notebook(), file("a.csv"), file("b.exe"), file("c.exe"), rules=policy())
    assert "File 2 has an ending that may not leave." in wrong
