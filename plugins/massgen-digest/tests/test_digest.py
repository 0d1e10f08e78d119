"""What the digest does; the conformance suite covers the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from massgen_core.context import ContextEngine, ContextWindow
from massgen_core.messages import ToolCall, assistant, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for
from massgen_digest.extract import atoms_of, fill
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


def test_user_messages_beyond_their_share_are_quoted_newest_first():
    window = window_with(user_share=0.0)
    work(window, 40)
    window.fit(4000)
    (text,) = digests(window)
    quoted = [n for n in range(40) if f"Rule {n}: always run check_{n} first." in text]
    assert quoted
    assert quoted == list(range(quoted[0], quoted[-1] + 1))
    assert quoted[-1] >= 30


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
    assert [name for name, _, _ in atoms_of(text)] == names


@given(st.lists(st.text(min_size=1, max_size=40), max_size=40), st.integers(0, 200))
def test_lines_are_filled_in_order_within_the_room(lines, room):
    count = len
    out = fill(lines, room, count)
    assert sum(count(f"{line}\n") for line in out) <= room
    assert [line for line in dict.fromkeys(lines) if line in out] == out


@pytest.mark.parametrize("settings", [{"share": 0}, {"share": 0.9}, {"user_share": -1}, {"x": 1}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        Settings(**settings)
