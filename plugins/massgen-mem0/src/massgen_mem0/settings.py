"""Settings of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable


class Backend(BaseModel):
    """Who extracts facts; other keys are settings of that backend."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    name: str | None = Field(
        default=None, description="Registered name of the backend; the agent's own if omitted."
    )
    model: str | None = Field(
        default=None, description="The model to ask; the one the backend is named for if omitted."
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """Without the values of other keys: one may be a secret."""
        for key, value in super().__repr_args__():
            yield key, value if key in type(self).model_fields else "**********"


class Settings(BaseModel):
    """Where mem0 keeps its files, and whether it extracts facts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    path: Path | None = Field(
        default=None,
        description="Folder of the index; the folder `mem0` beside the memory if omitted.",
    )
    infer: bool = Field(
        default=False,
        description="Whether mem0 asks a model for the facts in each text, and keeps those; if "
        "not, it keeps the text. One request with a prompt of about 10,000 tokens per record.",
    )
    backend: Backend | None = Field(
        default=None,
        description="Who extracts facts: `name`, `model` and the backend's own settings; the "
        "agent's own backend and model if omitted.",
    )
    timeout: float = Field(
        default=120.0, gt=0, description="Seconds that one answer or one embedding may take."
    )
