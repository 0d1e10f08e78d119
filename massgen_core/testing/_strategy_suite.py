"""The conformance suite of truncation strategies: the engine's invariants, as properties.

The numbers are those of the architecture document.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.context import TruncationStrategy
from massgen_core.errors import ContextOverflowError, MassgenError
from massgen_core.messages import Message, Text, ToolResult, check_order
from massgen_core.messages.order import REQUIREMENTS
from massgen_core.testing._checks import (
    assert_clean,
    budget,
    counter,
    floor_of,
    huge_turn,
    legal,
    reasoning,
    recount,
    smallest,
    whole_turns,
)
from massgen_core.testing._histories import histories
from massgen_core.testing._surroundings_suite import SurroundingsSuite, properties


class StrategySuite(SurroundingsSuite):
    """Subclass it, say how to make the strategy, and run pytest.

    Capabilities: ``replaces`` if some of its plans hold a `Replace`; ``summarises`` if a model
    writes the texts, which `summariser` then exchanges.

    Examples:
        class TestSlidingWindow(StrategySuite):
            def strategy(self):
                return SlidingWindow(Settings())
    """

    def test_is_a_strategy(self) -> None:
        """It has the Protocol's members."""
        strategy = self.strategy()
        assert isinstance(strategy, TruncationStrategy)
        assert isinstance(strategy.name, str)
        assert strategy.name

    @properties
    @given(histories(), st.floats(0.1, 1.2), st.floats(0.3, 1.0))
    def test_01_never_over_budget(
        self, messages: list[Message], share: float, target: float
    ) -> None:
        """By a recount of what would be sent, at any budget and any target."""
        window = self.window(messages, target=target)
        limit = budget(window, share)
        report = window.fit(limit)
        assert recount(window.view, window.engine.counter) <= limit
        assert report.tokens_after == window.view.tokens

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_02_calls_and_results_are_paired(self, messages: list[Message], share: float) -> None:
        """Every result has its call before it, every call its result, parallel calls stay whole."""
        window = self.window(messages)
        window.fit(budget(window, share))
        for group in window.view:
            calls = Counter(call.id for call in group.messages[0].calls)
            results = Counter(r.call_id for m in group.messages[1:] for r in m.results)
            assert calls == results + Counter(group.open)
            assert not group.open or group is window.view.last
            original = window.history[group.number]
            if "summary" not in group.messages[0].meta:
                assert [m.role for m in group.messages] == [m.role for m in original.messages]

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_03_pending_calls_stay(self, messages: list[Message], share: float) -> None:
        """The newest group waits for results: it is never evicted."""
        window = self.window(messages)
        window.fit(budget(window, share))
        newest = window.history[-1]
        if newest.open:
            assert window.view[-1].number == newest.number
            for call_id in newest.open:
                window.append(Message("tool", (ToolResult(call_id, (Text("done"),)),)))

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_04_signed_reasoning_is_whole_or_gone(
        self, messages: list[Message], share: float
    ) -> None:
        """No reasoning block is cut out of, or changed in, a message that stays."""
        window = self.window(messages)
        window.fit(budget(window, share))
        for group in window.view:
            if "summary" not in group.messages[0].meta:
                assert reasoning(group) == reasoning(window.history[group.number])

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_05_what_matters_stays(self, messages: list[Message], share: float) -> None:
        """System, pins, task and newest user message stay, byte by byte if they fit together."""
        window = self.window(messages)
        protected = window.engine.context(window.view, window.history).protected
        limit = budget(window, share)
        window.fit(limit)
        view = {group.number: group for group in window.view}
        assert protected <= view.keys()
        alone = sum(window.history[number].tokens for number in protected)
        newest = window.history[-1]
        if newest.number not in protected:
            alone += min(newest.tokens, smallest(newest))
        for number in protected:
            kept, said = view[number], window.history[number]
            if kept.role == "system" or alone <= limit:
                assert kept.messages == said.messages

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_06_order_is_kept(self, messages: list[Message], share: float) -> None:
        """Groups keep their order, and the view is never empty."""
        window = self.window(messages)
        window.fit(budget(window, share))
        numbers = [group.number for group in window.view]
        assert numbers
        assert numbers == sorted(set(numbers))

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_06_roles_are_legal_for_every_provider(
        self, messages: list[Message], share: float
    ) -> None:
        """What OpenAI, Anthropic and Gemini take before a fit, they take after it."""
        window = self.window([*legal(messages), Message("user", (Text("Go on."),), "last", 0.0)])
        said = {rules: check_order(window.view.messages, rules) for rules in REQUIREMENTS}
        assert said == dict.fromkeys(REQUIREMENTS, ())
        window.fit(budget(window, share))
        seen = {rules: check_order(window.view.messages, rules) for rules in REQUIREMENTS}
        assert seen == dict.fromkeys(REQUIREMENTS, ())

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_07_idempotent_and_deterministic(self, messages: list[Message], share: float) -> None:
        """A second fit changes nothing; the same history gives the same view."""
        first, second = self.window(messages), self.window(messages)
        limit = budget(first, share)
        first.fit(limit)
        second.fit(limit)
        assert first.view.messages == second.view.messages
        before = first.view.messages
        first.fit(limit)
        assert first.view.messages == before

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_08_a_fit_makes_progress(self, messages: list[Message], share: float) -> None:
        """A fit that does something frees something, and none of its plans is refused."""
        window = self.window(messages)
        report = window.fit(budget(window, share))
        if report.operations:
            assert report.tokens_after < report.tokens_before
        assert report.events == ()

    @properties
    @given(histories(turns=3), st.integers(300, 3000))
    def test_09_a_long_run_terminates(self, messages: list[Message], limit: int) -> None:
        """Fitted before every request, a conversation that grows never fails and never loops."""
        window = self.window(())
        for round_ in range(3):
            for message in messages:
                if message.role != "system":
                    copy = Message(message.role, message.parts, f"{round_}/{message.id}", 0.0)
                    window.append(copy)
                    room = max(limit, floor_of(window))
                    window.fit(room)
                    assert window.view.tokens <= room

    @properties
    @given(histories(), st.floats(0.2, 0.9))
    def test_10_between_fits_the_beginning_is_stable(
        self, messages: list[Message], share: float
    ) -> None:
        """As long as the view fits, it only grows at its end."""
        window = self.window(messages)
        limit = budget(window, share)
        window.fit(limit)
        before = window.view.messages
        if window.view[-1].open:
            return
        window.append(Message("user", (Text("go on"),), "next", 0.0))
        if window.view.tokens <= limit and not window.engine.due(window.view, limit):
            window.fit(limit)
            assert window.view.messages[: len(before)] == before

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_11_everything_can_be_restored(self, messages: list[Message], share: float) -> None:
        """History is untouched; each operation says what it did and gives the bytes back."""
        window = self.window(messages)
        said = {m.id: m for group in window.history for m in group.messages}
        report = window.fit(budget(window, share))
        assert {m.id: m for group in window.history for m in group.messages} == said
        for operation in report.operations:
            assert operation.reason
            assert operation.strategy
            assert operation.tokens_after < operation.tokens_before or operation.kind == "restore"
            assert window.restore(operation.handle) == tuple(
                said[key] for key in operation.message_ids
            )
        kept = {m.id for m in window.view.messages if m is said.get(m.id)}
        told = {key for operation in report.operations for key in operation.message_ids}
        assert said.keys() - kept <= told

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_12_counts_equal_a_recount(self, messages: list[Message], share: float) -> None:
        """Cached sizes are those of the messages as they are now."""
        window = self.window(messages)
        window.fit(budget(window, share))
        for group in window.view:
            counted = tuple(window.engine.counter.count(m).tokens for m in group.messages)
            assert group.counts == counted
            assert group.tokens == sum(counted)
        assert window.view.tokens == sum(group.tokens for group in window.view)

    @properties
    @given(histories(turns=3), st.sampled_from(("user", "assistant", "tool", "call")), st.data())
    def test_14_an_item_larger_than_the_window(
        self, messages: list[Message], where: str, data: st.DataObject
    ) -> None:
        """In any role and place; the user's newest question is still there."""
        complete = whole_turns(messages)
        place = data.draw(st.integers(0, len(complete)))
        turn = huge_turn(where)
        turns = [*complete[:place], turn, *complete[place:]]
        window = self.window([message for turn in turns for message in turn])
        limit = floor_of(window) + 400
        window.fit(limit)
        assert recount(window.view, window.engine.counter) <= limit
        question = [group for group in window.history if group.role == "user"][-1]
        assert question.number in {group.number for group in window.view}

    @properties
    @given(histories())
    def test_17_appending_counts_only_what_is_new(self, messages: list[Message]) -> None:
        """One message, one count; a fit that has nothing to do counts nothing."""
        window = self.window(())
        counting = counter()
        for message in messages:
            stand_ins = len(window.view.last.open) if window.view.last else 0
            before = counting.calls
            window.append(message)
            allowed = 1 + (stand_ins if message.role != "tool" else 0)
            assert counting.calls - before <= allowed
            before = counting.calls
            if not window.engine.due(window.view, window.view.tokens):
                window.fit(window.view.tokens)
                assert counting.calls == before

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_18_a_dry_run_is_the_run(self, messages: list[Message], share: float) -> None:
        """Planning changes nothing: fitting a view twice over gives the same report twice."""
        window = self.window(messages)
        limit = budget(window, share)
        view, history = window.view, list(window.history)
        groups = list(view)
        dry = window.engine.fit(view, limit, history)
        assert list(view) == groups
        assert window.fit(limit) == dry.report
        assert list(window.view) == list(dry.view)

    @properties
    @given(histories(), st.floats(0.1, 1.0))
    def test_19_cuts_are_clean(self, messages: list[Message], share: float) -> None:
        """No torn grapheme, arguments stay a JSON object, base64 is whole or gone."""
        window = self.window(messages)
        window.fit(budget(window, share))
        said = {m.id: m for group in window.history for m in group.messages}
        for message in window.view.messages:
            original = said.get(message.id)
            if original is None or message is original:
                continue
            for part, before in zip(message.parts, original.parts, strict=True):
                assert_clean(part, before)

    def test_a_system_prompt_larger_than_the_window_is_cut_and_told(self) -> None:
        """It leaves the question as it is, and its handle gives all of it back."""
        huge = Message("system", (Text("rule " * 500),), "m0")
        window = self.window([huge, Message("user", (Text("hello"),), "m1")])
        report = window.fit(100)
        prompt, question = window.view.messages
        assert report.tokens_after <= 100
        assert question.text == "hello"
        assert prompt.text.startswith("rule rule")
        (cut,) = report.operations
        assert cut.reason.startswith("WARNING: the system prompt")
        assert cut.handle in prompt.text
        assert window.restore(cut.handle) == (huge,)

    def test_a_system_prompt_that_may_not_be_cut_is_a_typed_error(self) -> None:
        """With a table of what takes the room."""
        huge = Message("system", (Text("rule " * 500),), "m0")
        question = Message("user", (Text("hello"),), "m1")
        window = self.window([huge, question], clip_system=False)
        with pytest.raises(ContextOverflowError) as caught:
            window.fit(100)
        assert caught.value.limit == 100
        assert caught.value.used > 100
        assert caught.value.table[0][1] > 100
        assert isinstance(caught.value, MassgenError)
