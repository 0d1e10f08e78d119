"""Messages that are taken out of journals: not a byte is left, and the rest is as it was."""

from __future__ import annotations

import base64
import os
import random
import sqlite3
import zlib
from contextlib import closing
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_core.errors import SessionConflict
from massgen_core.messages import (
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    assistant,
    message_to_json,
    tool,
    user,
)
from massgen_core.sessions import ERASED, NewEntry, redact

WORD = "Zyzzyva-4711"
LONG = f"{WORD} is the word, " * 40


def said(message, tokens=5):
    return NewEntry.message(message, tokens, "words")


def take_out(store, texts, **options):
    return store._database.write(partial(redacting, texts, options))


def redacting(texts, options, conn):
    return redact(conn, texts, **{"now": 7.0, **options})


def erase(place, *messages, **options):
    texts = {message.id: message.text for message in messages}

    async def main(store):
        done = await take_out(store, texts, **options)
        assert await store._database.scrub()
        return done

    return place.run(main)


def write(place, *entries, session="s", title=""):
    async def main(store):
        async with store.create(session, title=title) as opened:
            for entry in entries:
                await opened.append(entry)

    place.run(main)


def verified(place):
    return place.run(lambda store: store.verify())


def texts_of(place, session="s"):
    entries = place.run(lambda store: store.read(session))
    return [entry.message.text for entry in entries if entry.kind == "message"]


def bytes_on_disk(place):
    """All bytes of the files, and what its compressed texts say."""
    files = [one.read_bytes() for one in place.path.parent.iterdir() if one.is_file()]
    with closing(sqlite3.connect(place.path)) as conn:
        rows = conn.execute("SELECT codec, data FROM blob").fetchall()
    return b"".join(files + [zlib.decompress(d) if c == "zlib" else d for c, d in rows])


@pytest.mark.parametrize("text", [WORD, LONG], ids=["short", "long"])
def test_not_a_byte_is_left_and_the_journal_is_sound(place, text):
    secret = user(text)
    write(place, said(user("Hello.")), said(secret), said(assistant("Noted.")), title=text[:30])
    before = place.run(lambda store: store.info("s"))

    done = erase(place, secret)
    assert (("s",), ()) == done
    assert WORD.encode() not in bytes_on_disk(place)
    assert verified(place).ok
    assert ["Hello.", ERASED, "Noted."] == texts_of(place)
    info = place.run(lambda store: store.info("s"))
    assert (before.tokens - 5, 3, ERASED) == (info.tokens, info.messages, info.title)
    [_, entry, _] = place.run(lambda store: store.read("s"))
    assert {"erased": 7.0} == entry.message.meta


def test_a_session_goes_on_after_it(place):
    secret = user(LONG)
    write(place, said(secret), said(assistant("Noted.")))
    erase(place, secret)

    async def go_on(store):
        async with store.open_session("s") as session:
            assert session.quarantined is None
            await session.append(said(user("And now?")))

    place.run(go_on)
    assert verified(place).ok
    assert [ERASED, "Noted.", "And now?"] == texts_of(place)


def test_calls_and_results_stay_pairs_and_say_nothing(place):
    meta = {"pinned": True, "author": "bot", "note": WORD}
    call = ToolCall("c1", "look", f'{{"for": "{WORD}"}}')
    picture = Image("image/png", base64.b64decode("AAAA") + WORD.encode())
    asked = Message("assistant", (Reasoning(WORD), Text(WORD), call, picture), meta=meta)
    result = tool("c1", WORD, name="look", is_error=True)
    write(place, said(asked), said(result))

    erase(place, asked, result)
    assert WORD.encode() not in bytes_on_disk(place)
    one, two = [entry.message for entry in place.run(lambda store: store.read("s"))]
    assert (ToolCall("c1", "look", "{}"),) == one.parts
    assert {"pinned": True, "author": "bot", "erased": 7.0} == one.meta
    (found,) = two.results
    assert ("c1", "look", ERASED, True) == (
        found.call_id,
        found.name,
        found.text,
        found.is_error,
    )


def test_what_a_fit_left_of_it_goes_too(place):
    secret, other = user(LONG), user("The house is green. " * 20)
    clipped = message_to_json(Message("user", (Text(f"{WORD} is […]"),), secret.id))
    kept = message_to_json(Message("user", (Text("The house […]"),), other.id))
    digest = message_to_json(user(f"They said {WORD}."))
    early = message_to_json(user("They said hello."))

    def fit(*messages, left=()):
        changed = [{"number": 0, "messages": list(messages), "counts": [9] * len(messages)}]
        view = {"kept": [[1, 1]], "changed": changed}
        return NewEntry(
            "fit", {"operations": [{"message_ids": list(left)}], "view": view, "tokenizer": "w"}
        )

    write(
        place,
        said(secret),
        said(other),
        fit(clipped, kept, early),
        fit(digest, kept, left=[secret.id]),
        NewEntry("note", {"partial": message_to_json(secret)}),
    )
    assert (("s",), ()) == erase(place, secret)
    assert WORD.encode() not in bytes_on_disk(place)
    assert verified(place).ok
    entries = place.run(lambda store: store.read("s"))
    shown = [
        [one["parts"][0]["text"] for one in entry.body["view"]["changed"][0]["messages"]]
        for entry in entries
        if entry.kind == "fit"
    ]
    assert [[ERASED, "The house […]", "They said hello."], [ERASED, "The house […]"]] == shown
    assert ["", ""] == [entry.body["tokenizer"] for entry in entries if entry.kind == "fit"]


