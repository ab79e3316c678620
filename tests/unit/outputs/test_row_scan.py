"""Private rows are found in whatever shape they are printed; aggregates pass."""

from __future__ import annotations

import json
import math
import random
import resource
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from manatee.outputs import DEFAULT_POLICY, check_outputs, passed
from manatee.outputs import _tokens as tokens_module
from manatee.records import DisclosureRecord, OutputFile

POLICY = msgspec.structs.replace(DEFAULT_POLICY, max_cell_text_characters=1_000_000)


def insurance(rows: int, seed: int = 7) -> pa.Table:
    rng = random.Random(seed)
    age = [rng.randint(18, 64) for _ in range(rows)]
    smoker = [rng.random() < 0.2 for _ in range(rows)]
    return pa.table(
        {
            "age": age,
            "sex": [rng.choice(["female", "male"]) for _ in range(rows)],
            "bmi": [round(rng.gauss(30.6, 6.1), 3) for _ in range(rows)],
            "children": [rng.choice([0, 0, 0, 1, 1, 2, 3, 4, 5]) for _ in range(rows)],
            "smoker": ["yes" if one else "no" for one in smoker],
            "region": [
                rng.choice(["northeast", "northwest", "southeast", "southwest"])
                for _ in range(rows)
            ],
            "charges": [
                round(a * 250 + 24000 * s + rng.expovariate(1 / 5000), 4)
                for a, s in zip(age, smoker, strict=True)
            ],
        }
    )


def write(table: pa.Table, path: Path) -> Path:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return insurance(1338)


@pytest.fixture(scope="module")
def stored(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(table, tmp_path_factory.mktemp("tables") / "insurance.arrow")


def notebook(text: str, data: Any = None) -> dict[str, Any]:
    output: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": text}
    if data is not None:
        output = {"output_type": "display_data", "metadata": {}, "data": data}
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "",
        "execution_count": 1,
        "outputs": [output],
    }
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}


def scan(
    text: str, tables: dict[str, Path], *, data: Any = None, files: tuple[OutputFile, ...] = ()
) -> DisclosureRecord:
    return check_outputs(
        notebook=notebook(text, data),
        files=files,
        declared=tuple(file.path for file in files),
        policy=POLICY,
        tables=tables,
    )


def failed(record: DisclosureRecord) -> set[str]:
    return {item.name for item in record.checks if not item.passed}


def caught(text: str, stored: Path, **more: Any) -> bool:
    return "private-rows" in failed(scan(text, {"insurance": stored}, **more))


def row(table: pa.Table, number: int) -> dict[str, Any]:
    return {name: table.column(name)[number].as_py() for name in table.column_names}


ROW = 701


def shapes(values: dict[str, Any]) -> dict[str, str]:
    plain = [str(value) for value in values.values()]
    shuffled = [plain[i] for i in (6, 2, 0, 5, 4, 1, 3)]
    return {
        "csv": ",".join(plain),
        "semicolons": ";".join(plain),
        "frame": "     age     sex     bmi\n" + "701   " + "   ".join(plain),
        "series": "\n".join(f"{name:<10}{value}" for name, value in values.items()) + "\nName: 701",
        "json": json.dumps(values),
        "indented": json.dumps(values, indent=2),
        "columns": json.dumps({name: [value, 0] for name, value in values.items()}, indent=1),
        "tuple": repr(tuple(values.values())),
        "arrow": "pyarrow.Table\n" + "\n".join(f"{k}: [[{v!r}]]" for k, v in values.items()),
        "shuffled": " | ".join(shuffled),
        "rounded": ",".join(
            f"{value:.2f}" if isinstance(value, float) else str(value) for value in values.values()
        ),
        "thousands": " ".join(
            f"{value:,.2f}" if isinstance(value, float) else str(value) for value in values.values()
        ),
        "shouted": ",".join(plain).upper(),
        "partly": f"{values['age']} {values['bmi']} {values['charges']}",
        "repr of csv": repr("age,sex\n" + ",".join(plain) + "\n0,x\n"),
        "prose": f"One aged {values['age']}, BMI {values['bmi']}, paid {values['charges']}.",
    }


@pytest.mark.parametrize("shape", sorted(shapes(row(insurance(3), 1))))
def test_a_row_is_found_in_every_plain_shape(shape: str, table: pa.Table, stored: Path) -> None:
    assert caught(shapes(row(table, ROW))[shape], stored)


def test_transposed_rows_are_found(table: pa.Table, stored: Path) -> None:
    rows = [row(table, number) for number in (3, ROW, 9)]
    text = "\n".join(name + " " + " ".join(str(one[name]) for one in rows) for name in rows[0])
    assert caught(text, stored)


