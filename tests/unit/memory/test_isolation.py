"""Nobody gets, changes or erases what is not theirs: random calls by random principals.

Each call is made to a real memory and to the model of `isolating`; what it returns, or how it is
refused, must be the same, and so must be all that is in the memory in the end.
"""

import asyncio
import json
import random
import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from massgen_core.errors import (
    AccessDenied,
    InvalidArgument,
    MassgenError,
    RecordConflict,
    RecordNotFound,
)
from massgen_core.memory import Memory, NewMemory, Retention, Scope

rules = runpy.run_path(str(Path(__file__).with_name("isolating.py")))
Model, Rev, NAMES, covers = (rules[name] for name in ("Model", "Rev", "NAMES", "covers"))
SEEN = ("active", "superseded", "invalidated")
ALL = (*SEEN, "tombstone")
CALLS = (
    *("remember",) * 6,
    *("remember_many", "recall", "get", "history", "update", "move", "hide", "invalidate"),
    *("undo", "forget", "timeline", "stats", "explain", "export", "grant", "revoke", "gc"),
)


class Both:
    """The memory and its model, and who asks them for what."""

    def __init__(self, memory, folder, seed):
        self.memory = memory
        self.folder = folder
        self.rnd = random.Random(seed)
        self.model = Model()
        self.names = self.rnd.sample(NAMES, 5)
        self.made = 0
        self.outcomes = Counter()

    def who(self, *scopes):
        """Somebody: mostly one whose scope it is."""
        owners = [name for scope in scopes for name in (scope.user, scope.agent) if name]
        if owners and self.rnd.random() < 0.6:
            return self.rnd.choice(owners)
        return self.rnd.choice([None, None, "", "stranger", "\ud800", *self.names])

    def one(self):
        """A principal and the id of a memory, mostly one of theirs."""
        name = self.known()
        revs = self.model.revisions.get(name, ())
        return self.who(*(rev.scope for rev in revs[-1:])), name

    def scope(self):
        fields = self.rnd.choice([["user"], ["user", "session"], ["agent"], list(Scope.__slots__)])
        return Scope(**{name: self.rnd.choice(["", *self.names]) for name in fields})

    def known(self):
        if not self.model.revisions or self.rnd.random() < 0.02:
            return self.rnd.choice(["nothing", "", "%", "\0", "\ud800", "m" * 5000])
        return self.rnd.choice(list(self.model.revisions))

    def where(self, name):
        """Where a call by id looks: anywhere, where it is, somewhere else."""
        here = self.model.revisions[name][-1].scope if name in self.model.revisions else None
        return self.rnd.choice([None, None, here, self.scope()])

    async def same(self, call, expected):
        """The result of the call if it is to succeed; it must be refused as the model says."""
        refused = expected if isinstance(expected, str) else None
        try:
            found = await call
        except (AccessDenied, RecordNotFound, RecordConflict, InvalidArgument) as exc:
            if refused != type(exc).__name__:
                raise
            self.outcomes["refused"] += 1
            return None
        assert refused is None, f"expected {refused}, got {found}"
        self.outcomes["done"] += 1
        return found

    def new(self, scope):
        self.made += 1
        return NewMemory(
            text=f"tea {self.made} {self.rnd.choice(self.names)}",
            scope=scope,
            kind=self.rnd.choice(["message", "fact", "instruction"]),
            pinned=self.rnd.random() < 0.2,
            owner=self.rnd.choice(["", *self.names]),
            visibility=self.rnd.choice(["scope", "scope", "private"]),
            source_ids=tuple({self.known()} & self.model.revisions.keys())
            if self.rnd.random() < 0.2
            else (),
            id=f"m{self.made}",
        )

    async def remember(self):
        scope = self.scope()
        await self.remember_some(self.who(scope), [self.new(scope)], supersede=True)

    async def remember_many(self):
        who = self.rnd.choice([None, self.who()])
        await self.remember_some(who, [self.new(self.scope()) for _ in range(3)])

    async def remember_some(self, who, news, *, supersede=False):
        model = self.model
        if who and self.rnd.random() < 0.8:  # else foreign owners would let nothing through
            news = [replace(new, owner=new.owner and who) for new in news]
        old = self.known() if supersede and self.rnd.random() < 0.4 else None
        if old is not None:
            news = [replace(news[0], supersedes=(old,))]
        expected = next(filter(None, (self.disowned(who, new) for new in news)), None)
        if expected is None and not all(model.allowed(who, new.scope, "write") for new in news):
            expected = "AccessDenied"
        elif not (expected or old is None or self.may_supersede(old, who, news[0].scope)):
            expected = "RecordNotFound"
        call = self.memory.remember_many(news, principal=who)
        if await self.same(call, expected) is None:
            return
        changes = {}
        for new in news:
            private = new.visibility == "private"
            owner = new.owner or (who if private else "")
            changes[new.id] = Rev(new.text, new.scope, 0, "active", owner, private)
        if old is not None and model.revisions[old][-1].state == "active":
            changes[old] = replace(model.revisions[old][-1], state="superseded")
        model.sources.update({new.id: new.source_ids for new in news})
        model.put(changes)

    def disowned(self, who, new):
        """Why nobody could own it so, if that is it."""
        if who is not None and new.owner not in ("", who):
            return "AccessDenied"
        nobodys = new.visibility == "private" and not (new.owner or who)
        return "InvalidArgument" if nobodys else None

    def may_supersede(self, old, who, scope):
        if old not in self.model.revisions:
            return False
        whose = Scope(scope.tenant, scope.team, scope.user)
        whose = rules["lasting"](scope) if whose == Scope() else whose
        rev = self.model.revisions[old][-1]
        return covers(whose, rev.scope) and self.model.may(who, rev, "write")

    async def recall(self):
        scopes = [self.scope() for _ in range(self.rnd.randrange(1, 3))]
        who = self.who(*scopes)
        ok = all(self.model.allowed(who, scope, "read") for scope in scopes)
        call = self.memory.recall("tea", scope=scopes, k=100_000, principal=who)
        hits = await self.same(call, None if ok else "AccessDenied")
        if hits is not None:
            expected = set().union(*(self.model.visible(who, one, "active") for one in scopes))
            assert expected == {hit.record.id for hit in hits}
            for hit in hits:
                assert self.model.revisions[hit.record.id][-1].text == hit.record.text

    async def explain(self):
        scope = self.scope()
        who = self.who(scope)
        ok = self.model.allowed(who, scope, "read")
        call = self.memory.explain("tea", scope=scope, k=3, near=3, principal=who)
        found = await self.same(call, None if ok else "AccessDenied")
        if found is not None:
            answers = (*found.candidates, *found.near)
            shown = {one.record.id for one in (*answers, *found.left_out)}
            shown |= {one.id for one in found.standing}
            assert shown <= self.model.visible(who, scope, *SEEN)
            sources = {one.id for each in answers for one in each.sources}
            assert sources <= self.model.visible(who, Scope(), *ALL)

    async def timeline(self):
        scope = self.scope()
        who = self.who(scope)
        ok = self.model.allowed(who, scope, "read")
        call = self.memory.timeline(scope, states=SEEN, principal=who)
        found = await self.same(call, None if ok else "AccessDenied")
        if found is not None:
            assert self.model.visible(who, scope, *SEEN) == {one.id for one in found}

    async def stats(self):
        scope = self.scope()
        who = self.who(scope)
        ok = self.model.allowed(who, scope, "read")
        found = await self.same(
            self.memory.stats(scope, principal=who), None if ok else "AccessDenied"
        )
        if found is not None:
            inside = self.model.visible(None, scope, *ALL)
            assert len(inside) == sum(found.by_state.values())
            listed = {one.id for one, _ in found.top_used} | set(found.stale)
            listed |= {one for group in found.duplicates for one in group}
            assert listed <= self.model.visible(who, scope, "active")
            assert all(covers(scope, one) for one in found.by_scope)

    async def get(self):
        who, name = self.one()
        scope = self.where(name)
        ok = self.model.finds(name, who, scope, "read")
        call = self.memory.get(name, scope=scope, principal=who)
        found = await self.same(call, None if ok else "RecordNotFound")
        if found is not None:
            rev = self.model.revisions[name][-1]
            assert (rev.text, rev.state, rev.scope) == (found.text, found.state, found.scope)

    async def history(self):
        who, name = self.one()
        scope = self.where(name)
        ok = self.model.finds(name, who, scope, "read")
        call = self.memory.history(name, scope=scope, principal=who)
        found = await self.same(call, None if ok else "RecordNotFound")
        if found is not None:
            texts = [one.record and one.record.text for one in found]
            assert self.model.shown(name, who) == texts

    async def update(self):
        self.made += 1
        await self.change(text=f"tea {self.made}")

    async def hide(self):
        await self.change(owner=self.rnd.choice(self.names), visibility="private")

    async def move(self):
        await self.change(move_to=self.scope())

    async def change(self, **given):
        who, name = self.one()
        scope, model = self.where(name), self.model
        expected = None if model.finds(name, who, scope, "write") else "RecordNotFound"
        where = given.get("move_to")
        if expected is None and who is not None and "owner" in given:
            rev = model.revisions[name][-1]
            its_own = who in (rev.owner, rev.scope.user, rev.scope.agent)
            expected = None if its_own and given["owner"] == who else "AccessDenied"
        if expected is None and where is not None and not model.allowed(who, where, "write"):
            expected = "AccessDenied"
        call = self.memory.update(name, scope=scope, principal=who, **given)
        found = await self.same(call, expected)
        if found is not None and found.rev > len(model.revisions[name]):
            values = {"owner": found.owner, "private": found.visibility == "private"}
            model.change(name, text=found.text, scope=found.scope, **values)
            assert given.get("text", found.text) == found.text

    async def invalidate(self):
        who, name = self.one()
        scope = self.where(name)
        ok = self.model.finds(name, who, scope, "write")
        call = self.memory.invalidate(name, scope=scope, principal=who)
        found = await self.same(call, None if ok else "RecordNotFound")
        if found is not None and self.model.revisions[name][-1].state != "invalidated":
            self.model.change(name, state="invalidated", op="invalidate")

    async def undo(self):
        who, name = self.one()
        scope = self.where(name)
        expected = "RecordNotFound"
        if self.model.finds(name, who, scope, "write"):
            expected = self.model.undone(name, who, scope)
        found = await self.same(self.memory.undo(name, scope=scope, principal=who), expected)
        if found is not None:
            assert set(expected) == {one.id for one in found}
            assert [expected[one.id].text for one in found] == [one.text for one in found]
            self.model.put(expected)

    async def forget(self):
        (who, name), model = self.one(), self.model
        names = {name, *(self.known() for _ in range(self.rnd.choice([0, 0, 1])))}
        scope = self.where(min(names))
        ok = all(model.finds(name, who, scope, "write") for name in names)
        call = self.memory.forget(sorted(names), scope=scope, principal=who)
        receipt = await self.same(call, None if ok else "RecordNotFound")
        if receipt is not None:
            derived = model.derived(names)
            told = {one for one in derived if model.may(who, model.revisions[one][-1], "read")}
            assert (names | told, told) == (set(receipt.ids), set(receipt.derived))
            model.erase(names | derived, "forget")

    async def export(self):
        scope = self.scope()
        who = self.who(scope)
        target = self.folder / "archive.jsonl"
        ok = self.model.allowed(who, scope, "read")
        call = self.memory.export(target, scope=scope, principal=who)
        if await self.same(call, None if ok else "AccessDenied") is None:
            return
        texts = {}
        for line in map(json.loads, target.read_text("utf-8").splitlines()):
            if entry := line.get("entry"):
                texts.setdefault(entry["id"], []).append(entry.get("text"))
        expected = {
            name: self.model.shown(name, who, within=scope)
            for name in self.model.visible(who, scope, *ALL)
        }
        assert expected == texts

    async def grant(self):
        who, scope = self.rnd.choice(self.names), self.scope()
        rights = self.rnd.choice([["read"], ["read", "write"]])
        await self.memory.grant(who, scope, rights)
        self.model.grants[who, scope] = set(rights)

    async def revoke(self):
        if self.model.grants:
            who, scope = self.rnd.choice(list(self.model.grants))
            assert 1 == await self.memory.revoke(who, scope)
            del self.model.grants[who, scope]

    async def gc(self):
        scope = self.scope()
        done = await self.memory.gc(Retention(max_records=3, grace=0), scope=scope)
        owners = {}
        for each in done.marked:
            name = each.record.id
            assert covers(scope, self.model.revisions[name][-1].scope)
            owners.setdefault(rules["lasting"](each.record.scope), []).append(name)
        for names in owners.values():
            self.model.change(*names, state="invalidated", op="expire")
        purged = {each.record.id for each in done.purged}
        assert purged <= self.model.visible(None, scope, "invalidated")
        self.model.erase(purged, "purge")

    async def compare(self):
        """All that is in the memory is what the model has."""
        assert (await self.memory.verify()).ok
        for name, revs in self.model.revisions.items():
            record = await self.memory.get(name)
            assert (revs[-1].text, revs[-1].state, revs[-1].scope, len(revs)) == (
                *(record.text, record.state, record.scope, record.rev),
            )


