"""``python -m fitspec``."""

from fitspec.cli import main

if __name__ == "__main__":
    main()