def test_forks_lose_it_and_others_keep_what_is_theirs(place):
    secret = user(LONG)
    write(place, said(secret), said(assistant("Noted.")))
    write(place, said(user(LONG)), session="other")
    place.run(lambda store: store.fork("s", new_id="t"))

    assert (("s", "t"), ()) == erase(place, secret)
    assert [ERASED, "Noted."] == texts_of(place) == texts_of(place, "t")
    assert [LONG] == texts_of(place, "other")
    assert verified(place).ok


def test_where_the_same_is_said_again_is_told(place):
    secret, again = user(WORD), assistant(f"You said {WORD}.")
    write(place, said(secret), said(again), said(assistant(f"Yes: {LONG}")))

    assert (("s",), ("s#2", "s#3")) == erase(place, secret, dry_run=True)
    assert WORD == texts_of(place)[0]
    assert (("s",), ("s#2", "s#3")) == erase(place, secret)


def test_a_writer_that_has_read_it_has_to_open_the_session_again(place):
    secret = user(WORD)

    async def main(store):
        async with store.create("s") as session:
            await session.append(said(secret))
            await take_out(store, {secret.id: WORD})
            with pytest.raises(SessionConflict):
                await session.append(said(assistant(WORD)))
        async with store.open_session("s") as session:
            await session.append(said(assistant("Noted.")))

    place.run(main)
    assert [ERASED, "Noted."] == texts_of(place)


def test_damage_is_not_sealed_over(place):
    secret = user(WORD)
    messages = [user(f"number {number}") for number in range(6)]
    write(place, *map(said, messages[:3]), said(secret), *map(said, messages[3:]))
    place.sql("UPDATE entry SET tokens = 6 WHERE seq = 2")
    place.sql("UPDATE entry SET prev = x'00' WHERE seq = 6")
    problems = verified(place).problems

    erase(place, secret)
    assert problems == verified(place).problems
    assert WORD.encode() not in bytes_on_disk(place)


def test_a_damaged_entry_that_names_it_is_emptied_and_stays_damaged(place):
    secret = user(WORD)
    write(place, said(secret), said(assistant("Noted.")))
    place.sql("UPDATE entry SET kind = 'massage' WHERE seq = 1")

    assert ("s",) == erase(place, secret).sessions
    assert WORD.encode() not in bytes_on_disk(place)
    assert not verified(place).ok


def test_what_was_set_aside_goes_too(place):
    secret = user(LONG)
    write(place, said(assistant("Hello.")), said(secret))
    place.sql("UPDATE entry SET tokens = 6 WHERE seq = 2")

    async def resume(store):
        async with store.open_session("s") as session:
            return session.quarantined.entries

    assert 1 == place.run(resume)
    assert WORD.encode() in bytes_on_disk(place)
    assert ("s",) == erase(place, secret).sessions
    assert WORD.encode() not in bytes_on_disk(place)
    assert verified(place).ok


def test_a_session_that_was_only_reminded_of_it_stays(place):
    secret = user(WORD)
    write(place, NewEntry("recall", {"message": "m", "records": [secret.id]}))
    before = place.sql("SELECT * FROM entry")

    assert ((), ()) == erase(place, secret)
    assert before == place.sql("SELECT * FROM entry")


@given(data=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_the_sizes_no_byte_is_left(place, tmp_path_factory, data):
    """SQLite moves cells about when rows grow and shrink: no stale copy may stay in a page."""
    place = type(place)(tmp_path_factory.mktemp("redact"))
    seed = data.draw(st.integers(0, 2**32))
    number = data.draw(st.integers(1, 60))
    chance = random.Random(seed)
    messages = [
        user(
            f"{WORD}{chance.randbytes(chance.choice([1, 40, 60, 900])).hex()}"
            if chance.random() < 0.4
            else chance.randbytes(chance.choice([1, 30, 63, 64, 700])).hex()
        )
        for _ in range(number)
    ]
    write(place, *map(said, messages))
    erase(place, *[one for one in messages if one.text.startswith(WORD)])

    assert WORD.encode() not in bytes_on_disk(place)
    assert verified(place).ok
    expected = [ERASED if one.text.startswith(WORD) else one.text for one in messages]
    assert expected == texts_of(place)


@pytest.mark.skipif(os.name == "nt", reason="the log cannot be emptied under a reader")
def test_every_session_is_in_one_transaction(place):
    secret = user(WORD)
    write(place, said(secret))
    place.run(lambda store: store.fork("s", new_id="t"))

    async def main(store):
        before = store._database.commits
        await take_out(store, {secret.id: WORD})
        return store._database.commits - before

    assert 1 == place.run(main)
