"""The tests that `mgc plugins check` runs against a backend.

`BackendSuite` is not among them: its author says how a backend is made that can be asked, and how
its provider is made to fail.
"""

from __future__ import annotations

import os

from massgen_core.testing._check import DIST
from massgen_core.testing._packaging import PackagingSuite


class TestPackaging(PackagingSuite):
    """Its distribution can be found and is described."""

    dist = os.environ.get(DIST, "")
