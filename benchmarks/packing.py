"""Packing a 100 MB workspace against plain `tar cf`, in interleaved pairs.

Also checks that the digest is the same twice and from a copy at another path.
"""

import json
import secrets
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

from manatee.workspace import pack

MEGABYTE = 1_000_000
PAIRS = 7


def make_workspace(folder: Path) -> None:
    folder.mkdir()
    for number in range(10):
        (folder / f"random-{number}.bin").write_bytes(secrets.token_bytes(8 * MEGABYTE))
    line = "a line of text in a file of a workspace\n"
    for number in range(200):
        (folder / f"notes-{number:03}.txt").write_text(line * (MEGABYTE // 10 // len(line)))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="manatee-packing-") as name:
        scratch = Path(name)
        source, elsewhere = scratch / "workspace", scratch / "else" / "copy"
        make_workspace(source)
        shutil.copytree(source, elsewhere)
        packed, plain, digests = [], [], set()
        for number in range(PAIRS):
            begun = perf_counter()
            digests.add(pack(source, scratch / f"{number}.manatee.tar"))
            packed.append(perf_counter() - begun)
            begun = perf_counter()
            subprocess.run(
                ["tar", "cf", scratch / f"{number}.plain.tar", "-C", source, "."], check=True
            )
            plain.append(perf_counter() - begun)
            for made in scratch.glob("*.tar"):
                made.unlink()
        digests.add(pack(elsewhere, scratch / "elsewhere.tar"))
    ratios = [ours / theirs for ours, theirs in zip(packed, plain, strict=True)]
    found = {
        "pack_seconds": round(statistics.median(packed), 3),
        "tar_seconds": round(statistics.median(plain), 3),
        "ratio": round(statistics.median(ratios), 2),
        "same_digest": len(digests) == 1,
    }
    print(json.dumps(found))
    print(f"pack {found['pack_seconds']} s, tar {found['tar_seconds']} s: {found['ratio']} times")
    if not found["same_digest"]:
        raise SystemExit("the digest of one workspace differed")


if __name__ == "__main__":
    main()
