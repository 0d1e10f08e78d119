from massgen_core.context import ContextEngine, ContextWindow, clip_newest
from massgen_core.messages import ToolCall, assistant, system, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


def clip(*messages, limit=1000):
    window = ContextWindow(ContextEngine([], COUNTER))
    for message in messages:
        window.append(message)
    return clip_newest(window.view, limit, window.engine.context(window.view, window.history))


def test_a_newest_group_larger_than_the_room_gets_half_of_it():
    found = clip(user("task"), assistant("line\n" * 4000))
    assert (1,) == found.groups
    assert 450 <= found.limit <= 500


def test_its_messages_share_the_room():
    found = clip(user("task"), assistant("", ToolCall("c", "read")), tool("c", "line\n" * 4000))
    assert 225 <= found.limit <= 250


def test_one_that_fits_beside_what_is_protected_is_left_alone():
    assert clip(user("task"), assistant("line\n" * 100)) is None
    assert clip(system("rule " * 900), user("task"), assistant("line\n" * 100)) is not None


def test_a_protected_newest_message_and_an_empty_view_are_left_alone():
    assert clip(user("line\n" * 4000)) is None
    assert clip() is None


def test_many_small_texts_are_left_alone_where_a_cut_frees_nothing():
    calls = [ToolCall(f"c{n}", "read") for n in range(60)]
    results = [tool(f"c{n}", "line\n" * 10) for n in range(60)]
    assert clip(user("task"), assistant("", *calls), *results) is None