@pytest.mark.parametrize("ending", [".csv", ".json", ".md", ".txt"])
def test_a_row_is_found_in_a_declared_file(ending: str, table: pa.Table, stored: Path) -> None:
    values = row(table, ROW)
    text = json.dumps({k: {"0": v} for k, v in values.items()})
    content = text if ending == ".json" else ",".join(map(str, values.values()))
    file = OutputFile(path="result" + ending, data=content.encode())
    record = scan("ok", {"insurance": stored}, files=(file,))
    assert failed(record) == {"private-rows"}
    assert "file 1" in next(item.reason for item in record.checks if not item.passed)


def test_a_row_is_found_in_a_json_output(table: pa.Table, stored: Path) -> None:
    values = row(table, ROW)
    assert caught("", stored, data={"application/json": [values]})
    split = {"columns": list(values), "data": [list(values.values())]}
    assert caught("", stored, data={"application/json": split})


def test_letters_beyond_ascii_are_compared_too(tmp_path: Path) -> None:
    people = pa.table(
        {
            "name": [f"Jürgen-{chr(0xE0 + i % 20)}{i}" for i in range(400)],
            "town": [f"Köln-{i * 7}" for i in range(400)],
            "code": [f"ß{i * 13}" for i in range(400)],
        }
    )
    stored = write(people, tmp_path / "people.arrow")
    values = row(people, 77)
    assert caught("", stored, data={"application/json": values})
    file = OutputFile(path="a.json", data=json.dumps(values).encode())
    assert caught("", stored, files=(file,))


