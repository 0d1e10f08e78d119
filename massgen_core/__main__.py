"""``python -m massgen_core``: the same program as ``mgc``."""

from __future__ import annotations

import sys

from massgen_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
