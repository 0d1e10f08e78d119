"""Settings from files, the environment and the command line, composed with those of plugins.

Loading has two phases. `read_names` finds which plugins are selected without touching any;
`load_settings` then joins the core's sections with the selected plugins' own settings classes into
one model, and refuses what neither knows. From strongest to weakest, the sources are::

    -c key=value
    MASSGEN_SECTION__KEY in the environment
    MASSGEN_SECTION__KEY in .env, beside the project file
    massgen.yaml (found upward from the current folder), or [tool.massgen] in pyproject.toml
    $XDG_CONFIG_HOME/massgen/massgen.yaml
    defaults

A profile's keys go over those of the file it is in. A source that changes the ``name`` of a section
voids what weaker sources say in that section: it was meant for another plugin.
"""

from massgen_core.settings._explain import Explained, Shown
from massgen_core.settings._load import (
    Loaded,
    Lookup,
    Names,
    check_settings,
    load_settings,
    read_names,
)
from massgen_core.settings._model import Settings
from massgen_core.settings._problems import Problem
from massgen_core.settings._reference import reference
from massgen_core.settings._schema import json_schema
from massgen_core.settings._sections import (
    DEFAULT_BACKEND,
    AgentSection,
    AskedSection,
    ContextSection,
    ExtractionSection,
    FallbackSection,
    LogSection,
    ModelOverride,
    Patience,
    PluginsSection,
    Selected,
    SelectedBackend,
    StorageSection,
)
from massgen_core.settings._template import template

__all__ = [
    "DEFAULT_BACKEND",
    "AgentSection",
    "AskedSection",
    "ContextSection",
    "Explained",
    "ExtractionSection",
    "FallbackSection",
    "Loaded",
    "LogSection",
    "Lookup",
    "ModelOverride",
    "Names",
    "Patience",
    "PluginsSection",
    "Problem",
    "Selected",
    "SelectedBackend",
    "Settings",
    "Shown",
    "StorageSection",
    "check_settings",
    "json_schema",
    "load_settings",
    "read_names",
    "reference",
    "template",
]
