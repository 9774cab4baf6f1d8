"""`python -m aerodash`: the same as the `aerodash` command."""

import sys

from aerodash.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
