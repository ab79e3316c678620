"""How good are our twins, and what do they cost, against synthesis libraries?

Everybody gets one table coded into the contract's cells, and the sizes of the domain, so that
nobody has to read a domain from the data; every library runs in an environment of its own, made
on demand. What comes out is decoded in one way. A run is a process: the seconds are those of
fitting and drawing (for ours, of coding too), without imports but with what a library compiles;
memory is the process's peak. A library that cannot be installed or crashes is printed as such.

The PyPI package of mbi has the estimator but not the mechanisms, which are scripts of its
repository: MST and AIM are written here on its API, with their published shares and iterations.

    python benchmarks/twin_utility.py --venvs FOLDER [--table real.csv] [--published twin.csv]
"""

from __future__ import annotations

import argparse
import csv
import importlib
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

HERE = Path(__file__).resolve()
OURS = ("mst", "aim", "task")
ENVIRONMENTS = {
    "mbi": ("mbi==2.0.0", "pandas"),
    "dpmm": ("dpmm==0.1.9",),
    "opendp": ("opendp[mbi,polars]==0.16.0", "pandas"),
    "smartnoise": ("smartnoise-synth==1.0.8",),
    "target": ("xgboost-cpu==3.2.0", "scikit-learn"),
}
MEASURES = ("one_way", "two_way", "correlation", "task")

Codes = Mapping[str, Any]
Facts = Mapping[str, Any]
Draw = Callable[[], Codes]
"""Fits and draws; returns whole numbers by column."""


def _ours(mechanism: str, facts: Facts) -> Draw:
    from fractions import Fraction

    import numpy as np

    from manatee.provisioning import insurance_contract
    from manatee.provisioning.counting import memory_counter
    from manatee.provisioning.noise import Budget
    from manatee.provisioning.synthesis import Task, fit
    from manatee.provisioning.tables import open_source

    contract = insurance_contract()
    columns = contract.only.columns
    with open_source({contract.only.name: Path(facts["table"])}, contract) as source:
        table = source.table(contract.only.name).read()

    def draw() -> Codes:
        counter = memory_counter(columns, {item.name: table[item.name] for item in columns})
        found = fit(
            counter,
            mechanism=mechanism,  # type: ignore[arg-type]
            budget=Budget(Fraction(facts["rho"])),
            task=Task(facts["target"], tuple(facts["features"])) if mechanism == "task" else None,
        )
        return found.draw(max(round(found.total), 1), np.random.default_rng())

    return draw


def _frame(facts: Facts) -> Any:
    return importlib.import_module("pandas").read_csv(facts["codes"])


