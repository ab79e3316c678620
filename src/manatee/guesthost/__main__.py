"""`python -m manatee.guesthost GUEST_FOLDER` hosts a guest; `--smoke` tries the isolation."""

import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run; see the module."""
    from manatee._clock import system_clock

    root = os.geteuid() == 0
    match arguments:
        case ["--smoke"]:
            from manatee.guesthost._smoke import missing_for_guests, missing_programs

            missing = missing_programs() or missing_for_guests(root=root)
            sys.stdout.write("".join(f"{line}\n" for line in missing))
            return 0
        case [folder]:
            from manatee.guesthost._host import host_guest

            return host_guest(Path(folder), root=root, clock=system_clock)
    sys.stderr.write(f"{__doc__}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