def png(*extra: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), *extra]
    chunks += [(b"IDAT", zlib.compress(b"\x00\x00")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def test_a_row_in_a_pictures_text_chunk_does_not_leave(table: pa.Table, stored: Path) -> None:
    line = ",".join(map(str, row(table, ROW).values())).encode()
    hidden = OutputFile(path="a.png", data=png((b"tEXt", b"Comment\x00" + line)))
    plain = OutputFile(path="a.png", data=png())
    assert failed(scan("ok", {"insurance": stored}, files=(hidden,))) == {"file-types"}
    assert passed(scan("ok", {"insurance": stored}, files=(plain,)))


def test_aggregates_pass(table: pa.Table, stored: Path) -> None:
    lines = []
    for key in ("region", "smoker", "sex", "children"):
        grouped = table.group_by(key).aggregate(
            [("charges", "mean"), ("bmi", "mean"), ("age", "count")]
        )
        for one in grouped.to_pylist():
            numbers = f"{one['charges_mean']:.2f} {one['bmi_mean']:.2f} {one['age_count']}"
            lines.append(f"{one[key]} {numbers}")
    columns = [table.column(name).to_pylist() for name in ("age", "bmi", "children", "charges")]
    for one in columns:
        lines.append(" ".join(f"{correlation(one, other):.6f}" for other in columns))
    for name in ("age", "bmi", "charges"):
        values = table.column(name)
        mean, spread = pc.mean(values).as_py(), pc.stddev(values).as_py()
        lines.append(f"{name} mean {mean:.6f} std {spread:.6f}")
    lines += ["r2 0.7509130345985207", "rmse 5799.59", "intercept -11938.5386 smoker 23848.5345"]
    lines += ["histogram 222 169 139 128 121 117 96 84 79 63 41 33 25 21"]
    assert failed(scan("\n".join(lines), {"insurance": stored})) == set()


def correlation(one: list[float], other: list[float]) -> float:
    a, b = sum(one) / len(one), sum(other) / len(other)
    top = sum((x - a) * (y - b) for x, y in zip(one, other, strict=True))
    return top / math.sqrt(sum((x - a) ** 2 for x in one) * sum((y - b) ** 2 for y in other))


def test_random_numbers_are_seldom_taken_for_a_row(table: pa.Table, stored: Path) -> None:
    rng = random.Random(11)
    wrong = 0
    cells = 300
    for _ in range(cells):
        lines = (" ".join(f"{rng.gauss(0, 1000):.3f}" for _ in range(6)) for _ in range(5))
        wrong += caught("\n".join(lines), stored)
    assert wrong / cells <= 0.02


def test_smallest_and_largest_of_a_small_table_are_flagged_on_purpose(tmp_path: Path) -> None:
    small = insurance(10, seed=3)
    stored = write(small, tmp_path / "small.arrow")
    richest = pc.index(small.column("charges"), pc.max(small.column("charges"))).as_py()
    assert caught(" ".join(map(str, row(small, richest).values())), stored)


@pytest.mark.parametrize("rows", [1, 2, 10])
def test_rows_of_tiny_tables_are_found(rows: int, tmp_path: Path) -> None:
    small = insurance(rows)
    stored = write(small, tmp_path / "small.arrow")
    assert caught(",".join(map(str, row(small, 0).values())), stored)
    assert not caught("finished", stored)


def test_an_empty_table_hides_nothing(tmp_path: Path) -> None:
    stored = write(insurance(1).slice(0, 0), tmp_path / "none.arrow")
    assert passed(scan("19,female,27.9,0,yes,southwest,16884.924", {"insurance": stored}))


def test_missing_and_endless_numbers_do_not_stop_the_scan(table: pa.Table, tmp_path: Path) -> None:
    odd = table.slice(0, 500)
    values = odd.column("bmi").to_pylist()
    values[3], values[4], values[5], values[6] = float("nan"), float("inf"), None, -float("inf")
    odd = odd.set_column(2, "bmi", pa.array(values, pa.float64()))
    odd = odd.append_column("nothing", pa.nulls(500))
    odd = odd.append_column("huge", pa.array([1e308, -1e308] * 250))
    stored = write(odd, tmp_path / "odd.arrow")
    for number in range(3, 8):
        assert caught(",".join(map(str, row(odd, number).values())), stored)
    assert not caught("nan inf -inf None", stored)


def test_a_list_of_single_peoples_values_does_not_leave(table: pa.Table, stored: Path) -> None:
    some = [str(value) for value in table.column("charges").to_pylist()[:40]]
    record = scan("\n".join(some), {"insurance": stored})
    assert "private-values" in failed(record)
    assert "private-values" not in failed(scan("\n".join(some[:5]), {"insurance": stored}))


@pytest.mark.parametrize("content", [None, b"", b"ARROW1 damaged", b"\x00" * 100])
def test_a_table_that_cannot_be_read_fails_the_check(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "t.arrow"
    if content is not None:
        path.write_bytes(content)
    record = scan("x", {"insurance": path})
    assert failed(record) == {"private-rows", "private-values"}


def test_a_column_nobody_can_compare_fails_the_check(tmp_path: Path) -> None:
    stored = write(pa.table({"a": [[1, 2], [3]]}), tmp_path / "t.arrow")
    assert "private-rows" in failed(scan("x", {"t": stored}))


def test_too_much_text_to_check_fails_the_check(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "MAX_TOKENS", 100)
    assert failed(scan("1 " * 100, {"insurance": stored})) == set()
    assert failed(scan("1 " * 101, {"insurance": stored})) == {"private-rows", "private-values"}


def test_reasons_never_hold_a_value(table: pa.Table, stored: Path) -> None:
    values = row(table, ROW)
    record = scan(",".join(map(str, values.values())), {"insurance": stored})
    assert not passed(record)
    said = " ".join(item.reason for item in record.checks)
    for value in (values["bmi"], values["charges"], values["region"]):
        assert str(value) not in said


@pytest.mark.timeout(60)
def test_a_million_rows_are_scanned_in_seconds(tmp_path: Path, record_property: Any) -> None:
    base = insurance(20_000)
    big = pa.concat_tables([base] * 50)
    noise = pc.multiply(pc.random(len(big), initializer=1), 1000.0)
    big = big.set_column(6, "charges", pc.round(pc.add(big.column("charges"), noise), 4))
    stored = write(big.combine_chunks(), tmp_path / "big.arrow")
    values = row(big, 777_777)
    del base, noise
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    clean = scan("mean 13270.42\nstd 12110.01\nn 1000000\n0.25 3 4 yes no", {"big": stored})
    leak = scan(",".join(map(str, values.values())), {"big": stored})
    seconds = time.monotonic() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    record_property("seconds", seconds)
    record_property("mib", grown)
    print(f"two scans of 1M rows: {seconds:.2f} s, {grown:.0f} MiB more at the peak")
    assert passed(clean)
    assert failed(leak) == {"private-rows"}
    assert seconds < 40
    assert grown < 1500


def test_a_median_is_somebodys_value_and_still_no_row(table: pa.Table, stored: Path) -> None:
    charges = sorted(table.column("charges").to_pylist())
    assert passed(scan(f"median charges {charges[len(charges) // 2]}", {"insurance": stored}))


def test_whole_numbers_beside_a_row_do_not_hide_it(table: pa.Table, stored: Path) -> None:
    one = row(table, ROW)
    lines = [f'"{name}": {{"0": {value}}}' for name, value in one.items()]
    noise = " ".join(str(number) for number in range(18, 30))
    assert caught("\n".join([*lines, noise]), stored)
