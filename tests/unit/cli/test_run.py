"""`mgc run` and `mgc chat`: one turn, many turns, and turns that were interrupted."""

from __future__ import annotations

import sys

import pytest

from massgen_core.events import TurnFinished

pytestmark = pytest.mark.usefixtures("scripted")

LONG = "tell me " * 60


@pytest.fixture
def tools(folder, monkeypatch):
    (folder / "garden.py").write_text(
        "def water(plant: str) -> str:\n"
        '    """Waters a plant."""\n'
        '    return f"{plant} is wet"\n'
        "height = 5\n"
    )
    monkeypatch.setattr("sys.path", [*sys.path])
    yield
    sys.modules.pop("garden", None)


def test_standard_output_is_the_answer(mgc):
    done = mgc("run", "hello")

    assert (0, "You said: hello\n") == (done.code, done.out)
    assert done.err.startswith("session ")


def test_a_task_comes_from_standard_input(mgc):
    assert "You said: hello\n" == mgc("run", "-", stdin="hello\n").out


def test_the_envelope_holds_answer_session_and_events(mgc):
    envelope = mgc("run", "hello", "--session", "s", "--json").envelope

    data = envelope["data"]
    assert ("s", "hello", "You said: hello", 1) == (
        data["session"],
        data["said"],
        data["text"],
        data["steps"],
    )
    assert [
        "agent.message_appended",
        "backend.usage",
        "backend.finished",
        "agent.message_appended",
        "context.measured",
        "agent.turn_finished",
    ] == [event["kind"] for event in envelope["events"]]


def test_a_session_goes_on_where_it_was(mgc):
    mgc("run", "hello", "--session", "s")

    done = mgc("run", "again", "--session", "s")

    assert "You said: again\n" == done.out
    assert "resumed session s with 3 entries" in done.err
    assert 4 == mgc("session", "list", "--json").envelope["data"][0]["messages"]


def test_each_fit_is_told_with_the_way_back(mgc):
    for _ in range(3):
        done = mgc("run", LONG, "--session", "s", "-c", "backend.window=700", "--path", "my db")

    assert "fitted the context: " in done.err
    assert " tokens of " in done.err
    handle = done.err.partition("restore: mgc context restore s ")[2].split()[0]
    assert f"restore s {handle} --path 'my db'\n" in done.err
    restored = mgc("context", "restore", "s", handle, "--text", "--path", "my db")
    assert restored.out.startswith("You said: tell me")


def test_a_fit_is_an_event_of_the_envelope(mgc):
    for _ in range(3):
        done = mgc("run", LONG, "--session", "s", "-c", "backend.window=700", "--json")

    [fitted] = [one for one in done.envelope["events"] if one["kind"] == "context.fitted"]
    assert fitted["tokens_after"] <= fitted["limit"]
    assert {"drop"} == {operation["kind"] for operation in fitted["operations"]}


def test_observers_see_the_events(mgc):
    mgc("run", "hello")

    assert isinstance(sys.modules["mgc_scripted"].SEEN[-1], TurnFinished)


@pytest.mark.usefixtures("tools")
def test_the_model_calls_the_tools_that_were_given(mgc):
    done = mgc("run", 'CALL water {"plant": "fern"}', "--tool", "garden:water")

    assert "The tool said fern is wet.\n" == done.out
    assert 'tool water {"plant": "fern"}' in done.err
    assert "tool water answered: fern is wet" in done.err


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("garden:dig", "has no attribute 'dig'"),
        ("desert:water", "No module named 'desert'"),
        ("garden", "Write --tool module:function"),
        ("garden:height", "is int, not a function"),
    ],
)
def test_a_tool_that_is_none_is_a_wrong_command_line(mgc, name, words):
    done = mgc("run", "hello", "--tool", name)

    assert (2, "") == (done.code, done.out)
    assert words in done.err


@pytest.mark.usefixtures("tools")
def test_the_steps_of_a_turn_are_limited(mgc):
    done = mgc("run", "CALL water", "--tool", "garden:water", "--max-steps", 1)

    assert 1 == done.code
    assert "agent.max_steps" in done.err


