"""The section about an agent, and the other models it may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from massgen_core._redact import STARS
from massgen_core.settings._sections._section import Section

if TYPE_CHECKING:
    from collections.abc import Iterable


class FallbackSection(BaseModel):
    """A model that is asked when those before it cannot answer; other keys are of its backend."""

    model_config = ConfigDict(
        extra="allow", frozen=True, hide_input_in_errors=True, protected_namespaces=()
    )

    name: str | None = Field(
        default=None, description="Registered name of its backend; the agent's own if omitted."
    )
    model: str | None = Field(
        default=None, description="The model to ask; the one the backend is named for if omitted."
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """Without the values of other keys: one may be a secret."""
        for key, value in super().__repr_args__():
            yield key, value if key in type(self).model_fields else STARS


class AgentSection(Section):
    """How an agent works."""

    instructions: str = Field(default="", description="Text of the agent's system message.")
    max_steps: Annotated[int, Field(ge=1)] = Field(
        default=50, description="Most model calls in one turn, tool calls in between."
    )
    fallbacks: tuple[FallbackSection, ...] = Field(
        default=(),
        description="Who is asked, in order, when the backend's model cannot answer: `name`, "
        "`model`, and the backend's own settings.",
    )
