"""What leaves a guest, by how the run ended and at which stage."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from manatee.executor._places import Places
from manatee.executor._release import leaving
from manatee.executor._run import Ran
from manatee.outputs import DEFAULT_POLICY
from manatee.records import Cause, ExitStatus, resource_class

ENDED = ExitStatus(succeeded=True, cells_run=1, cells_total=1)
FAILED = msgspec.structs.replace(ENDED, succeeded=False, cause=Cause.CELL_ERROR, cell=1, line=3)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(run=tmp_path, scratch=tmp_path / "scratch", vault=tmp_path / "vault")
    found.outputs.mkdir(parents=True)
    return found


def job(*, secure: bool, declared: tuple[str, ...] = ("a.csv", "b.csv")) -> Any:
    return SimpleNamespace(
        secure=secure,
        resources=resource_class("tiny"),
        plan=SimpleNamespace(
            manifest=SimpleNamespace(declared_outputs=declared),
            output_policy=DEFAULT_POLICY,
            datasets=(),
        ),
    )


def ran(status: ExitStatus) -> Ran:
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "x",
        "execution_count": 1,
        "outputs": [],
    }
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    return Ran(exit=status, notebook=book)


def paths(places: Places, *, secure: bool, status: ExitStatus) -> list[str]:
    found = leaving(job(secure=secure), places, ran(status))
    return [file.path for file in found.outputs.files]


def test_a_run_that_succeeded_leaves_its_declared_files(places: Places) -> None:
    (places.outputs / "a.csv").write_text("1\n")
    for secure in (True, False):
        assert paths(places, secure=secure, status=ENDED) == ["notebook.ipynb", "a.csv"]


def test_a_secure_run_that_failed_leaves_nothing_and_says_nothing_of_it(places: Places) -> None:
    """Which of many declared files are there would be a message that nobody reviews."""
    (places.outputs / "b.csv").write_text("1\n")
    found = leaving(job(secure=True), places, ran(FAILED))
    assert found.outputs.files == ()
    assert found.checks == ()
    assert found.judge(FAILED) == FAILED


def test_a_rehearsal_that_failed_shows_everything(places: Places) -> None:
    (places.outputs / "b.csv").write_text("1\n")
    assert paths(places, secure=False, status=FAILED) == ["notebook.ipynb", "b.csv"]


def test_how_many_undeclared_files_there_are_is_not_told(places: Places) -> None:
    said = []
    for count in (1, 19):
        for number in range(count):
            (places.outputs / f"more-{number}.csv").write_text("1\n")
        found = leaving(job(secure=True), places, ran(ENDED))
        said.append([check.reason for check in found.checks])
    assert said[0] == said[1]
    assert "Others were left behind." in said[0]
