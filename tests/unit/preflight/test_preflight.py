"""What pre-flight names, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manatee.errors import RuntimeEnvironmentError
from manatee.preflight import Preflight, importable_modules, own_modules, preflight

MODULES = {"pandas", "numpy", "manatee", "os", "time", "random", "datetime", "requests", "pathlib"}


def notebook(*sources: str, counts: list[int | None] | None = None, **metadata: Any) -> bytes:
    given_counts = counts or [None] * len(sources)
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"name": "python3", "language": "python", "display_name": "x"},
                **metadata,
            },
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"c{number}",
                    "metadata": {},
                    "execution_count": count,
                    "outputs": [],
                    "source": source,
                }
                for number, (source, count) in enumerate(
                    zip(sources, given_counts, strict=True), start=1
                )
            ],
        }
    ).encode()


def found(*sources: str, **more: Any) -> list[tuple[str, str, int | None, int | None]]:
    counts = list(range(1, len(sources) + 1))
    result = preflight(
        notebook(*sources, counts=counts), modules=MODULES, granted=["insurance"], **more
    )
    return [(item.severity, item.code, item.cell, item.line) for item in result.findings]


def test_a_clean_notebook_has_no_findings() -> None:
    assert found("import pandas as pd\nimport manatee", 'manatee.dataset("insurance")') == []


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("x = 1\nimport torch", ("error", "import", 1, 2)),
        ("from torch.nn import Linear", ("error", "import", 1, 1)),
        ("import requests", ("warning", "network", 1, 1)),
        ("import pandas as pd\npd.read_csv('https://x/y.csv')", ("error", "network", 1, 2)),
        ("import pandas\npandas.read_parquet('s3://b/k')", ("error", "network", 1, 2)),
        ("open('/etc/passwd')", ("warning", "path", 1, 1)),
        ("open('../other/data.csv')", ("warning", "path", 1, 1)),
        ("open('~/data.csv')", ("warning", "path", 1, 1)),
        ("import manatee\nmanatee.dataset('births')", ("error", "data-set", 1, 2)),
        ("dataset(name='births')", ("error", "data-set", 1, 1)),
        ("for x in:", ("error", "syntax", 1, 1)),
        ("!pip install torch", ("error", "install", 1, 1)),
        ("%pip install torch", ("error", "install", 1, 1)),
        ("x = !ls", ("warning", "shell", 1, 1)),
        ("%%bash\nls", ("warning", "shell", 1, 1)),
        ("import time\ntime.time()", ("hint", "clock", 1, 2)),
        ("from datetime import datetime\ndatetime.now()", ("hint", "clock", 1, 2)),
        ("import numpy as np\nnp.random.rand(3)", ("hint", "random", 1, 2)),
        ("import numpy as np\nnp.random.default_rng()", ("hint", "random", 1, 2)),
    ],
)
def test_each_trouble_is_named_with_its_place(
    source: str, finding: tuple[str, str, int, int]
) -> None:
    assert found(source) == [finding]


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nimport numpy",
        "import os.path",
        "from . import helpers",
        "open('beside.csv')",
        "x = 'https://example.org'",
        "import numpy as np\nnp.random.default_rng(7).normal()",
        "import random\nrandom.seed(1)\nrandom.random()",
        "await something()",
        "pandas?",
        "%timeit sum(range(9))",
        "",
    ],
)
def test_what_is_fine_is_left_alone(source: str) -> None:
    assert found(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import torch\nexcept ImportError:\n    torch = None",
        "if False:\n    import torch",
        "def later():\n    import torch",
        "if False:\n    manatee.dataset('births')",
        "try:\n    open('https://example.org')\nexcept OSError:\n    pass",
    ],
)
def test_what_may_never_matter_stops_nobody(source: str) -> None:
    (finding,) = found(source)
    assert finding[0] == "warning"


def test_an_address_that_is_only_shown_is_left_alone() -> None:
    assert found("print('https://example.org')", "import pandas\npandas.Series('s3://a')") == []


def test_a_cell_that_may_fail_stops_nobody() -> None:
    data = json.loads(notebook("import torch", counts=[1]))
    data["cells"][0]["metadata"]["tags"] = ["raises-exception"]
    result = preflight(json.dumps(data).encode(), modules=MODULES)
    assert result.ready
    assert [item.severity for item in result.findings] == ["warning"]


def test_a_notebook_of_many_megabytes_is_looked_at_in_bounded_time() -> None:
    source = "x = 1\n" * 500_000
    result = preflight(notebook(source, "import torch", counts=[1, 2]), modules=MODULES)
    assert [(item.code, item.cell) for item in result.findings] == [("import", 2), ("too-long", 1)]


def test_modules_beside_the_notebook_are_known(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "data.csv").write_text("")
    own = own_modules(tmp_path)
    assert own == {"helpers", "package"}
    assert found("import helpers, package.part", own=own) == []


def test_cells_that_were_not_run_or_out_of_order_are_named() -> None:
    result = preflight(notebook("a=1", "b=2", "c=3", counts=[2, 1, None]))
    assert [(item.code, item.cell) for item in result.findings] == [("order", 2), ("not-run", 3)]
    assert result.ready


def test_a_notebook_never_run_gets_one_hint() -> None:
    result = preflight(notebook("a=1", "b=2"))
    assert [(item.severity, item.code) for item in result.findings] == [("hint", "not-run")]


def test_the_worst_comes_first_and_stops_it() -> None:
    result = preflight(notebook("import time; time.time()", "import torch"), modules=MODULES)
    assert [item.severity for item in result.findings] == ["error", "hint", "hint"]
    assert not result.ready


def test_another_kernel_is_an_error_of_the_notebook() -> None:
    data = notebook("1").replace(b'"python3"', b'"ir"')
    result = preflight(data)
    assert [(item.severity, item.code, item.cell) for item in result.findings] == [
        ("error", "notebook", None)
    ]


def test_data_sets_and_parameters_are_listed() -> None:
    result = preflight(
        notebook(
            "import manatee\nmanatee.dataset('a')",
            "dataset('b'); manatee.dataset('a')",
            manatee={"parameters": {"rows": 3}},
        )
    )
    assert result.datasets == ("a", "b")
    assert result.parameters == {"rows": 3}
    assert result.n_cells == 2


def test_nothing_is_said_of_what_is_not_known() -> None:
    result = preflight(notebook("import torch\nmanatee.dataset('x')", counts=[1]))
    assert result.findings == ()


def test_nothing_of_the_notebook_is_ever_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    preflight(notebook(f"open({str(mark)!r}, 'w')", f"!touch {mark}"))
    assert not mark.exists()


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_no_code_breaks_it(source: str) -> None:
    assert isinstance(preflight(notebook(source), modules=MODULES, granted=[]), Preflight)


@pytest.mark.parametrize(
    "source", ["(" * 5000, "-" * 20_000 + "1", "x\0y", "1" * 6000, "f" + "()" * 10_000]
)
def test_code_that_breaks_parsers_is_a_finding(source: str) -> None:
    assert not preflight(notebook(source)).ready


@given(st.binary(max_size=400))
def test_no_bytes_break_it(data: bytes) -> None:
    assert not preflight(data).ready


def test_a_runtime_knows_its_modules(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    for folder in ("numpy", "numpy-2.0.dist-info", "xgboost"):
        (packages / folder).mkdir()
    for file in ("six.py", "fast.cpython-311-x86_64-linux-gnu.so", "a-script.py", "notes.txt"):
        (packages / file).write_text("")
    found_modules = importable_modules(tmp_path)
    assert {"numpy", "xgboost", "six", "fast", "json"} <= found_modules
    assert not {"notes", "numpy-2", "a-script"} & found_modules


def test_no_runtime_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(RuntimeEnvironmentError):
        importable_modules(tmp_path)
