"""`python -m translate` is the command line."""

from translate.cli import main

if __name__ == "__main__":
    main()
