"""What other programs remember comes in whole, once, and from nowhere it should not."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument, InvalidImport, UnsafeArchive
from massgen_core.memory import Scope
from massgen_core.memory._bringing import pieces_of

ADA = {"user": "ada"}


def message(key, role, text, parent, children=(), when=1_700_000_000.5):
    return {
        "id": key,
        "parent": parent,
        "children": list(children),
        "message": {
            "id": f"msg-{key}",
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": when,
            "update_time": None,
            "content": {"content_type": "text", "parts": [text]},
            "status": "finished_successfully",
            "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
            "recipient": "all",
        },
    }


CHATGPT = [
    {
        "id": "c1",
        "conversation_id": "c1",
        "title": "Cats",
        "create_time": 1_700_000_000.0,
        "update_time": 1_700_000_100.0,
        "current_node": "d",
        "mapping": {
            "root": {"id": "root", "message": None, "parent": None, "children": ["a"]},
            "a": message("a", "system", "", "root", ["b"]),
            "b": message("b", "user", "My cat is called Miau.", "a", ["c", "d"]),
            "c": message("c", "assistant", "I do not care.", "b"),
            "d": message("d", "assistant", "What a nice name!", "b"),
        },
    }
]
CLAUDE = [
    {
        "uuid": "t1",
        "name": "Dogs",
        "created_at": "2025-03-01T10:00:00.000000Z",
        "updated_at": "2025-03-01T10:01:00.000000Z",
        "account": {"uuid": "acc"},
        "chat_messages": [
            {
                "uuid": "m1",
                "sender": "human",
                "text": "My dog is called Rex.",
                "content": [{"type": "text", "text": "My dog is called Rex."}],
                "created_at": "2025-03-01T10:00:00.000000Z",
                "attachments": [
                    {"file_name": "rex.txt", "file_size": 7, "extracted_content": "a dog"}
                ],
                "files": [],
            },
            {
                "uuid": "m2",
                "sender": "assistant",
                "text": "",
                "content": [
                    {"type": "tool_use", "name": "look", "input": {}},
                    {"type": "text", "text": "Noted: Rex."},
                ],
                "created_at": "2025-03-01T10:00:05.000000Z",
            },
        ],
    }
]
MEM0 = {
    "results": [
        {
            "id": "8f1e",
            "memory": "Likes green tea",
            "hash": "abc",
            "metadata": {"category": "drinks"},
            "user_id": "grace",
            "created_at": "2025-07-01T09:00:00.123456-07:00",
            "updated_at": None,
        },
        {"id": "8f1f", "memory": "Has a bike", "agent_id": "coder", "run_id": "r1"},
    ]
}
STORE = [
    {
        "namespace": ["memories", "ada"],
        "key": "k1",
        "value": {"kind": "Memory", "content": {"content": "Ada lives in Oslo."}},
        "created_at": "2025-01-01 10:00:00",
        "updated_at": "2025-01-02 10:00:00",
    },
    {"prefix": "memories.ada", "key": "k2", "value": {"likes": "tea", "n": 1}},
]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_text(text, "utf-8")
    return path


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def store_file(path):
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "CREATE TABLE store (prefix text NOT NULL, key text NOT NULL, value text NOT NULL, "
            "created_at TIMESTAMP, updated_at TIMESTAMP, expires_at TIMESTAMP, "
            "ttl_minutes REAL, PRIMARY KEY (prefix, key))"
        )
        for row in STORE:
            prefix = row.get("prefix") or ".".join(row["namespace"])
            values = (prefix, row["key"], json.dumps(row["value"]), row.get("created_at"))
            conn.execute("INSERT INTO store VALUES (?, ?, ?, ?, NULL, NULL, NULL)", values)
    return path


def massgen_folder(root):
    session = root / "sessions" / "session_20251123_210304"
    for turn, task in ((1, "Draw a cat."), (10, "Now a dog."), (2, "And a bird.")):
        about = {
            "turn": turn,
            "timestamp": "2025-11-23T21:03:04.5",
            "winning_agent": "agent_a",
            "task": task,
            "session_id": "session_20251123_210304",
        }
        write(session / f"turn_{turn}" / "metadata.json", about)
        write(session / f"turn_{turn}" / "answer.txt", f"Done: {task}")
    stopped = {"turn": 11, "task": "A fish?", "status": "incomplete", "winning_agent": None}
    write(session / "turn_11" / "metadata.json", stopped)
    write(session / "turn_11" / "partial_answers.json", {"agent_b": "Half a fish."})
    note = (
        "---\nname: quick_notes\ndescription: Tactics\nupdated: 2025-11-23T20:00:00\n---\n\n## {}\n"
    )
    archived = session / "archived_memories"
    write(archived / "agent_a_answer_0" / "short_term" / "quick_notes.md", note.format("Old"))
    write(archived / "agent_a_answer_2" / "short_term" / "quick_notes.md", note.format("New"))
    write(root / "workspaces" / "w1" / "memory" / "long_term" / "plain.md", "No front.\n---\n")
    write(session / "SESSION_SUMMARY.txt", "for people")
    return root


@pytest.fixture
def sources(tmp_path):
    """One source of each format, and how many memories are in it."""
    store_file(tmp_path / "store.db")
    massgen_folder(tmp_path / ".massgen")
    return {
        "chatgpt": (zipped(tmp_path / "gpt.zip", {"conversations.json": json.dumps(CHATGPT)}), 2),
        "claude": (zipped(tmp_path / "c.zip", {"d/conversations.json": json.dumps(CLAUDE)}), 2),
        "mem0": (write(tmp_path / "mem0.json", MEM0), 2),
        "langgraph": (tmp_path / "store.db", 2),
        "massgen": (tmp_path / ".massgen", 11),
    }


def all_of(memory):
    return memory.timeline({}, states=["active", "superseded", "invalidated"])


@pytest.mark.parametrize("name", ["chatgpt", "claude", "mem0", "langgraph", "massgen"])
def test_a_source_is_told_apart_and_comes_in_once(run, sources, name):
    source, number = sources[name]

    async def work(memory):
        planned = await memory.import_from(source, scope=ADA, dry_run=True)
        assert [] == await all_of(memory)
        first = await memory.import_from(source, scope=ADA)
        again = await memory.import_from(source, format=name, scope=ADA)
        assert (await memory.verify()).ok
        return planned, first, again, await all_of(memory)

    planned, first, again, records = run(work)
    assert name == planned.format == first.format
    assert (number, number, 0) == (first.found, first.new, first.same)
    assert (True, number) == (planned.dry_run, planned.new)
    assert (0, number) == (again.new, again.same)
    assert number == len(records)
    assert {"ada"} == {one.scope.user for one in records}
    assert {f"import/{name}"} == {one.producer for one in records}


def test_of_a_chatgpt_tree_the_branch_that_was_gone_on_from_comes_in(run, sources):
    async def work(memory):
        done = await memory.import_from(sources["chatgpt"][0])
        return done, await all_of(memory)

    done, (asked, answered) = run(work)
    assert ("My cat is called Miau.", "What a nice name!") == (asked.text, answered.text)
    assert ("user", "assistant", "c1") == (asked.speaker, answered.speaker, asked.scope.session)
    assert (1.0, 0.8, 1_700_000_000.5) == (asked.trust, answered.trust, asked.event_time)
    assert {"another branch": 1, "system message": 1} == done.skipped
    origin = answered.meta["origin"]
    assert ("Cats", "d", "gpt-4o") == (origin["title"], origin["message"], origin["model"])


def test_of_claude_the_text_and_the_names_of_files_come_in(run, sources):
    async def work(memory):
        await memory.import_from(sources["claude"][0])
        return await all_of(memory)

    asked, answered = run(work)
    assert ("My dog is called Rex.", "Noted: Rex.") == (asked.text, answered.text)
    assert ("user", 1_740_823_200.0) == (asked.speaker, asked.event_time)
    assert [{"file_name": "rex.txt", "file_size": 7}] == asked.meta["origin"]["files"]


def test_of_mem0_the_scope_and_all_fields_come_in(run, sources):
    async def work(memory):
        await memory.import_from(sources["mem0"][0])
        return sorted(await all_of(memory), key=lambda one: one.text)

    bike, tea = run(work)
    assert (Scope(user="grace"), Scope(agent="coder", run="r1")) == (tea.scope, bike.scope)
    assert ("fact", "Likes green tea") == (tea.kind, tea.text)
    assert {
        "format": "mem0",
        **{key: value for key, value in MEM0["results"][0].items() if key != "memory" and value},
    } == tea.meta["origin"]


def test_a_line_of_json_ends_where_the_line_does(run, tmp_path):
    """Not at what else is a line end of Unicode."""
    texts = ["one\u2028two", "one\u2029two", "one\x85two"]
    rows = [
        {"namespace": ["a"], "key": str(number), "value": {"text": text}}
        for number, text in enumerate(texts)
    ]
    lines = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)

    async def work(memory):
        await memory.import_from(write(tmp_path / "rows.jsonl", lines), format="langgraph")
        return [one.text for one in await all_of(memory)]

    assert texts == run(work)


@pytest.mark.parametrize("form", ["sqlite", "lines", "array"])
def test_of_langgraph_rows_come_in_from_any_form(run, tmp_path, form):
    lines = "\n".join(map(json.dumps, STORE)) + "\n"
    source = {
        "sqlite": lambda: store_file(tmp_path / "store.sqlite"),
        "lines": lambda: write(tmp_path / "rows.jsonl", lines),
        "array": lambda: write(tmp_path / "rows.json", STORE),
    }[form]()

    async def work(memory):
        await memory.import_from(source)
        return sorted(await all_of(memory), key=lambda one: one.meta["origin"]["key"])

    one, two = run(work)
    assert ("Ada lives in Oslo.", '{"likes": "tea", "n": 1}') == (one.text, two.text)
    assert (["memories", "ada"], 1_735_725_600.0) == (
        one.meta["origin"]["namespace"],
        one.event_time,
    )
    assert STORE[0]["value"] == one.meta["origin"]["value"]


def test_of_massgen_turns_and_notes_come_in(run, sources):
    async def work(memory):
        done = await memory.import_from(sources["massgen"][0])
        return done, await all_of(memory)

    done, records = run(work)
    by_text = {one.text: one for one in records}
    turns = sorted((one for one in records if one.kind == "message"), key=lambda one: one.turn_no)
    assert ["Draw a cat.", "Done: Draw a cat.", "And a bird."] == [one.text for one in turns[:3]]
    assert ["user", "agent_b"] == [one.speaker for one in turns[-2:]]
    assert "agent_a" == by_text["Done: Now a dog."].speaker
    old, new, plain = by_text["## Old"], by_text["## New"], by_text["No front.\n---"]
    assert ("superseded", (old.id,), 1) == (old.state, new.supersedes, done.changed)
    assert ("agent_a", ("short_term",), "note") == (new.scope.agent, new.tags, new.kind)
    assert "Tactics" == new.meta["origin"]["description"]
    assert ("long_term",) == plain.tags


@pytest.mark.parametrize(
    ("folder", "format_", "expected"),
    [
        ("memory", None, {"quick", "deep"}),
        ("memory", "massgen", {"quick", "deep"}),
        ("long_term", None, {"quick"}),
        ("agent/memory", None, {"quick", "deep"}),
        ("notes", "massgen", {"quick"}),
    ],
)
def test_notes_that_lie_directly_in_the_folder_come_in(run, tmp_path, folder, format_, expected):
    root = tmp_path / folder
    write(root / "quick.md", "quick")
    write(root / "sub" / "other.md", "other")
    write(root / "image.png", "png")
    if "deep" in expected:
        write(root / "short_term" / "deep.md", "deep")

    async def work(memory):
        done = await memory.import_from(tmp_path / folder.partition("/")[0], format=format_)
        return done.new, {one.text: one.tags for one in await all_of(memory)}

    new, tags = run(work)
    assert (len(expected), expected) == (new, tags.keys())
    assert (("long_term",) if folder == "long_term" else ()) == tags["quick"]


def test_a_folder_of_other_files_is_not_taken_for_memories(run, tmp_path):
    write(tmp_path / "notes" / "README.md", "Read me.")

    async def work(memory):
        with pytest.raises(InvalidImport):
            await memory.import_from(tmp_path / "notes")

    run(work)


def test_one_memory_file_and_one_session_will_do(run, sources):
    root = sources["massgen"][0]
    (session,) = (root / "sessions").iterdir()
    note = root / "workspaces" / "w1" / "memory" / "long_term" / "plain.md"

    async def work(memory):
        return [
            (await memory.import_from(one)).found for one in (note, session, root / "workspaces")
        ]

    assert [1, 10, 1] == run(work)


def test_a_newer_export_supersedes_and_an_older_one_changes_nothing(run, tmp_path):
    old = write(tmp_path / "old.json", MEM0)
    rows = [{**MEM0["results"][0], "memory": "Likes black tea"}, MEM0["results"][1]]
    new = write(tmp_path / "new.json", {"results": rows})

    async def work(memory):
        await memory.import_from(old)
        done = await memory.import_from(new)
        assert (1, 1, 1) == (done.new, done.changed, done.same)
        assert 0 == (await memory.import_from(old)).new
        return {one.text: one.state for one in await all_of(memory)}

    expected = {
        "Likes green tea": "superseded",
        "Likes black tea": "active",
        "Has a bike": "active",
    }
    assert expected == run(work)


def test_what_was_forgotten_does_not_come_in_again(run, sources):
    async def work(memory):
        await memory.import_from(sources["mem0"][0])
        tea, *_ = [one for one in await all_of(memory) if "tea" in one.text]
        await memory.forget(tea.id)
        done = await memory.import_from(sources["mem0"][0])
        return done.new, [one.text for one in await all_of(memory)]

    assert (0, ["Has a bike"]) == run(work)


def test_another_scope_is_another_import(run, sources):
    async def work(memory):
        one = await memory.import_from(sources["claude"][0], scope={"user": "ada"})
        other = await memory.import_from(sources["claude"][0], scope={"user": "bob"})
        return one.new, other.new

    assert (2, 2) == run(work)


@pytest.mark.parametrize(
    "name",
    ["../conversations.json", "/etc/conversations.json", "C:/conversations.json", "a\\..\\b"],
)
def test_a_name_that_leads_out_of_an_archive_is_refused(run, tmp_path, name):
    source = zipped(tmp_path / "x.zip", {"conversations.json": json.dumps(CLAUDE), name: "[]"})

    async def work(memory):
        with pytest.raises(UnsafeArchive, match="leads out of it"):
            await memory.import_from(source)
        return await all_of(memory)

    assert [] == run(work)


def test_links_are_refused_in_archives_and_not_followed_in_folders(run, tmp_path):
    info = zipfile.ZipInfo("conversations.json")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    outside = massgen_folder(tmp_path / "outside")
    folder = tmp_path / "folder" / "short_term"
    write(folder / "mine.md", "Mine.")
    (folder.parent / "linked").symlink_to(outside, target_is_directory=True)
    (folder / "linked.md").symlink_to(next(outside.rglob("plain.md")))

    async def work(memory):
        with pytest.raises(UnsafeArchive, match="is a link"):
            await memory.import_from(tmp_path / "link.zip")
        await memory.import_from(folder.parent)
        return [one.text for one in await all_of(memory)]

    assert ["Mine."] == run(work)


def test_a_zip_bomb_is_refused_whatever_its_header_says(run, tmp_path):
    bomb = zipped(tmp_path / "bomb.zip", {"conversations.json": " " * (64 << 20)})
    data = bomb.read_bytes()
    size = (64 << 20).to_bytes(4, "little")
    liar = tmp_path / "liar.zip"
    liar.write_bytes(data.replace(size, (100).to_bytes(4, "little")))

    async def work(memory):
        with pytest.raises(UnsafeArchive, match="zip bomb|unpacks to more"):
            await memory.import_from(bomb)
        with pytest.raises(InvalidImport):
            await memory.import_from(liar)
        return await all_of(memory)

    assert [] == run(work)


def test_too_many_files_and_too_many_bytes_are_refused(run, tmp_path, monkeypatch):
    from massgen_core.memory import _sources

    source = zipped(tmp_path / "x.zip", {"conversations.json": "[]", "b": "", "c": ""})

    async def work(memory):
        monkeypatch.setattr(_sources, "_MOST_FILES", 2)
        with pytest.raises(UnsafeArchive, match="more than 2 files"):
            await memory.import_from(source)
        monkeypatch.setattr(_sources, "_MOST_BYTES", 10)
        with pytest.raises(UnsafeArchive, match="too large"):
            await memory.import_from(write(tmp_path / "mem0.json", MEM0), format="mem0")

    run(work)


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("mem0", '{"results": [{"id": 1, "memory": "a"}, {"id": 2}]}', "results[1]"),
        ("mem0", '{"results": [\n{"id": 1, }]}', "line 2, column 11"),
        ("mem0", '{"results": [{"id": 1, "memory": "a", "created_at": "soon"}]}', "results[0]"),
        ("mem0", '{"results": [{"id": 1, "memory": "a", "created_at": 1e20}]}', "results[0]"),
        ("langgraph", '{"key": "k", "value": {}, "prefix": "a"}\n{"key": 1}', "line 2"),
        ("langgraph", "[1]", "[0]"),
        ("claude", '[{"uuid": "t", "chat_messages": [7]}]', "[0]"),
        ("claude", '[{"uuid": "t"}]', "[0]"),
        ("chatgpt", '[{"id": "c", "mapping": {}, "current_node": "x"}]', "[0]"),
        (
            "chatgpt",
            '[{"id": "c", "mapping": {"a": {"parent": "a"}}, "current_node": "a"}]',
            "[0]",
        ),
        ("chatgpt", "[" * 100_000, ""),
    ],
)
def test_what_is_malformed_is_told_with_its_place_and_nothing_comes_in(
    run, tmp_path, name, content, place
):
    source = write(tmp_path / "source.json", content)

    async def work(memory):
        with pytest.raises(InvalidImport) as raised:
            await memory.import_from(source, format=name)
        return raised.value, await all_of(memory)

    error, records = run(work)
    assert ("source.json", place, []) == (error.file, error.place, records)


@pytest.mark.parametrize("content", ["", "[]", "{}", "text", '[{"a": 1}]', "\ufeff[]", "[[1]]"])
def test_what_nobody_knows_is_told(run, tmp_path, content):
    source = write(tmp_path / "source.json", content)

    async def work(memory):
        with pytest.raises(InvalidImport):
            await memory.import_from(source)
        with pytest.raises(InvalidArgument, match="there is no format"):
            await memory.import_from(source, format="notion")

    run(work)


ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@st.composite
def mangled(draw):
    """A format and its example, with one place replaced by something else."""
    name, value = draw(
        st.sampled_from(
            [("chatgpt", CHATGPT), ("claude", CLAUDE), ("mem0", MEM0), ("langgraph", STORE)]
        )
    )
    copy = json.loads(json.dumps(value))
    places = list(walked(copy))
    parent, key = draw(st.sampled_from(places))
    parent[key] = draw(ATOMS | st.lists(ATOMS, max_size=2) | st.dictionaries(st.text(), ATOMS))
    return name, copy


def walked(value):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from walked(inner)


def read_or_told(source, name):
    """How many memories are in it, or what is wrong with it; anything else is raised."""
    try:
        found, portions = pieces_of(source, name, Scope(user="ada"))
    except InvalidImport as exc:
        return exc.message
    return str(found.found if found.found == sum(map(len, portions)) else portions)


@given(mangled(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_whatever_stands_in_a_place_is_read_or_told(tmp_path_factory, found, named):
    name, value = found
    source = write(tmp_path_factory.getbasetemp() / "mangled.json", value)
    outcome = read_or_told(source, name if named else None)
    assert str(source) in outcome or outcome.isdecimal()


@pytest.mark.parametrize("name", ["chatgpt", "claude", "mem0", "langgraph", "massgen"])
@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_byte_is_flipped_is_read_or_told(tmp_path, sources, name, data):
    source = sources[name][0]
    files = [source] if source.is_file() else sorted(source.rglob("*.*"))
    file = data.draw(st.sampled_from([one for one in files if one.is_file()]))
    original = file.read_bytes()
    flipped = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(flipped))) if data.draw(st.booleans()) else len(flipped)
    file.write_bytes(flipped[:cut])
    outcome = read_or_told(source, name)
    file.write_bytes(original)
    assert str(source) in outcome or outcome.isdecimal()
