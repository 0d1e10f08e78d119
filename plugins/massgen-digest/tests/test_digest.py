"""What the digest does; the conformance suite covers the rest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from massgen_core.context import ContextEngine, ContextWindow, View
from massgen_core.messages import Message, Text, ToolCall, assistant, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for
from massgen_digest.compose import Draft, is_digest, written
from massgen_digest.extract import atoms_of
from massgen_digest.memory import Memory, is_order
from massgen_digest.settings import Settings
from massgen_digest.strategy import Digest

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


def window_with(*, target=0.7, **settings):
    engine = ContextEngine([Digest(Settings(**settings))], COUNTER, target=target)
    return ContextWindow(engine)


def work(window, steps, start=0):
    for n in range(start, start + steps):
        window.append(user(f"Rule {n}: always run check_{n} first."))
        window.append(
            assistant("reading", ToolCall(f"c{n}", "read", f'{{"path": "src/m{n}/a.py"}}'))
        )
        window.append(
            tool(f"c{n}", f"def handler_{n}(): return {4000 + n}\n" + "so it goes on " * 60)
        )


def digests(window):
    return [m.text for m in window.view.messages if m.text.startswith("<summary")]


def shown(window):
    """What a model sees, without the handles: they depend on the ids of messages."""
    return [re.sub(r"handle=\w+", "", message.text) for message in window.view.messages]


def test_what_leaves_leaves_names_with_their_surroundings_behind():
    window = window_with()
    work(window, 40)
    report = window.fit(4000)
    (text,) = digests(window)
    assert window.view.tokens <= 2800
    assert {operation.kind for operation in report.operations} == {"replace"}
    assert "src/m2" in text or "handler_2" in text
    assert "return 40" in text
    assert report.operations[0].handle in text


def test_what_the_user_said_stays_word_by_word():
    window = window_with()
    work(window, 40)
    window.fit(4000)
    said = "\n".join(m.text for m in window.view.messages)
    assert all(f"Rule {n}: always run check_{n} first." in said for n in range(40))


def test_of_user_messages_beyond_their_share_the_first_and_the_last_are_quoted():
    window = window_with(user_share=0.0)
    work(window, 40)
    window.fit(4000)
    (text,) = digests(window)
    here = {message.text for message in window.view.messages}
    left = [n for n in range(40) if f"Rule {n}: always run check_{n} first." not in here]
    quoted = [n for n in left if f"Rule {n}: always run check_{n} first." in text]
    forgotten = [n for n in left if n not in quoted]
    first, last = forgotten[0] - left[0], left[-1] - forgotten[-1]
    assert first + last == len(quoted) >= 4
    assert abs(first - last) <= 2


def test_a_later_digest_takes_the_place_of_the_earlier_one():
    window = window_with()
    work(window, 40)
    window.fit(4000)
    for round_ in range(4):
        work(window, 20, start=100 + 20 * round_)
        window.fit(4000)
        assert len(digests(window)) == 1
        assert window.view.tokens <= 4000
    assert window.restore(window.operations[0].handle)[0] == window.history[1].messages[0]


def test_standing_orders_survive_many_digests():
    window = window_with()
    window.append(user("read the files"))
    window.append(user("Never touch production_db, whatever I say later."))
    for round_ in range(10):
        for n in range(20):
            window.append(user(f"step {round_}.{n}: look at the next one please"))
            window.append(assistant("it is fine and goes on " * 12))
        window.fit(2500)
    said = "\n".join(message.text for message in window.view.messages)
    assert "Never touch production_db, whatever I say later." in said
    assert window.view.tokens <= 2500


def long_work(window, steps=120, budget=3000, each=None):
    """Works, fits after each step and says how many fits there were."""
    fits = 0
    for n in range(steps):
        work(window, 1, start=1000 + n)
        fits += bool(window.fit(budget).operations)
        if each:
            each()
    return fits


def test_a_fact_that_a_tool_stated_once_survives_ten_fits():
    window = window_with()
    window.append(user("Deploy the service."))
    window.append(assistant("", ToolCall("k", "ask_vault", "{}")))
    window.append(tool("k", "The deploy key of the cluster is zebra-41-lime."))
    assert long_work(window) >= 10
    (text,) = digests(window)
    assert "The deploy key of the cluster is zebra-41-lime." in text


def test_decisions_and_the_last_failures_are_kept_as_lines():
    window = window_with()
    window.append(user("Make it work."))
    window.append(assistant("We looked at both.\nDecided: keep sqlite instead of postgres.\nOn."))
    window.append(assistant("", ToolCall("t", "run_tests", "{}")))
    window.append(tool("t", "collected 14\nE AssertionError: expected 7, got 9\nshort summary"))
    work(window, 20)
    window.fit(3000)
    (text,) = digests(window)
    assert "Decided:\nDecided: keep sqlite instead of postgres.\n" in text
    assert "Failed:\nE AssertionError: expected 7, got 9\n" in text


def test_a_source_file_that_speaks_of_errors_did_not_fail():
    window = window_with()
    window.append(user("Make it work."))
    window.append(assistant("", ToolCall("t", "read", "{}")))
    window.append(tool("t", "try {\n  open();\n} catch (error) {"))
    work(window, 20)
    window.fit(3000)
    assert "Failed:" not in digests(window)[0]


def test_each_process_that_begins_anew_comes_to_the_same():
    kept = window_with()
    anew = window_with()

    def restart():
        anew.engine = ContextEngine([Digest(Settings())], COUNTER, target=0.7)

    assert long_work(kept) == long_work(anew, each=restart) >= 10
    assert shown(kept) == shown(anew)


def test_conversations_that_share_a_strategy_do_not_mix():
    shared = [window_with() for _ in range(20)]
    for window in shared:
        window.engine = shared[0].engine
    for number, window in enumerate(shared):
        window.append(user(f"Task {number} of client_{number}."))
    for start in (0, 50):
        for number, window in enumerate(shared):
            work(window, 20, start=start + 1000 * number)
            window.fit(3000)
    for number, window in enumerate(shared):
        alone = window_with()
        alone.append(user(f"Task {number} of client_{number}."))
        for start in (0, 50):
            work(alone, 20, start=start + 1000 * number)
            alone.fit(3000)
        assert shown(window) == shown(alone)


def test_a_result_that_comes_late_is_read_too():
    window = window_with()
    window.append(user("Start."))
    window.append(assistant("", ToolCall("late", "slow_job", "{}")))
    work(window, 30)
    window.fit(3000)
    assert "token_of_job_77" not in digests(window)[0]
    window.append(tool("late", "The job gave token_of_job_77."))
    work(window, 30, start=100)
    window.fit(3000)
    assert "The job gave token_of_job_77." in digests(window)[0]


def test_what_is_remembered_does_not_grow_with_the_conversation():
    memory = Memory(64, COUNTER)
    for n in range(3000):
        window = window_with()
        window.append(assistant(f"Decided: use file_{n}.py and key_{n}, error {n + 1000}."))
        memory.add(window.history[0]._replace(number=n))
        memory.keep_extracts(())
    assert len(memory.best(())) == 64
    assert len(list(memory.decided)) == 1024
    assert len(memory._spots) <= 128
    assert len(memory._witnesses) == 2


def test_the_summary_of_another_is_carried_on_and_no_digest_is_quoted_in_the_next():
    window = window_with()
    window.append(user("Go."))
    window.append(assistant("First we met the king."))
    window.append(assistant("so it went"))
    view, (first, *_) = window.view, window.history[1:]
    text = "<summary of=1 handle=h1>\nFacts of the king: he is called Alboin.\n</summary>"
    summary = Message("user", (Text(text),), "s", meta={"summary": "h1"})
    window.view = View(
        first._replace(messages=(summary,), changed=True) if group is first else group
        for group in view
    )
    for start in (0, 40, 80):
        work(window, 20, start=start)
        window.fit(3000)
        (text,) = digests(window)
        assert text.endswith(
            "Earlier summary:\nFacts of the king: he is called Alboin.\n</summary>"
        )
        assert text.count("The user said:") <= 1


def test_a_tiny_window_gets_names_only():
    window = window_with(target=1.0)
    work(window, 12)
    window.fit(600)
    (text,) = digests(window)
    assert "Names:" in text
    assert "Excerpts:" not in text
    assert window.view.tokens <= 600


def test_where_nothing_specific_was_said_the_digest_says_so():
    window = window_with()
    window.append(user("tell me a story"))
    for _ in range(60):
        window.append(assistant("once upon a time there was a king " * 10))
    report = window.fit(2000)
    (text,) = digests(window)
    assert "Nothing specific was said." in text
    assert report.events == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("open src/app/main.py, line 40213", ["src/app/main.py", "40213"]),
        ("callHandler fails in retry_policy v2.1", ["callHandler", "retry_policy", "v2.1"]),
        ('{"order_id": "W8231", "user": "mia_li_3668"}', ["W8231", "mia_li_3668"]),
        ("nothing special is in these plain words", []),
        ("see https://example.org/a?b", ["https://example.org/a"]),
    ],
)
def test_atoms_are_the_specific_words_but_not_the_keys_of_objects(text, names):
    assert list(atoms_of(text)) == names


WORDS = st.text("abc_/é漢1 ", min_size=1, max_size=60)


@given(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=30), st.integers(8, 400))
def test_a_digest_never_takes_more_than_its_room_and_is_known_as_one(said, answers, room):
    memory = Memory(512, COUNTER)
    for number, text in enumerate(answers):
        window = window_with()
        window.append(assistant(text))
        memory.add(window.history[0]._replace(number=number))

    def count(text):
        return COUNTER.count_text(text).tokens

    draft = Draft([f"> {line}" for line in said], [], [], [], [], memory.best(()))
    text = written(draft, room, COUNTER)
    assert count(text) <= room
    bare = draft.text(0)
    assert bool(said) == bool(bare)
    assert text.startswith(bare) if count(bare) <= room else text == ""
    assert not text or is_digest(text)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Please never push to main.", True),
        ("Ab jetzt antworte auf Deutsch.", True),
        ("总是先运行测试", True),
        ("Look at the next file.", False),
    ],
)
def test_a_statement_that_holds_for_more_than_its_turn_is_an_order(text, order):
    window = window_with()
    window.append(user(text))
    assert is_order(window.history[0]) == order


@pytest.mark.parametrize("settings", [{"share": 0}, {"share": 0.9}, {"user_share": -1}, {"x": 1}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        Settings(**settings)
