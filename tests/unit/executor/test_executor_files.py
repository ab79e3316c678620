"""Files are taken from the kernel's folder without following or trusting anything in it."""

import os
import socket
from pathlib import Path

import pytest

from manatee.errors import OutputCheckError, TooLargeError
from manatee.executor._files import take_files


def test_declared_files_are_taken_and_others_counted(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.csv").write_bytes(b"1")
    (tmp_path / "b.csv").write_bytes(b"2")
    taken = take_files(tmp_path, ("sub/a.csv", "missing.csv"), max_bytes=10)
    assert [(file.path, file.data) for file in taken.files] == [("sub/a.csv", b"1")]
    assert taken.undeclared == 1


def test_a_link_to_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"table")
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "a.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(OutputCheckError, match="link"):
        take_files(folder, ("a.csv",), max_bytes=10)


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "a.csv").write_bytes(b"table")
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "sub").symlink_to(tmp_path / "vault")
    with pytest.raises(OutputCheckError, match="link"):
        take_files(folder, ("sub/a.csv",), max_bytes=10)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(OutputCheckError, match="pipe"):
        take_files(tmp_path, ("a.csv",), max_bytes=10)


def test_a_socket_nobody_declared_is_refused_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(OutputCheckError, match="socket"):
            take_files(tmp_path, (), max_bytes=10)


def test_files_over_the_size_together_are_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(b"123456")
    with pytest.raises(TooLargeError):
        take_files(tmp_path, ("a.csv", "b.csv"), max_bytes=10)
