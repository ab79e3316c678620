# Tasks of this repository. `./run TASK` sets everything up first; CI runs `./run check`.

# Play the whole story: one private table, two stages, one proof.
demo *ARGS:
    manatee demo {{ARGS}}

# The researcher's desk: JupyterLab in front of a clean room on this machine.
lab *ARGS:
    manatee lab --demo {{ARGS}}

# Everything CI checks.
check: lint types layers test docs

# Style and likely mistakes.
lint:
    ruff check .
    ruff format --check .

# Types, strictly.
types:
    mypy

# Who may import whom.
layers:
    lint-imports

# All tests; `just test tests/unit` for some.
test *ARGS="tests":
    pytest -n 2 --dist loadgroup {{ARGS}}

# Fuzz one parser, guided by coverage: `just fuzz nitro 120`.
fuzz TARGET SECONDS *ARGS:
    python tests/fuzz/run.py {{TARGET}} {{SECONDS}} {{ARGS}}

# The documentation, warnings as errors.
docs:
    sphinx-build -q -W -b html docs docs/_build/html

# Measure: see benchmarks/ for what each one compares.
bench:
    python benchmarks/packing.py
    python benchmarks/sealed_read.py
    python benchmarks/clean_room_overhead.py
    python benchmarks/service_memory.py