def _mbi(mechanism: str, facts: Facts) -> Draw:
    mbi, np = importlib.import_module("mbi"), importlib.import_module("numpy")
    frame = _frame(facts)
    domain = mbi.Domain.fromdict(facts["sizes"])
    rho, sampler = facts["rho"], np.random.default_rng()
    estimate = mbi.estimation.MirrorDescent().estimate

    def noisy(data: Any, clique: tuple[str, ...], sigma: float) -> Any:
        exact = np.asarray(data.project(clique).datavector())
        return mbi.LinearMeasurement(exact + sampler.normal(0, sigma, exact.size), clique, sigma)

    def choose(scores: Any, epsilon: float, sensitivity: float = 1.0) -> int:
        chances = np.exp(epsilon / (2 * sensitivity) * (scores - scores.max()))
        return int(sampler.choice(len(chances), p=chances / chances.sum()))

    def wrong(data: Any, model: Any, clique: tuple[str, ...]) -> float:
        exact = np.asarray(data.project(clique).datavector())
        return float(np.abs(exact - np.asarray(model.project(clique).datavector())).sum())

    def mst(data: Any) -> Any:
        names = data.domain.attributes
        sigma = math.sqrt(3 / (2 * rho))
        alone = [noisy(data, (name,), sigma * math.sqrt(len(names))) for name in names]
        merges = {}
        for item in alone:
            seen = item.noisy_measurement >= 3 * item.stddev
            merges[item.clique[0]] = np.where(seen, np.cumsum(seen) - 1, seen.sum())
        alone = [item.compress(merges, data.domain) for item in alone]
        data = data.compress(merges)
        model = estimate(data.domain, alone, iters=2500)
        pairs = list(itertools.combinations(names, 2))
        scores = {pair: wrong(data, model, pair) for pair in pairs}
        part = {name: name for name in names}
        chosen = []
        for _ in names[1:]:
            apart = [pair for pair in pairs if part[pair[0]] != part[pair[1]]]
            epsilon = math.sqrt(8 * rho / 3 / (len(names) - 1))
            pair = apart[choose(np.array([scores[item] for item in apart]), epsilon)]
            chosen.append(pair)
            kept, gone = part[pair[0]], part[pair[1]]
            part = {name: kept if at == gone else at for name, at in part.items()}
        scale = sigma * math.sqrt(len(chosen))
        measured = alone + [noisy(data, pair, scale) for pair in chosen]
        fitted = estimate(data.domain, measured, iters=10_000)
        return fitted.synthetic_data().decompress(merges)

    def aim(data: Any) -> Any:
        names = data.domain.attributes
        pairs = list(itertools.combinations(names, 2))
        weights: dict[tuple[str, ...], int] = {
            clique: sum(len({*clique} & {*pair}) for pair in pairs)
            for clique in [*((name,) for name in names), *pairs]
        }
        rounds = 16 * len(names)
        sigma = math.sqrt(rounds / (2 * 0.9 * rho))
        epsilon = math.sqrt(8 * 0.1 * rho / rounds)
        measured = [noisy(data, (name,), sigma) for name in names]
        spent = len(names) / (2 * sigma**2)
        model = estimate(domain, measured, iters=1000)
        last = False
        while not last:
            last = rho - spent < 2 * (1 / (2 * sigma**2) + epsilon**2 / 8)
            if last:
                sigma = math.sqrt(1 / (2 * 0.9 * (rho - spent)))
                epsilon = math.sqrt(8 * 0.1 * (rho - spent))
            spent += 1 / (2 * sigma**2) + epsilon**2 / 8
            size = mbi.junction_tree.hypothetical_model_size
            held = [item.clique for item in measured]
            small = [
                clique
                for clique in weights
                if size(domain, [*held, clique]) <= 80 * spent / rho
                or any({*clique} <= {*other} for other in model.cliques)
            ]
            bias = math.sqrt(2 / math.pi) * sigma
            scores = [
                weights[clique] * (wrong(data, model, clique) - bias * domain.size(clique))
                for clique in small
            ]
            largest = max(weights[clique] for clique in small)
            clique = small[choose(np.array(scores), epsilon, largest)]
            before = np.asarray(model.project(clique).datavector())
            measured.append(noisy(data, clique, sigma))
            model = estimate(domain, measured, iters=1000, warm_start=_expanded(model, measured))
            after = np.asarray(model.project(clique).datavector())
            if np.abs(after - before).sum() <= bias * domain.size(clique):
                sigma, epsilon = sigma / 2, epsilon * 2
        return model.synthetic_data()

    def draw() -> Codes:
        values = {name: frame[name].to_numpy() for name in domain.attributes}
        found = (mst if mechanism == "mst" else aim)(mbi.Dataset(values, domain))
        drawn: Codes = found.to_dict()
        return drawn

    return draw


def _expanded(model: Any, measured: list[Any]) -> Any:
    return model.potentials.expand(list({item.clique for item in measured}))


def _dpmm(mechanism: str, facts: Facts) -> Draw:
    pipelines, frame = importlib.import_module("dpmm.pipelines"), _frame(facts)
    kinds = {"mst": "MSTPipeline", "aim": "AIMPipeline", "privbayes": "PrivBayesPipeline"}

    def draw() -> Codes:
        pipeline = getattr(pipelines, kinds[mechanism])(
            epsilon=facts["epsilon"], delta=facts["delta"], disable_processing=True
        )
        pipeline.fit(frame, domain=dict(facts["sizes"]))
        drawn = pipeline.generate(n_records=len(frame))
        return {name: drawn[name].to_numpy() for name in facts["sizes"]}

    return draw


