"""`python -m train`: `restore train` for launchers that want a module, such as torchrun."""

from __future__ import annotations

import sys

from restore.cli import main

if __name__ == "__main__":
    sys.argv = ["restore", "train", *sys.argv[1:]]
    main()
