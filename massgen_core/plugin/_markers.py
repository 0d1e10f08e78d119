"""The pluggy markers of this package; the only place besides the loader that imports pluggy."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT: Final = "massgen_core"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