def test_resume_prints_the_answer_that_was_there_already(mgc):
    mgc("run", "hello", "--session", "s")

    done = mgc("run", "--resume", "--session", "s")

    assert (0, "You said: hello\n") == (done.code, done.out)
    assert done.out == mgc("session", "resume", "s").out


def test_resume_finishes_what_an_error_broke_off(mgc):
    broken = mgc("run", "RAISE Transient", "--session", "s")
    messages = mgc("session", "show", "s", "--json").envelope["data"]["messages"]

    again = mgc("run", "--resume", "--session", "s")

    assert (75, 1) == (broken.code, messages)
    assert 75 == again.code  # the script raises again: it was asked again


def test_the_instructions_are_no_part_of_the_journal(mgc):
    mgc("run", "hello", "--session", "s", "--instructions", "Be brief.")

    entries = mgc("session", "show", "s", "--json").envelope["data"]["newest"]
    assert ["user", "assistant"] == [
        entry["body"]["role"] for entry in entries if entry["kind"] == "message"
    ]


USAGE = {
    "nothing": ("run",),
    "empty task": ("run", " "),
    "task and resume": ("run", "hello", "--resume", "--session", "s"),
    "resume of nothing": ("run", "--resume"),
    "no steps": ("run", "hello", "--max-steps", "0"),
    "a session id that cannot be": ("run", "hello", "--session", "a/b"),
}


@pytest.mark.parametrize("words", USAGE.values(), ids=list(USAGE))
def test_a_wrong_command_line_ends_with_2(mgc, words):
    done = mgc(*words)

    assert (2, "") == (done.code, done.out)
    assert "Traceback" not in done.err


ERRORS = {
    "RateLimited": 75,
    "Transient": 75,
    "AuthFailed": 6,
    "QuotaExceeded": 1,
    "Fatal": 1,
}


@pytest.mark.parametrize(("error", "code"), ERRORS.items())
def test_an_error_of_the_provider_ends_as_the_table_says(mgc, error, code):
    done = mgc("run", f"RAISE {error}")

    assert code == done.code
    assert "error: as it was told" in done.err
    assert "Traceback" not in done.err


def test_an_overflow_that_smaller_requests_do_not_cure_ends_with_4(mgc):
    done = mgc("run", "RAISE ContextOverflow")

    assert 4 == done.code
    assert "the provider refused the request as too long; sending less" in done.err


def test_an_answer_that_broke_off_ends_its_line(mgc):
    assert "Well\n" == mgc("run", "RAISE Transient").out


def test_what_nobody_expected_is_one_line_and_a_traceback_on_demand(mgc):
    short = mgc("run", "CRASH")
    long = mgc("run", "CRASH", "-v")

    assert (1, 1) == (short.code, long.code)
    assert "Traceback" not in short.err
    assert "-v for the traceback" in short.err
    assert "Traceback" in long.err


def test_a_session_that_is_not_there_cannot_be_resumed(mgc):
    done = mgc("run", "--resume", "--session", "nobody", "--json")

    assert (1, "session-not-found") == (done.code, done.envelope["error"]["code"])


def test_a_chat_answers_each_line(mgc):
    done = mgc("chat", "--session", "s", stdin="one\n\n  two \n")

    assert (0, "You said: one\nYou said: two\n") == (done.code, done.out)
    assert 4 == mgc("session", "list", "--json").envelope["data"][0]["messages"]


def test_the_envelope_of_a_chat_holds_the_turns(mgc):
    data = mgc("chat", "--json", stdin="one\ntwo\n").envelope["data"]

    assert [("one", "You said: one"), ("two", "You said: two")] == [
        (turn["said"], turn["text"]) for turn in data["turns"]
    ]


def test_a_chat_without_input_says_nothing(mgc):
    assert (0, "") == (mgc("chat").code, mgc("chat").out)


def test_quiet_leaves_only_the_answer(mgc):
    done = mgc("run", "hello", "-q")

    assert ("You said: hello\n", "") == (done.out, done.err)


def test_verbose_tells_of_every_entry(mgc):
    assert "entry 1: user, " in mgc("run", "hello", "-v").err
