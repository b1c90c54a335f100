"""`python -m susceptibility` is the command `susceptibility`."""

from susceptibility.cli import main

if __name__ == "__main__":
    main()
