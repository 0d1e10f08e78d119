"""What was recorded is replayed without a network, and holds no secret."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.backends import Recorded, Recording, Replayed, Request
from massgen_core.backends._record_json import (
    error_from_json,
    error_to_json,
    event_from_json,
    event_to_json,
)
from massgen_core.errors import (
    AuthFailed,
    CircuitOpen,
    ContextOverflow,
    Fatal,
    InvalidArgument,
    RateLimited,
    UnknownModel,
)
from massgen_core.events import (
    CircuitOpened,
    Finished,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
    Waiting,
)
from massgen_core.messages import Reasoning, ToolCall, ToolSpec, assistant, tool, user
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.testing._virtual import hear, virtual

KEY = "sk-proj-abcdefghijklmnop1234"
TEXT = st.text(max_size=20)
COUNT = st.integers(0, 10**9)
EVENTS = st.one_of(
    st.builds(TextDelta, TEXT),
    st.builds(ReasoningDelta, TEXT),
    st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, st.none() | COUNT),
    st.builds(Finished, st.sampled_from(["stop", "length", "tool_calls"]), TEXT),
    st.builds(ToolCalled, st.builds(ToolCall, TEXT, TEXT, TEXT)),
    st.builds(ReasoningBlock, st.builds(Reasoning, TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT))),
    st.just(Waiting("b", 1.5, "limit", 0, "why")),
    st.just(CircuitOpened("b", 3, 30.0)),
)


def ask(text, **more):
    return Request("m", (user(text),), **more)


def record(path, script, *requests, name="scripted"):
    """What each request got, written to `path`."""
    backend = ScriptedBackend(script)
    backend.name = name
    recording = Recording(path)

    async def main():
        recorded = Recorded(backend, recording)
        await recorded.caps("m")
        return [await hear(recorded, one) for one in requests]

    heard = virtual(main())
    recording.close()
    return heard


def replay(path, *requests, name=""):
    async def main():
        backend = Replayed(path, name)
        return [await hear(backend, one) for one in requests]

    return virtual(main())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def test_a_run_is_replayed_event_by_event(path):
    tools = (ToolSpec("look", "Looks.", {"type": "object"}),)
    script = [
        Answer(
            "Let me see. ",
            calls=(ToolCall("c1", "look", '{"at": "x"}'),),
            reasoning=(Reasoning("Hm", "sig", "anthropic"),),
        ),
        "It is green.",
        RateLimited("busy", retry_after=3.5),
        Answer("Half", error=ContextOverflow("long", limit=5, used=9)),
    ]
    asked = [
        ask("Look", tools=tools),
        Request("m", (user("Look"), assistant("", ToolCall("c1", "look")), tool("c1", "green"))),
        ask("Again", max_output=5),
        ask("More", temperature=0.5),
    ]
    recorded = record(path, script, *asked)
    again = [Request(r.model, r.messages, r.tools, r.max_output, r.temperature) for r in asked]

    replayed = replay(path, *again)

    for one, other in zip(recorded, replayed, strict=True):
        assert one.events == other.events
        assert type(one.error) is type(other.error)
    assert 3.5 == replayed[2].error.retry_after
    assert (5, 9, "long") == (
        replayed[3].error.limit,
        replayed[3].error.used,
        replayed[3].error.message,
    )
    caps = virtual(Replayed(path).caps("m"))
    assert virtual(ScriptedBackend().caps("m")) == caps


def test_ids_and_times_of_messages_do_not_count(path):
    record(path, ["Hello."], ask("Hi"))
    first, second = ask("Hi"), ask("Hi")
    assert first.messages[0].id != second.messages[0].id
    for heard in replay(path, first, second):
        assert ["text_delta", "usage", "finished"] == heard.kinds


def test_a_request_asked_several_times_is_answered_in_that_order(path):
    record(path, ["one", "two"], ask("Hi"), ask("Hi"))
    heard = replay(path, ask("Hi"), ask("Hi"), ask("Hi"))
    assert ["one", "two", "two"] == [one.events[0].text for one in heard]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask("Hello"), "message 0 is another"),
        (ask("Hi", max_output=9), "max_output was null"),
        (Request("other", (user("Hi"),)), 'model was "m"'),
    ],
)
def test_what_was_not_recorded_is_an_error_that_says_what_differs(path, request_, words):
    record(path, ["Hello."], ask("Hi"))
    [heard] = replay(path, request_)
    assert isinstance(heard.error, Fatal)
    assert words in heard.error.message


def test_another_model_is_unknown(path):
    record(path, ["Hello."], ask("Hi"))
    with pytest.raises(UnknownModel, match="recorded with m"):
        virtual(Replayed(path).caps("other"))


def test_no_secret_is_in_the_file_and_what_held_one_is_replayed(path):
    call = ToolCall("c1", "login", json.dumps({"user": "ada", "password": "hunter2"}))
    tools = (ToolSpec("login", "", {"properties": {"api_key": {"default": "hunter2"}}}),)
    asked = Request(
        "m",
        (user(f"My key is {KEY}."), assistant("", call), tool("c1", f"Bearer {KEY}xyz")),
        tools,
    )
    script = [Answer(f"You said {KEY}.", calls=(call,)), AuthFailed(f"Incorrect key {KEY}")]
    record(path, script, asked, asked)

    text = path.read_text()

    assert KEY not in text
    assert "hunter2" not in text
    assert "ada" in text
    first, second = replay(path, asked, asked)
    assert "You said **********." == "".join(e.text for e in first.events if hasattr(e, "text"))
    assert "Incorrect key **********" == second.error.message


def test_only_the_owner_can_read_it_and_it_is_appended_to(path):
    record(path, ["one"], ask("Hi"))
    record(path, ["two"], ask("Ho"))
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert ["one", "two"] == [h.events[0].text for h in replay(path, ask("Hi"), ask("Ho"))]


def test_a_stream_that_was_closed_early_is_written_down_but_not_replayed(path):
    recording = Recording(path)

    async def main():
        stream = Recorded(ScriptedBackend(["one two"]), recording).stream(ask("Hi"))
        await anext(stream)
        await stream.aclose()

    virtual(main())
    recording.close()
    line = json.loads(path.read_text().splitlines()[-1])
    assert ("closed early", ["one "]) == (line["end"], [e["text"] for e in line["events"]])
    assert isinstance(replay(path, ask("Hi"))[0].error, Fatal)


def test_backends_in_one_file_are_told_apart(path):
    record(path, ["one"], ask("Hi"), name="a")
    record(path, ["two"], ask("Hi"), name="b")
    assert ["one"] == [h.events[0].text for h in replay(path, ask("Hi"))]
    assert ["two"] == [h.events[0].text for h in replay(path, ask("Hi"), name="b")]


@pytest.mark.parametrize("text", ["", "{}\n", "no json\n", '{"massgen-recording": 99}\n', "[1]\n"])
def test_what_is_no_recording_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(InvalidArgument):
        Replayed(path)


def test_half_a_line_that_a_kill_left_is_dropped(path):
    record(path, ["One."], ask("1"))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"backend": "scri')
    assert "scripted" == Replayed(path).name
    record(path, ["Two."], ask("2"))

    assert path.read_bytes().startswith(whole + b'{"')
    assert ["text_delta", "usage", "finished"] == virtual(hear(Replayed(path), ask("2"))).kinds


def test_another_file_is_not_written_to(path):
    path.write_text("my notes", "utf-8")
    with pytest.raises(InvalidArgument, match="no recording"):
        Recording(path)
    assert "my notes" == path.read_text("utf-8")


def test_a_line_that_is_no_request_is_named(path):
    record(path, ["One."], ask("1"))
    path.write_text(path.read_text("utf-8") + "5\n", "utf-8")
    with pytest.raises(InvalidArgument, match="line 4"):
        Replayed(path)


def test_a_backend_that_was_never_asked_has_no_answer(path):
    record(path, ["One."], ask("1"))
    error = virtual(hear(Replayed(path, name="other"), ask("1"))).error
    assert isinstance(error, Fatal)
    assert "it holds no request" in error.message


def test_a_recording_that_cannot_be_written_takes_neither_answer_nor_error(path, caplog):
    recording = Recording(path)
    recorded = Recorded(ScriptedBackend([RateLimited("busy"), "Hello."]), recording)
    recording.close()

    async def main():
        return [(await hear(recorded, ask(text))).error for text in ("1", "2")]

    busy, none = virtual(main())
    assert isinstance(busy, RateLimited)
    assert none is None
    assert 2 == caplog.text.count("cannot be written")


def test_handles_in_the_words_do_not_count(path):
    record(path, ["One."], ask("[cut; whole text: h0123456789]"))
    heard = virtual(hear(Replayed(path), ask("[cut; whole text: habcdef0123]")))
    assert heard.error is None


def test_a_file_that_is_not_there_is_refused(path):
    with pytest.raises(InvalidArgument, match="cannot be replayed"):
        Replayed(path)


@given(EVENTS)
def test_events_survive(event):
    text = json.dumps(event_to_json(event))
    if "**********" not in text:
        assert event == event_from_json(json.loads(text))


def test_errors_survive():
    for error in (
        RateLimited("busy", retry_after=2, backend="b", status=429, hint="wait"),
        CircuitOpen("open", retry_after=2),
        ContextOverflow("long", limit=1, used=2, answer=3),
    ):
        again = error_from_json(json.loads(json.dumps(error_to_json(error))))
        assert type(error) is type(again)
        assert vars(error) == vars(again)
        assert str(error) == str(again)


def test_an_error_of_another_version_is_fatal():
    assert isinstance(error_from_json({"code": "new", "message": "x"}), Fatal)
