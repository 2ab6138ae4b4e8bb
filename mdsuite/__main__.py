"""``python -m mdsuite``."""

from mdsuite.cli import main

if __name__ == "__main__":
    main()
