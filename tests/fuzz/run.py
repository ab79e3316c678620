"""Fuzz one target, guided by coverage: `python tests/fuzz/run.py TARGET SECONDS [--keep]`.

Starts from the corpus in the repository and the target's seeds. An input that makes anything but
`ManateeError` is written to the folder of `--work` as `crash-*`, one that takes over five seconds
as `timeout-*`, and the run ends with an error. `--keep` then chooses anew, out of all inputs
found, small ones that reach what the seeds do not, and writes them to `corpus/TARGET/`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import atheris

with atheris.instrument_imports(include=["manatee"], enable_loader_override=False):
    from fuzz_targets import CORPUS, Target, file_name, load_target, target_names

    import manatee.attestation  # noqa: F401

Trace = Callable[[FrameType, str, Any], Any]

KEPT_FILE_BYTES = 4096
KEPT_BYTES = 12 << 10
"""Most bytes kept of one input, and of a target's inputs together. Recorded evidence is larger
and is not kept: it stands in tests/vectors, and `seeds()` reads it from there."""


def write_all(folder: Path, inputs: tuple[bytes, ...]) -> None:
    """Write inputs under the names of their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / file_name(data)).write_bytes(data)


def again(arguments: list[str]) -> int:
    """Run this file in a process of its own: libFuzzer ends the one it runs in."""
    return subprocess.run([sys.executable, __file__, *arguments], check=False).returncode


def engine(name: str, options: list[str]) -> None:
    """Hand over to libFuzzer; never returns."""
    with atheris.instrument_imports(include=["manatee"], enable_loader_override=False):
        target = load_target(name)

    def one(data: bytes) -> None:
        target.run(data)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def steps_of(target: Target, data: bytes) -> set[tuple[str, int, int]]:
    """Return the steps from line to line that an input takes in the package."""
    steps: set[tuple[str, int, int]] = set()

    def enter(frame: FrameType, event: str, _: object) -> Trace | None:
        name = frame.f_code.co_filename
        if "/manatee/" not in name:
            return None
        last = 0

        def line(frame: FrameType, event: str, _: object) -> Trace:
            nonlocal last
            steps.add((name, last, frame.f_lineno if event == "line" else -1))
            last = frame.f_lineno
            return line

        return line

    sys.settrace(enter)
    try:
        target.run(data)
    finally:
        sys.settrace(None)
    return steps


def keep(target: Target, found: Path) -> None:
    """Replace the corpus by small inputs that together reach all that the seeds do not."""
    reached = set[tuple[str, int, int]]().union(
        *(steps_of(target, item) for item in target.seeds())
    )
    candidates = sorted(
        {path.read_bytes() for path in found.iterdir()}, key=lambda data: (len(data), data)
    )
    kept: list[bytes] = []
    for data in candidates:
        if len(data) > KEPT_FILE_BYTES or sum(map(len, kept)) + len(data) > KEPT_BYTES:
            break
        if steps := steps_of(target, data) - reached:
            reached |= steps
            kept.append(data)
    folder = CORPUS / target.name
    for path in folder.glob("*"):
        path.unlink()
    write_all(folder, tuple(kept))
    print(
        f"{target.name}: kept {len(kept)} of {len(candidates)} inputs, {sum(map(len, kept))} bytes"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=target_names())
    parser.add_argument("seconds", type=int)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--engine", nargs=argparse.REMAINDER, default=None)
    given = parser.parse_args()
    if given.engine is not None:
        engine(given.target, given.engine)
    work = given.work or Path(tempfile.mkdtemp(prefix=f"fuzz-{given.target}-"))
    found = work / "found"
    target = load_target(given.target)
    write_all(found, (*target.corpus(), *target.seeds()))
    options = [f"-max_total_time={given.seconds}", f"-artifact_prefix={work}/", "-timeout=5"]
    options += ["-rss_limit_mb=1024", "-max_len=40000", "-print_final_stats=1", str(found)]
    code = again([given.target, "0", "--engine", *options])
    if given.keep:
        keep(target, found)
    print(f"{given.target}: {'clean' if code == 0 else 'FAILED'}; inputs are in {work}")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
