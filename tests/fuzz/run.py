"""Fuzz one target, guided by coverage: `python tests/fuzz/run.py TARGET SECONDS [--keep]`.

Starts from the corpus in the repository and the target's seeds. An input that makes anything but
`ManateeError` is written to the folder of `--work` as `crash-*`, one that takes over five seconds
as `timeout-*`, and the run ends with an error. `--keep` then chooses anew, out of all inputs
found, the small ones that reach everything, and writes them to `corpus/TARGET/`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import atheris

with atheris.instrument_imports(include=["manatee"], enable_loader_override=False):
    from fuzz_targets import CORPUS, file_name, load_target, target_names

    import manatee.attestation  # noqa: F401

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


def keep(name: str, found: Path, work: Path) -> None:
    """Replace the corpus by the smallest inputs that together reach what all reach."""
    with tempfile.TemporaryDirectory() as merged:
        again([name, "0", "--engine", "-merge=1", merged, str(found)])
        chosen = sorted((path.read_bytes() for path in Path(merged).iterdir()), key=len)
    kept: list[bytes] = []
    for data in chosen:
        if len(data) <= KEPT_FILE_BYTES and sum(map(len, kept)) + len(data) <= KEPT_BYTES:
            kept.append(data)
    folder = CORPUS / name
    for path in folder.glob("*"):
        path.unlink()
    write_all(folder, tuple(kept))
    print(f"{name}: kept {len(kept)} of {len(chosen)} inputs, {sum(map(len, kept))} bytes")


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
        keep(given.target, found, work)
    print(f"{given.target}: {'clean' if code == 0 else 'FAILED'}; inputs are in {work}")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
