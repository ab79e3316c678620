"""`python -m manatee.cli`."""

from manatee.cli import main

if __name__ == "__main__":
    main()
