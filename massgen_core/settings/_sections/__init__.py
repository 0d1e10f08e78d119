"""The sections the core itself knows. Plugins add theirs when they are selected."""

from massgen_core.settings._sections._agent import AgentSection, FallbackSection
from massgen_core.settings._sections._catalogue import ModelOverride
from massgen_core.settings._sections._context import ContextSection
from massgen_core.settings._sections._memory import AskedSection, ExtractionSection, MemorySection
from massgen_core.settings._sections._patience import Patience
from massgen_core.settings._sections._program import LogSection, PluginsSection, StorageSection
from massgen_core.settings._sections._section import Section
from massgen_core.settings._sections._selected import DEFAULT_BACKEND, Selected, SelectedBackend

__all__ = [
    "DEFAULT_BACKEND",
    "AgentSection",
    "AskedSection",
    "ContextSection",
    "ExtractionSection",
    "FallbackSection",
    "LogSection",
    "MemorySection",
    "ModelOverride",
    "Patience",
    "PluginsSection",
    "Section",
    "Selected",
    "SelectedBackend",
    "StorageSection",
]
