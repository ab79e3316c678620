"""`python -I -m manatee.executor RUN_DIR`."""

import sys

from manatee.executor._main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
