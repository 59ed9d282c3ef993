"""`python -m memori` is the command `memori`."""

from .cli import main

if __name__ == "__main__":
    main()
