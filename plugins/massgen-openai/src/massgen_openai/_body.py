"""What is asked of a provider: the body of a request, in either API. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from massgen_core.backends import Caps, Request
from massgen_openai import chat_wire, responses_wire
from massgen_openai._provider import Api, Provider
from massgen_openai.settings import OpenAISettings

if TYPE_CHECKING:
    from massgen_core.messages import ToolSpec
    from massgen_openai.dialect import Dialect

_PHASES = ("gpt-5.3-codex", "gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6")
"""Models that want to know which of their texts were the answer: "gpt-5.3-codex and beyond"."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to one provider.

    Attributes:
        provider: Whose API.
        settings: What the user set.
        api: Which of the two APIs.
        request: What the core asks.
        caps: What the model can do.
    """

    provider: Provider
    settings: OpenAISettings
    api: Api
    request: Request
    caps: Caps

    def body(self) -> dict[str, Any]:
        """The body, ready to be written as JSON."""
        made = self._chat() if self.api == "chat" else self._responses()
        return {"model": self._model(), "stream": True, **made, **self.settings.extra_body}

    def _model(self) -> str:
        return self.settings.deployment or self.request.model

    def _chat(self) -> dict[str, Any]:
        request, provider = self.request, self.provider
        out: dict[str, Any] = {"messages": chat_wire.to_wire(request.messages, self._dialect())}
        if provider.usage_option:
            out["stream_options"] = {"include_usage": True}
        if request.max_output is not None:
            out[provider.max_field] = request.max_output
        if self.settings.reasoning_effort is not None:
            out["reasoning_effort"] = self.settings.reasoning_effort
        if request.tools:
            out["tools"] = [
                {"type": "function", "function": _function(tool)} for tool in request.tools
            ]
        return out | self._common()

    def _responses(self) -> dict[str, Any]:
        request, settings = self.request, self.settings
        out: dict[str, Any] = {
            "input": responses_wire.to_wire(request.messages, self._dialect()),
            "store": False,
        }
        if request.max_output is not None:
            out["max_output_tokens"] = request.max_output
        if self.provider.seals and self.caps.reasoning:
            out["include"] = ["reasoning.encrypted_content"]
        reasoning = {"effort": settings.reasoning_effort, "summary": settings.reasoning_summary}
        if given := {key: value for key, value in reasoning.items() if value is not None}:
            out["reasoning"] = given
        if request.tools:
            out["tools"] = [
                {"type": "function", "strict": False, **_function(tool)} for tool in request.tools
            ]
        return out | self._common()

    def _common(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        heat = self.request.temperature
        heat = self.settings.temperature if heat is None else heat
        if heat is not None and not self._refuses_heat():
            out["temperature"] = heat
        if self.request.tools and self.settings.parallel_tools is not None:
            out["parallel_tool_calls"] = self.settings.parallel_tools
        return out

    def _refuses_heat(self) -> bool:
        thinks = self.caps.reasoning and self.settings.reasoning_effort != "none"
        return self.provider.fixed_heat and thinks

    def _dialect(self) -> Dialect:
        """The provider's dialect as far as this model speaks it."""
        dialect = self.provider.dialect
        media = dialect.media if self.caps.images else dialect.media - {"image"}
        own = self.provider.developer
        return replace(
            dialect,
            tools=self.caps.tools,
            media=media,
            system="developer" if own and self.caps.reasoning else dialect.system,
            turns="strict" if self.settings.strict_turns else dialect.turns,
            phases=own and self.request.model.rpartition("/")[2].startswith(_PHASES),
        )


def _function(tool: ToolSpec) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {"name": tool.name, "description": tool.description, "parameters": parameters}
