"""``python -m hishamos``: the terminal."""

from hishamos.cli import main

if __name__ == "__main__":
    main()