def _opendp(mechanism: str, facts: Facts) -> Draw:
    dp, pl = importlib.import_module("opendp.prelude"), importlib.import_module("polars")
    importlib.import_module("opendp.extras.mbi")
    dp.enable_features("contrib")
    frame = pl.read_csv(facts["codes"])
    sizes = facts["sizes"]

    def draw() -> Codes:
        context = dp.Context.compositor(
            data=frame.lazy(),
            privacy_unit=dp.unit_of(contributions=1),
            privacy_loss=dp.loss_of(rho=facts["rho"]),
        )
        algorithm = dp.mbi.MST() if mechanism == "mst" else dp.mbi.AIM()
        found = (
            context.query(rho=facts["rho"])
            .select(*sizes)
            .contingency_table(
                keys={name: list(range(size)) for name, size in sizes.items()},
                algorithm=algorithm,
            )
            .release()
            .synthesize()
        )
        # the library adds a key for missing values to every column; nothing is missing here
        found = found.drop_nulls()
        return {name: found[name].to_numpy() for name in sizes}

    return draw


def _smartnoise(mechanism: str, facts: Facts) -> Draw:
    synthesizers = importlib.import_module("snsynth")
    transforms, pandas = (
        importlib.import_module("snsynth.transform"),
        importlib.import_module("pandas"),
    )
    frame, sizes = _frame(facts), facts["sizes"]
    most = max(sizes.values())
    public = {name: [place % size for place in range(most)] for name, size in sizes.items()}

    def draw() -> Codes:
        labels = [transforms.LabelTransformer(nullable=False) for _ in sizes]
        table = transforms.TableTransformer(labels)
        table.fit(pandas.DataFrame(public))
        made = synthesizers.Synthesizer.create(
            mechanism, epsilon=facts["epsilon"], delta=facts["delta"]
        )
        made.fit(frame, transformer=table)
        drawn = pandas.DataFrame(made.sample(len(frame)))
        drawn.columns = list(sizes)
        return {name: drawn[name].to_numpy() for name in sizes}

    return draw


RUNNERS: dict[str, tuple[Callable[[str, Facts], Draw], tuple[str, ...]]] = {
    "ours": (_ours, OURS),
    "mbi": (_mbi, ("mst", "aim")),
    "dpmm": (_dpmm, ("mst", "aim", "privbayes")),
    "opendp": (_opendp, ("mst", "aim")),
    "smartnoise": (_smartnoise, ("mst", "aim")),
}