@pytest.mark.parametrize(
    "calls", [500, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_random_calls_by_random_principals_reach_nothing_foreign(tmp_path, calls, request):
    seed = random.randrange(1 << 30)

    async def main():
        outcomes = Counter()
        for part in range(-(-calls // 500)):
            folder = tmp_path / str(part)
            folder.mkdir()
            async with Memory.open(folder, synchronous="normal") as memory:
                both = Both(memory, folder, f"{seed} {part}")
                for number in range(500):
                    name = both.rnd.choice(CALLS)
                    try:
                        await getattr(both, name)()
                    except (AssertionError, MassgenError) as exc:
                        exc.add_note(f"seed {seed}, part {part}, call {number}: {name}")
                        raise
                await both.compare()
            outcomes += both.outcomes
        return outcomes

    outcomes = asyncio.run(main())
    print(f"{calls} calls, 0 foreign: {dict(outcomes)}")  # noqa: T201
    assert min(outcomes["done"], outcomes["refused"]) > calls / 5


ADA, BOB = {"user": "ada"}, {"user": "bob"}


def test_an_agent_supersedes_nothing_of_others(run):
    async def work(memory):
        await memory.remember("Lives in Oslo.", scope=ADA, id="a")
        for principal in ("x", None):
            with pytest.raises(RecordNotFound):
                await memory.remember(
                    "Lives in Rome.", scope={"agent": "x"}, supersedes=["a"], principal=principal
                )
        return (await memory.get("a")).state

    assert "active" == run(work)


def test_nobody_supersedes_what_is_private_to_another(run):
    async def work(memory):
        team = {"team": "red"}
        await memory.grant("bob", team, ["write"])
        await memory.remember("diary", scope=team, owner="ada", visibility="private", id="a")
        with pytest.raises(RecordNotFound):
            await memory.remember("mine", scope=team, supersedes=["a"], principal="bob")
        return (await memory.get("a")).state

    assert "active" == run(work)


def test_an_undo_takes_back_nothing_of_others(run):
    async def work(memory):
        both = [NewMemory(text="tea", scope=Scope(user=who), id=who) for who in ("ada", "bob")]
        await memory.remember_many(both)
        for asked in ({"principal": "ada"}, {"scope": ADA}):
            with pytest.raises(AccessDenied):
                await memory.undo("ada", **asked)
        await memory.remember("moved", scope=ADA, id="m")
        await memory.update("m", move_to=BOB)
        with pytest.raises(AccessDenied):
            await memory.undo("m", principal="bob")
        assert ["active", "active"] == [(await memory.get(who)).state for who in ("ada", "bob")]
        return {one.id for one in await memory.undo("ada")}

    assert {"ada", "bob"} == run(work)


def test_what_was_private_or_elsewhere_is_in_no_history_and_no_archive(run, tmp_path):
    async def work(memory):
        await memory.grant("bob", ADA)
        await memory.remember("secret", scope=ADA, owner="ada", visibility="private", id="s")
        await memory.remember("draft", scope=ADA, owner="ada", visibility="private", id="d")
        await memory.update("d", text="open", visibility="scope")
        await memory.remember("at home", scope={"user": "carl"}, id="m")
        await memory.update("m", text="at work", move_to=ADA)
        await memory.export(tmp_path / "b", scope=ADA, principal="bob")
        await memory.export(tmp_path / "p", scope=ADA)
        histories = [await memory.history(one, principal="bob") for one in ("d", "m")]
        return [[one.record and one.record.text for one in each] for each in histories]

    assert [[None, "open"], [None, "at work"]] == run(work)
    bobs, programs = ((tmp_path / name).read_text() for name in ("b", "p"))
    assert [False, False, True, False, True] == [
        text in bobs for text in ("secret", "draft", "open", "at home", "at work")
    ]
    assert [True, True, True, False, True] == [
        text in programs for text in ("secret", "draft", "open", "at home", "at work")
    ]


def test_a_receipt_names_no_memory_of_others(run):
    async def work(memory):
        await memory.remember("said", scope=ADA, id="a")
        await memory.remember("heard", scope=BOB, source_ids=["a"], kind="fact", id="b")
        receipt = await memory.forget("a", principal="ada")
        return receipt.ids, (await memory.get("b")).state

    assert (("a",), "tombstone") == run(work)


def test_nothing_is_taken_for_remembered_under_an_id_that_another_had(run):
    async def work(memory):
        await memory.forget(await memory.remember("hers", scope=ADA, id="1"))
        for text, scope in (("hers again", ADA), ("hers", ADA), ("his", BOB)):
            with pytest.raises(RecordConflict, match="was forgotten"):
                await memory.remember(text, scope=scope, id="1")

    run(work)


def test_what_is_private_belongs_to_somebody(run):
    async def work(memory):
        mine = await memory.remember("diary", scope=ADA, visibility="private", principal="ada")
        assert "ada" == (await memory.get(mine, principal="ada")).owner
        (hit,) = await memory.recall("diary", scope=ADA, principal="ada")
        assert mine == hit.record.id
        with pytest.raises(InvalidArgument, match="needs an owner"):
            await memory.remember("whose?", scope=ADA, visibility="private")
        with pytest.raises(AccessDenied):
            await memory.remember("his?", scope=ADA, owner="bob", principal="ada")
        await memory.grant("bob", ADA, ["write"])
        open_ = await memory.remember("open", scope=ADA, principal="ada")
        for changes in ({"owner": "bob", "visibility": "private"}, {"visibility": "private"}):
            with pytest.raises(AccessDenied):
                await memory.update(open_, principal="bob", **changes)
        await memory.update(open_, principal="ada", visibility="private")
        assert "ada" == (await memory.get(open_, principal="ada")).owner

    run(work)


async def team_with_a_secret(memory):
    """What carl said in a team; the words in the middle are private."""
    team = {"team": "red"}
    await memory.grant("bob", team, ["read"])
    await memory.grant("carl", team, ["read", "write"])
    said = (("a", "The weather is fine"), ("secret", "password zebra"), ("c", "Lunch is at noon"))
    for number, (name, text) in enumerate(said):
        seen_by = "private" if name == "secret" else "scope"
        scope, more = {**team, "session": "s"}, {"turn_no": number, "visibility": seen_by}
        await memory.remember(text, scope=scope, principal="carl", id=name, **more)
    return team


def test_private_words_do_not_show_in_the_scores_of_others(run):
    async def work(memory):
        team = await team_with_a_secret(memory)

        async def seen(word, who):
            return [hit.record.id for hit in await memory.recall(word, scope=team, principal=who)]

        assert [] == await seen("zebra", "bob")
        assert "secret" == (await seen("zebra", "carl"))[0]
        assert 3 == len(await seen("zebra", None))
        said = await memory.explain("zebra", scope=team, principal="bob")
        assert ((), 1) == (said.candidates + said.near, said.hidden)

        await memory.update("secret", visibility="scope", principal="carl")
        assert 3 == len(await seen("zebra", "bob"))
        await memory.update("secret", visibility="private", principal="carl")
        assert [] == await seen("zebra", "bob")

    run(work)


def test_an_index_is_shared_where_nothing_is_private_to_others(run, loads):
    async def work(memory):
        team = await team_with_a_secret(memory)
        for who in (None, "carl", "bob", "carl", "bob"):
            await memory.recall("lunch", scope=team, principal=who)

    run(work)
    assert 2 == len(loads)
