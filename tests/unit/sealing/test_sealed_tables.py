"""What a sealed table keeps secret, and every way of tampering with it that must be refused."""

import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from manatee.errors import SealingError
from manatee.records import FileEntry, digest_file
from manatee.sealing import _tables as tables
from manatee.sealing import new_data_key, seal_table, unseal_to_arrow, write_plain
from manatee.sealing._kms import encryption

MARKER = "very-private-marker"
ENTRY = "table.parquet"


def a_table(rows: int = 1000) -> pa.Table:
    return pa.table(
        {
            "age": pa.array(range(rows), pa.int64()),
            "name": pa.array([f"{MARKER}-{row}" for row in range(rows)]),
            "dotted.name": pa.array([row / 7 for row in range(rows)]),
            "nested": pa.array([{"x": row, "y": [row, None]} for row in range(rows)]),
        }
    )


def read(target: Path) -> pa.Table:
    with pa.ipc.open_file(target) as reader:
        return reader.read_all()


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, tuple[FileEntry, ...], bytes]:
    folder = tmp_path / "sealed"
    folder.mkdir()
    key = new_data_key()
    return folder, seal_table(a_table(), folder, key), key


def refused(folder: Path, files: tuple[FileEntry, ...], key: bytes | None, match: str) -> None:
    target = folder.parent / "out.arrow"
    with pytest.raises(SealingError, match=match):
        unseal_to_arrow(folder, files, key, target)
    assert not target.exists()


def named_again(folder: Path) -> tuple[FileEntry, ...]:
    digest, size = digest_file(folder / ENTRY)
    return (FileEntry(path=ENTRY, sha256=digest, size=size),)


def test_a_sealed_table_comes_back_as_it_went_in(sealed, tmp_path):
    folder, files, key = sealed
    unseal_to_arrow(folder, files, key, tmp_path / "out.arrow")
    assert read(tmp_path / "out.arrow").equals(a_table())
    assert (tmp_path / "out.arrow").stat().st_mode & 0o077 == 0


