"""The sections that choose a plugin by name."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field, SerializeAsAny

from massgen_core.settings._sections._patience import Patience
from massgen_core.settings._sections._section import Section

DEFAULT_BACKEND: Final = "local"
"""The backend of a ``backend`` section that names none."""


class Selected(Section):
    """One plugin that was chosen by name, with its own settings.

    Attributes:
        name: Its registered name.
        settings: An instance of exactly the class the plugin declared; None if it declares none.
    """

    name: str = Field(description="Registered name of the plugin.")
    settings: SerializeAsAny[BaseModel] | None = None


class SelectedBackend(Selected, Patience):
    """The chosen backend, and the model it is asked for."""

    name: str = Field(default=DEFAULT_BACKEND, description="Registered name of the backend.")
    model: str | None = Field(
        default=None, description="Model asked for; null leaves it to the backend's own default."
    )
