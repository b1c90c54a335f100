"""`python -m insar` is the command `insar`."""

from insar.cli import main

if __name__ == "__main__":
    main()
