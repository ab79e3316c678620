"""`python -I -m manatee.executor RUN_DIR`."""

import sys

from manatee.executor._driver_start import start_driver

if __name__ == "__main__":
    # first of all, so that the driver's libraries load while this process loads its own and
    # attests; there is no secret yet that it could inherit
    driver = start_driver()

    from manatee.executor._main import main

    sys.exit(main(sys.argv[1:], driver))