def test_a_plain_table_comes_back_as_it_went_in(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    files = write_plain(a_table(), folder)
    unseal_to_arrow(folder, files, None, tmp_path / "out.arrow")
    assert read(tmp_path / "out.arrow").equals(a_table())


def test_a_stream_of_batches_is_sealed_in_row_groups_and_keeps_its_order(tmp_path):
    table = pa.table({"n": pa.array(range(300_000), pa.int64())})
    folder = tmp_path / "sealed"
    folder.mkdir()
    key = new_data_key()
    files = seal_table(table.to_reader(max_chunksize=50_000), folder, key)
    unseal_to_arrow(folder, files, key, tmp_path / "out.arrow")
    assert read(tmp_path / "out.arrow").equals(table)
    with pa.ipc.open_file(tmp_path / "out.arrow") as reader:
        assert reader.num_record_batches > 2


def test_no_value_and_no_column_name_stands_in_the_sealed_file(sealed):
    folder, _, _ = sealed
    data = (folder / ENTRY).read_bytes()
    assert MARKER.encode() not in data
    assert b"dotted.name" not in data


def test_library_metadata_does_not_travel_with_the_table(tmp_path):
    table = a_table(3).replace_schema_metadata({"pandas": MARKER})
    write_plain(table, tmp_path)
    assert MARKER.encode() not in pq.ParquetFile(tmp_path / ENTRY).metadata.metadata.get(
        b"ARROW:schema", b""
    )
    assert b"pandas" not in (pq.read_schema(tmp_path / ENTRY).metadata or {})


def test_every_seal_uses_fresh_keys_and_nonces(tmp_path):
    key = new_data_key()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        seal_table(a_table(), tmp_path / name, key)
    assert (tmp_path / "one" / ENTRY).read_bytes() != (tmp_path / "two" / ENTRY).read_bytes()


def test_another_key_is_refused(sealed):
    folder, files, _ = sealed
    refused(folder, files, new_data_key(), "key does not open")


def test_a_key_of_another_length_is_refused(sealed, tmp_path):
    folder, files, key = sealed
    refused(folder, files, key[:16], "32 bytes")
    (tmp_path / "new").mkdir()
    with pytest.raises(SealingError, match="32 bytes"):
        seal_table(a_table(), tmp_path / "new", key[:16])
    assert not list((tmp_path / "new").iterdir())


def test_a_flipped_byte_is_refused_by_its_digest(sealed):
    folder, files, key = sealed
    data = bytearray((folder / ENTRY).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / ENTRY).write_bytes(data)
    refused(folder, files, key, "digest")


@pytest.mark.parametrize("part", [0.02, 0.2, 0.4, 0.6, 0.8, 0.97])
def test_a_flipped_byte_is_refused_by_the_encryption_too(sealed, part):
    folder, _, key = sealed
    data = bytearray((folder / ENTRY).read_bytes())
    data[int(len(data) * part)] ^= 1
    (folder / ENTRY).write_bytes(data)
    refused(folder, named_again(folder), key, "damaged|does not open|not encrypted")


def test_a_truncated_file_is_refused(sealed):
    folder, files, key = sealed
    data = (folder / ENTRY).read_bytes()
    (folder / ENTRY).write_bytes(data[:-1])
    refused(folder, files, key, "size")
    refused(folder, named_again(folder), key, "not encrypted")


def test_the_file_of_another_data_set_is_refused(sealed, tmp_path):
    folder, files, key = sealed
    (tmp_path / "other").mkdir()
    other = seal_table(a_table(), tmp_path / "other", new_data_key())
    (folder / ENTRY).write_bytes((tmp_path / "other" / ENTRY).read_bytes())
    refused(folder, files, key, "size|digest")
    refused(folder, other, key, "key does not open")


def test_files_swapped_within_a_data_set_are_refused(tmp_path):
    folder = tmp_path / "two"
    folder.mkdir()
    entries = []
    for name, rows in (("a.parquet", [1, 2]), ("b.parquet", [3, 4])):
        pq.write_table(pa.table({"n": rows}), folder / name)
        digest, size = digest_file(folder / name)
        entries.append(FileEntry(path=name, sha256=digest, size=size))
    unseal_to_arrow(folder, tuple(entries), None, tmp_path / "fine.arrow")
    assert read(tmp_path / "fine.arrow")["n"].to_pylist() == [1, 2, 3, 4]
    os.rename(folder / "a.parquet", folder / "c.parquet")
    os.rename(folder / "b.parquet", folder / "a.parquet")
    os.rename(folder / "c.parquet", folder / "b.parquet")
    refused(folder, tuple(entries), None, "digest")


def test_files_of_two_schemas_are_refused(tmp_path):
    folder = tmp_path / "two"
    folder.mkdir()
    entries = []
    for name, column in (("a.parquet", "n"), ("b.parquet", "m")):
        pq.write_table(pa.table({column: [1]}), folder / name)
        digest, size = digest_file(folder / name)
        entries.append(FileEntry(path=name, sha256=digest, size=size))
    refused(folder, tuple(entries), None, "schema")


def test_a_missing_file_is_refused(sealed):
    folder, files, key = sealed
    (folder / ENTRY).unlink()
    refused(folder, files, key, "misses 1")


def test_an_extra_file_is_refused(sealed):
    folder, files, key = sealed
    (folder / "extra").mkdir()
    (folder / "extra" / "more.parquet").write_bytes(b"")
    refused(folder, files, key, "holds 1")


def test_a_link_to_the_very_same_bytes_is_refused(sealed, tmp_path):
    folder, files, key = sealed
    (folder / ENTRY).rename(tmp_path / "elsewhere")
    (folder / ENTRY).symlink_to(tmp_path / "elsewhere")
    refused(folder, files, key, "not a file")


def test_a_linked_folder_is_refused(sealed, tmp_path):
    folder, files, key = sealed
    (folder / "sub").symlink_to(tmp_path)
    refused(folder, files, key, "link")


def test_a_file_named_twice_and_no_file_at_all_are_refused(sealed):
    folder, files, key = sealed
    refused(folder, files + files, key, "once")
    refused(folder, (), key, "at least one")


def test_a_plain_file_in_place_of_a_sealed_one_is_refused(sealed):
    folder, _, key = sealed
    pq.write_table(a_table(), folder / ENTRY)
    refused(folder, named_again(folder), key, "not encrypted")


def test_a_sealed_file_in_place_of_a_twin_is_refused(sealed):
    folder, files, _ = sealed
    refused(folder, files, None, "not plain")


@pytest.mark.parametrize("junk", [b"", b"PAR", b"PAR1PAR1", b"PAR1" + b"\xff" * 64 + b"PAR1"])
def test_junk_is_refused(sealed, junk):
    folder, _, _ = sealed
    (folder / ENTRY).write_bytes(junk)
    refused(folder, named_again(folder), None, "not plain|damaged")


def test_an_existing_target_is_never_overwritten(sealed, tmp_path):
    folder, files, key = sealed
    target = tmp_path / "out.arrow"
    target.write_bytes(b"mine")
    with pytest.raises(SealingError):
        unseal_to_arrow(folder, files, key, target)
    assert target.read_bytes() == b"mine"


def test_an_empty_table_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(SealingError, match="without rows"):
        seal_table(a_table().slice(0, 0), tmp_path, new_data_key())
    assert not list(tmp_path.iterdir())


def test_two_leaves_of_one_path_are_refused(tmp_path):
    twice = pa.table([pa.array([{"b": 1}]), pa.array([2])], names=["a", "a.b"])
    with pytest.raises(SealingError, match="its own"):
        seal_table(twice, tmp_path, new_data_key())
    assert not list(tmp_path.iterdir())


def test_a_second_table_does_not_overwrite_the_first(sealed):
    folder, _, key = sealed
    before = (folder / ENTRY).read_bytes()
    with pytest.raises(SealingError, match="already"):
        seal_table(a_table(), folder, key)
    assert (folder / ENTRY).read_bytes() == before


@pytest.mark.parametrize("forgotten", ["age", "name", "nested.x", "nested.y.list.element"])
def test_the_scan_catches_a_column_that_the_key_map_forgot(tmp_path, monkeypatch, forgotten):
    def careless(key: bytes, leaves: list[str]) -> object:
        return encryption(key, [leaf for leaf in leaves if leaf != forgotten])

    monkeypatch.setattr(tables, "encryption", careless)
    with pytest.raises(SealingError, match=f"{forgotten!r} of the sealed file is in plaintext"):
        seal_table(a_table(), tmp_path, new_data_key())
    assert not list(tmp_path.iterdir())


def test_the_scan_catches_a_file_that_is_not_encrypted(tmp_path):
    pq.write_table(a_table(), tmp_path / ENTRY)
    with pytest.raises(SealingError, match="not encrypted"):
        tables.scan(tmp_path / ENTRY, new_data_key())


def test_keys_do_not_stand_in_messages(sealed):
    folder, files, key = sealed
    other = new_data_key()
    with pytest.raises(SealingError) as caught:
        unseal_to_arrow(folder, files, other, folder.parent / "out.arrow")
    text = io.StringIO()
    error: BaseException | None = caught.value
    while error is not None:
        text.write(repr(error))
        error = error.__cause__
    for secret in (key, other):
        assert secret.hex() not in text.getvalue()
        assert repr(secret) not in text.getvalue()
