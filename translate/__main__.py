"""`python -m translate` is the command line."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Python looks for modules in the working folder first: one called z3 or dl there would break what imports that.
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()] != [str(Path(__file__).parents[1])]:
        del sys.path[0]
    from translate.cli import main

    main()
