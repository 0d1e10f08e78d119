"""Errors about an agent's turn and its tools."""

from __future__ import annotations

from massgen_core.errors._base import MassgenError


class AgentError(MassgenError):
    """An agent could not go on."""

    code = "agent"


class TooManySteps(AgentError):
    """The tool loop reached its limit of model calls in one turn.

    Attributes:
        steps: The limit.
    """

    code = "too-many-steps"

    def __init__(self, message: str, *, steps: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.steps = steps


class ToolSourceError(AgentError):
    """What runs an agent's tools (a server, say) cannot be reached, or went away.

    Attributes:
        source: Its name in the settings.
    """

    code = "tool-source"

    def __init__(self, message: str, *, source: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.source = source