def _memory(name: str) -> float:
    """Return a figure of this process in MiB; `ru_maxrss` would count the parent's peak too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _one(name: str, facts: Facts, out: Path) -> None:
    """Be the process that is measured."""
    library, mechanism = name.split("-")
    draw = RUNNERS[library][0](mechanism, facts)
    before = _memory("VmHWM")
    begun, used = perf_counter(), process_time()
    drawn = draw()
    found = {
        "seconds": perf_counter() - begun,
        "cpu": process_time() - used,
        "imports_mib": before,
        "peak_mib": _memory("VmHWM"),
    }
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(facts["sizes"])
        rows = zip(*(drawn[column] for column in facts["sizes"]), strict=True)
        writer.writerows([int(code) for code in row] for row in rows)
    print(json.dumps(found))


def _target(folder: Path) -> None:
    """Be the process that trains on every twin and tests on all real rows."""
    np, xgboost = importlib.import_module("numpy"), importlib.import_module("xgboost")
    real = np.load(folder / "real.npz")
    errors = {}
    for path in sorted(folder.glob("twin-*.npz")):
        twin = np.load(path)
        model = xgboost.XGBRegressor(n_jobs=1).fit(twin["features"], twin["target"])
        error = model.predict(real["features"]) - real["target"]
        errors[path.stem.removeprefix("twin-")] = float(np.sqrt((error**2).mean()))
    print(json.dumps(errors))


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"


def _said(text: str) -> dict[str, float]:
    """Return the JSON of the last line; libraries print before it."""
    found: dict[str, float] = json.loads(text.splitlines()[-1])
    return found


def _interpreter(name: str, asked: argparse.Namespace) -> str:
    """Return an environment's interpreter, and make the environment if it is not there.

    Raises:
        RuntimeError: It cannot be made.
    """
    if asked.venvs is None:
        raise RuntimeError("no --venvs given")
    python = asked.venvs.resolve() / name / "bin" / "python"
    wanted = ENVIRONMENTS[name]
    if not python.exists():
        asked.venvs.mkdir(parents=True, exist_ok=True)
        command = [asked.uv, "venv", "-q", "--python", "3.11", str(python.parents[1])]
        _run(command, asked.timeout)
    ready = python.parents[1] / "installed.txt"
    if not ready.exists() or ready.read_text() != "\n".join(wanted):
        _run([asked.uv, "pip", "install", "-q", "--python", str(python), *wanted], asked.timeout)
        ready.write_text("\n".join(wanted))
    return str(python)


def _run(command: list[str], timeout: float, *, path: Path | None = None) -> str:
    """Return what a command prints.

    Raises:
        RuntimeError: It failed, or took too long.
    """
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"not done after {timeout:.0f} s") from error
    except OSError as error:
        raise RuntimeError(str(error)) from error
    if done.returncode:
        raise RuntimeError(_last(done.stderr))
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", type=Path, help="CSV of the insurance contract")
    parser.add_argument("--published", type=Path, help="another twin of that table, to be rated")
    parser.add_argument("--venvs", type=Path, help="where the libraries' environments are made")
    parser.add_argument("--uv", default="uv", help="the uv command")
    parser.add_argument("--target", type=Path, help="a folder that has xgboost, for the task")
    parser.add_argument("--only", nargs="+", help="libraries, or library-mechanism")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--rows", type=int, default=1338, help="of the generated table")
    parser.add_argument("--seed", type=int, default=0, help="of the generated table, of decoding")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each; noise has no seed")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one run")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        _one(asked.one[0], json.loads(asked.one[1]), Path(asked.one[2]))
    elif asked.train:
        _target(asked.train)
    else:
        with tempfile.TemporaryDirectory(prefix="manatee-utility-") as scratch:
            compare(asked, Path(scratch))


def compare(asked: argparse.Namespace, scratch: Path) -> None:
    """Run everybody, print a table, a comparison and JSON."""
    import numpy as np
    import pyarrow.csv
    from _twin_metrics import FEATURES, TARGET, task_of, utility

    from manatee.contracts import arrow_schema, decode, encode, n_cells
    from manatee.provisioning import insurance_contract, insured_persons, read_table
    from manatee.provisioning.noise import rho_for

    contract = insurance_contract()
    columns = contract.only.columns
    path = asked.table.resolve() if asked.table else scratch / "table.csv"
    if not asked.table:
        pyarrow.csv.write_csv(insured_persons(asked.rows, seed=asked.seed), path)
    real = read_table(path, contract)
    coded = {item.name: encode(real[item.name], item) for item in columns}
    pyarrow.csv.write_csv(pyarrow.table(coded), scratch / "codes.csv")
    facts = {
        "table": str(path),
        "codes": str(scratch / "codes.csv"),
        "sizes": {item.name: n_cells(item) for item in columns},
        "target": TARGET,
        "features": FEATURES,
        "epsilon": asked.epsilon,
        "delta": asked.delta,
        "rho": rho_for(epsilon=asked.epsilon, delta=asked.delta),
    }
    sampler = np.random.default_rng(asked.seed)
    runs: dict[str, list[dict[str, float]]] = {}
    failures: dict[str, str] = {}
    tasks = scratch / "tasks"
    tasks.mkdir()

    def keep(name: str, twin: Any, cost: dict[str, float]) -> None:
        features, target = task_of(twin, columns)
        place = len(runs.setdefault(name, []))
        np.savez(tasks / f"twin-{name}-{place}.npz", features=features, target=target)
        runs[name].append({**utility(real, twin, columns), **cost})

    features, target = task_of(real, columns)
    np.savez(tasks / "real.npz", features=features, target=target)
    if asked.published:
        keep("published", read_table(asked.published, contract), {})
    names = [f"{library}-{how}" for library, (_, all_) in RUNNERS.items() for how in all_]
    wanted = asked.only or list(RUNNERS)
    names = [name for name in names if name in wanted or name.split("-")[0] in wanted]
    out = scratch / "drawn.csv"
    # in turns, so that a machine that others load slows everybody alike
    for _, name in itertools.product(range(asked.seeds), names):
        library = name.split("-")[0]
        if name in failures:
            continue
        try:
            python = sys.executable if library == "ours" else _interpreter(library, asked)
            command = [python, str(HERE), "--one", name, json.dumps(facts), str(out)]
            cost = _said(_run(command, asked.timeout))
            drawn = pyarrow.csv.read_csv(out)
            values = [decode(drawn[c.name].to_numpy(), c, sampler) for c in columns]
            keep(name, pyarrow.table(values, schema=arrow_schema(contract.only)), cost)
            print(f"{name}: {cost['seconds']:.2f} s", file=sys.stderr, flush=True)
        except RuntimeError as error:
            failures[name] = str(error)
            print(f"{name}: {error}", file=sys.stderr, flush=True)
    try:
        python = sys.executable if asked.target else _interpreter("target", asked)
        command = [python, str(HERE), "--train", str(tasks)]
        errors = _said(_run(command, asked.timeout, path=asked.target))
        for name, found in runs.items():
            for place, run in enumerate(found):
                run["task"] = errors[f"{name}-{place}"]
    except RuntimeError as error:
        failures["task"] = str(error)
    _show(runs, failures, mean_predictor=float(target.std()), n_rows=real.num_rows, asked=asked)


def _mean(found: list[dict[str, float]], key: str) -> tuple[float, float]:
    """Return the mean and its standard error; NaN where nothing is known."""
    values = [run[key] for run in found if key in run]
    if not values:
        return math.nan, math.nan
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(spread / len(values))


def _show(
    runs: dict[str, list[dict[str, float]]],
    failures: dict[str, str],
    *,
    mean_predictor: float,
    n_rows: int,
    asked: argparse.Namespace,
) -> None:
    print(f"{n_rows:,} rows, epsilon {asked.epsilon:g}, delta {asked.delta:g}; mean ± its error")
    print(f"predicting the mean has a task error of {mean_predictor:,.0f}")
    head = ("1-way TVD", "2-way TVD", "correlation", "task RMSE", "charges verbatim (chance)")
    print("| twin | runs | " + " | ".join((*head, "s", "CPU s", "MiB", "MiB at start")) + " |")
    print("|" + " --- |" * 11)
    summary = {}
    for name, found in runs.items():
        keys = sorted({key for run in found for key in run})
        summary[name] = {key: _mean(found, key) for key in keys}
        cells = [f"{_mean(found, key)[0]:.3f} ± {_mean(found, key)[1]:.3f}" for key in MEASURES[:3]]
        cells.append("{:,.0f} ± {:,.0f}".format(*_mean(found, "task")))
        shares = (_mean(found, f"{what} charges")[0] for what in ("verbatim", "chance"))
        cells.append("{:.2%} ({:.2%})".format(*shares))
        cells += [f"{_mean(found, key)[0]:.2f}" for key in ("seconds", "cpu")]
        cells += [f"{_mean(found, key)[0]:.0f}" for key in ("peak_mib", "imports_mib")]
        print(f"| {name} | {len(found)} | " + " | ".join(cells) + " |")
    for name, why in failures.items():
        print(f"failed: {name}: {why}")
    _compare(runs)
    print(json.dumps({"runs": runs, "mean and error": summary, "failed": failures}))


def _compare(runs: dict[str, list[dict[str, float]]]) -> None:
    """Say on each measure how ours stand against the best library; 2 errors decide."""
    others = [name for name in runs if not name.startswith(("ours", "published"))]
    for measure in (*MEASURES, "seconds", "peak_mib"):
        known = [(*_mean(runs[name], measure), name) for name in others]
        known = [item for item in known if not math.isnan(item[0])]
        if not known:
            continue
        best, error, name = min(known)
        for ours in (item for item in runs if item.startswith("ours")):
            mean, own = _mean(runs[ours], measure)
            width = 2 * math.hypot(error, own)
            verdict = "level" if not abs(mean - best) > width else "better"
            verdict = "worse" if mean - best > width else verdict
            print(
                f"{measure}: {ours} {mean:.4g}, best library {name} {best:.4g}: "
                f"{mean / best:.3f}x, {verdict}"
            )


if __name__ == "__main__":
    main()
