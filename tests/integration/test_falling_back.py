"""An agent whose provider gives up on it goes to the next one, with the view fitted for that."""

import asyncio

import pytest

from massgen_anthropic import AnthropicBackend, AnthropicSettings
from massgen_core.agents import Agent, Fallback
from massgen_core.backends import Endpoints, Policy
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.events import ContextFitted, FallbackUsed, TurnFinished, Waiting
from massgen_core.plugin import PluginContext
from massgen_core.sessions import SessionStore
from massgen_core.testing import mock_provider
from massgen_core.tokens import ModelCatalogue
from massgen_openai import OpenAIBackend, OpenAISettings

LARGE, SMALL = 4000, 600
MODELS = ModelCatalogue.shipped().with_overrides(
    {
        "large": {"window": LARGE, "max_output": 100},
        "small": {"window": SMALL, "max_output": 100},
    }
)
CONTEXT = PluginContext(SYSTEM_CLOCK, None, MODELS)
PATIENT = Policy(attempts=3, most_wait=0.01, deadline=20)


@pytest.fixture(scope="module")
def providers():
    with mock_provider(window=LARGE, pace=0) as first, mock_provider(window=SMALL, pace=0) as other:
        yield first, other


def talked(providers, folder, fault, **changes):
    """The events of a turn that fails at the first provider, after five that did not."""
    first, other = providers
    first.reset()
    other.reset()
    settings = OpenAISettings(base_url=first.openai, api_key="any", api="chat")
    large = OpenAIBackend(settings, CONTEXT)
    small = AnthropicBackend(AnthropicSettings(base_url=other.anthropic, api_key="any"), CONTEXT)
    endpoints = Endpoints()
    agent = Agent(
        endpoints.wrap(large, PATIENT, "first"),
        model="large",
        info=MODELS.get("large"),
        fallbacks=[Fallback(endpoints.wrap(small, PATIENT, "other"), "small", MODELS.get("small"))],
    )

    async def main():
        try:
            async with SessionStore.open(folder) as store, store.create("s") as session:
                for number in range(5):
                    said = f"This is number {number}. " + "word " * 100
                    _ = [event async for event in agent.run(session, said)]
                first.inject(fault, times=None, **changes)
                return [event async for event in agent.run(session, "And what is number five?")]
        finally:
            await large.aclose()
            await small.aclose()

    return asyncio.run(main())


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize(
    ("fault", "changes", "attempts", "error"),
    [
        ("unavailable", {}, 3, "Transient"),
        ("rate_limit", {"retry_after": 0}, 3, "RateLimited"),
        ("rate_limit", {"retry_after": 3600}, 1, "RateLimited"),  # past the deadline
        ("quota", {}, 1, "QuotaExceeded"),
    ],
)
def test_the_next_provider_answers_in_its_smaller_window(
    providers, tmp_path, fault, changes, attempts, error
):
    events = talked(providers, tmp_path, fault, **changes)

    (told,) = only(events, FallbackUsed)
    assert ("anthropic", "small") == (told.backend, told.model)
    assert told.error.startswith(f"{error}: ")
    assert attempts - 1 == len(only(events, Waiting))
    assert 5 + attempts == len(providers[0].requests())

    assert [200] == [request["status"] for request in providers[1].requests()]
    assert min(fit.limit for fit in only(events, ContextFitted)) < SMALL
    assert isinstance(events[-1], TurnFinished)
    assert events[-1].text
