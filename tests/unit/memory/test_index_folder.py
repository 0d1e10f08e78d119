"""A folder of an index keeps its state, and notices what happened to its files."""

import shutil

import pytest

from massgen_core.errors import StorageBusy, StorageError
from massgen_core.memory import IndexFolder, IndexState

SETTLED = "graph/*"


def folder(path, identity="test/1"):
    return IndexFolder(path / "index", identity, settled=SETTLED)


def refuse(data, state):
    raise AssertionError("an index that is new, or was closed, needs no check")


def trust(data, state):
    return ""


def filled(path):
    """Open, with a settled file, another one, and a watermark."""
    made = folder(path)
    assert made.open(refuse) == ""
    (made.data / "graph").mkdir()
    (made.data / "graph" / "links").write_text("links")
    (made.data / "rows").write_text("rows")
    made.save(IndexState("test/1", watermark=7, count=2))
    return made


def opened_again(path, check=trust, identity="test/1"):
    again = folder(path, identity)
    problem = again.open(check)
    again.close()
    return problem, again.state.watermark


@pytest.mark.parametrize("end", ["close", "abandon"])
def test_what_was_saved_is_there_again(tmp_path, end):
    getattr(filled(tmp_path), end)()
    assert ("", 7) == opened_again(tmp_path)


def test_after_a_crash_the_check_decides(tmp_path):
    filled(tmp_path).abandon()
    assert ("rows are wrong", 0) == opened_again(tmp_path, lambda data, state: "rows are wrong")
    assert "rows" == (tmp_path / "index" / "damaged" / "rows").read_text()


def test_a_check_that_fails_leaves_the_folder_to_others(tmp_path):
    filled(tmp_path).abandon()
    again = folder(tmp_path)
    with pytest.raises(AssertionError, match="needs no check"):
        again.open(refuse)
    assert ("", 7) == opened_again(tmp_path)


@pytest.mark.parametrize("name", ["rows", "graph/links"])
def test_any_file_that_changes_while_it_is_closed_is_noticed(tmp_path, name):
    made = filled(tmp_path)
    made.close()
    (made.data / name).write_text("other")
    assert (f"its files are not as they were written: {name}", 0) == opened_again(tmp_path, refuse)


def test_a_settled_file_that_changes_after_a_crash_is_noticed(tmp_path):
    made = filled(tmp_path)
    made.abandon()
    (made.data / "graph" / "links").write_text("linkz")
    problem = "its files are not as they were written: graph/links"
    assert (problem, 0) == opened_again(tmp_path, refuse)


def test_a_settled_file_that_was_written_again_before_a_save_is_trusted(tmp_path):
    made = filled(tmp_path)
    (made.data / "graph" / "links").write_text("more links")
    made.save(made.state)
    made.abandon()
    assert ("", 7) == opened_again(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", '{"state": {}, "sha256": ""}'])
def test_a_damaged_state_file_empties_it(tmp_path, damage):
    filled(tmp_path).close()
    (tmp_path / "index" / "state.json").write_text(damage)
    problem, mark = opened_again(tmp_path, refuse)
    assert ("what it holds is not known", 0) == (problem.partition(":")[0], mark)


def test_another_identity_empties_it(tmp_path):
    filled(tmp_path).close()
    problem = "it was built with 'test/1', now 'test/2' is used"
    assert (problem, 0) == opened_again(tmp_path, refuse, identity="test/2")


def test_it_is_open_once(tmp_path):
    made = filled(tmp_path)
    with pytest.raises(StorageBusy):
        folder(tmp_path).open(refuse)
    made.close()
    assert ("", 7) == opened_again(tmp_path)


def test_what_is_distrusted_starts_empty(tmp_path):
    made = filled(tmp_path)
    made.distrust()
    with pytest.raises(StorageError):
        made.save(made.state)
    made.close()
    assert 0 == opened_again(tmp_path, refuse)[1]


def test_a_folder_that_was_deleted_while_it_was_open_cannot_be_saved(tmp_path):
    made = filled(tmp_path)
    shutil.rmtree(made.path)
    assert not made.intact()
    with pytest.raises(StorageError, match="was deleted while it was open"):
        made.save(IndexState("test/1", watermark=8))
    made.restart(keep=False)
    assert (0, True) == (made.state.watermark, made.intact())
    made.close()


def test_forgetting_names_indexes_that_are_not_open(run, tmp_path):
    async def work(memory):
        record_id = await memory.remember("tea", scope={"user": "ada"})
        return await memory.forget(record_id)

    for name in ("chroma", "mem0"):
        (tmp_path / "massgen.indexes" / name).mkdir(parents=True)
    (tmp_path / "massgen.indexes" / "mem0" / "texts.db").write_bytes(b"tea")

    assert (str(tmp_path / "massgen.indexes" / "mem0"),) == run(work).copies
