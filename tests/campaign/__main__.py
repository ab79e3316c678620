"""A crash campaign against the control plane: real processes, real kills, a verdict.

    python -m tests.campaign --jobs 500 --seed 1 [--database sqlite] [--bucket] [--planted NAME]

Four reconcilers and two API servers share one database. While clients submit, approve and cancel
jobs over HTTP, processes are killed at random and between any two steps, the database server is
killed and started, the place of the guests does not answer, clocks jump by up to an hour, and the
object store (with --bucket, a real S3 server) fails and is slow. Exits with 1 on any finding. The
seed fixes the order of the troubles; how they fall between the processes' steps is up to the
machine.
"""

from __future__ import annotations

import argparse
import sys

from ._campaign import Asked, campaign
from ._planted import BUGS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign")
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--bucket", action="store_true", help="blobs in an S3 bucket that fails")
    parser.add_argument("--reconcilers", type=int, default=4)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--planted", choices=sorted(BUGS), default="", help="a bug to be found")
    parser.add_argument("--logs", action="store_true", help="print the ends of the logs, too")
    asked = vars(parser.parse_args())
    logs = asked.pop("logs")
    report = campaign(Asked(**asked), lambda text: print(text, file=sys.stderr, flush=True))
    if logs:
        print(report.logs)
    print(report.table())
    raise SystemExit(0 if report.good else 1)


if __name__ == "__main__":
    main()
