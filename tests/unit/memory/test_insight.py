import pytest

from massgen_core.errors import AccessDenied, InvalidArgument
from massgen_core.memory import Plugins, Scope

ADA = {"user": "ada"}
BOB = {"user": "bob"}
DAY = 86_400.0
MONDAY = 1_750_032_000.0  # 2025-06-16


def texts(records):
    return [one.record.text if hasattr(one, "record") else one.text for one in records]


def test_stats_count_what_there_is(run, clock):
    clock.time = MONDAY

    async def work(memory):
        first = await memory.remember("tea one", scope={**ADA, "session": "s1"})
        old = await memory.remember("Lives in Oslo.", scope=ADA, kind="fact")
        clock.time += 6 * DAY
        twice = [await memory.remember("tea two", scope={**ADA, "session": s}) for s in "ab"]
        clock.time += DAY
        await memory.remember("Lives in Rome.", scope=ADA, kind="fact", supersedes=[old])
        near = await memory.remember("Tea two!", scope=ADA)
        await memory.remember("bobs", scope=BOB)
        gone = await memory.remember("gone", scope=ADA)
        await memory.forget(gone)
        clock.time += 90 * DAY
        for _ in range(3):
            await memory.recall("one", scope=ADA, k=1)
        await memory.recall("nothing like it", scope={"user": "eve"})
        stats = await memory.stats(ADA)
        assert (5, 43) == (stats.active.records, stats.active.size)
        assert {"active": 5, "superseded": 1, "tombstone": 1} == stats.by_state
        assert {"message": 4, "fact": 1} == stats.by_kind
        assert (2, 22) == (
            *(stats.by_scope[Scope(user="ada")].records, stats.by_scope[Scope(user="ada")].size),
        )
        assert {"2025-06-16": 2, "2025-06-22": 2, "2025-06-23": 3} == stats.days
        assert {"2025-06-16": 4, "2025-06-23": 3} == stats.weeks
        assert (tuple(twice),) == stats.duplicates
        assert {*twice, near} == set(stats.near_duplicates[0])
        assert set(twice) == set(stats.stale)
        assert [("tea one", 3)] == [(one.text, uses) for one, uses in stats.top_used]
        assert first == stats.top_used[0][0].id
        assert (4, 3, 0.75) == (stats.recalls, stats.answered, stats.hit_rate)
        whole = await memory.stats()
        assert 6 == whole.active.records
        assert memory.path.stat().st_size <= whole.disk.file
        assert 0 < whole.bytes_per_record < 2000
        assert 0 == whole.disk.vectors

    run(work)


def test_recalls_are_still_counted_after_a_restart(run):
    async def ask(memory):
        await memory.remember("tea", scope=ADA)
        await memory.recall("tea", scope=ADA)

    run(ask)
    run(ask)
    stats = run(lambda memory: memory.stats())
    assert (2, 2) == (stats.recalls, stats.answered)


def test_stats_of_nothing(run):
    stats = run(lambda memory: memory.stats())
    assert (0, None, None) == (stats.active.records, stats.hit_rate, stats.bytes_per_record)


def test_explain_gives_every_term_and_the_near_misses(run):
    async def work(memory):
        source = await memory.remember("I said tea is green.", scope={**ADA, "session": "s"})
        await memory.remember("Green tea.", scope=ADA, kind="fact", source_ids=[source])
        for number in range(4):
            await memory.remember(
                f"Something on tea {number}", scope={**ADA, "session": f"{number}"}
            )
        await memory.remember("Speak French.", scope=ADA, kind="instruction", pinned=True)
        hits = await memory.recall("green tea", scope=ADA, k=2)
        found = await memory.explain("green tea", scope=ADA, k=2, near=3)
        assert texts(hits)[1:] == texts(found.candidates)
        assert [hit.score for hit in hits[1:]] == [one.score for one in found.candidates]
        assert ["Speak French."] == texts(found.standing)
        assert [1, 2, 3, 4, 5] == [one.rank for one in (*found.candidates, *found.near)]
        for one in (*found.candidates, *found.near):
            assert pytest.approx(one.score) == sum(one.terms.values())
        (fact,) = [one for one in found.candidates if one.record.kind == "fact"]
        assert ["I said tea is green."] == texts(fact.sources)
        assert (7, 0.0, 0) == (found.searched, found.embedded, found.hidden)
        assert 1 == (await memory.stats()).recalls

    run(work)


def test_explain_says_why_something_is_left_out(run, clock):
    async def work(memory):
        await memory.remember("tea expired", scope=ADA, expires_at=clock.now() + 1)
        await memory.remember("tea later", scope=ADA, valid_from=clock.now() + 1000)
        await memory.remember("tea note", scope=ADA, kind="note")
        no = await memory.remember("tea excluded", scope=ADA)
        old = await memory.remember("tea old", scope=ADA)
        new = await memory.remember("tea new", scope=ADA, supersedes=[old])
        wrong = await memory.remember("tea wrong", scope=ADA)
        await memory.invalidate(wrong)
        await memory.remember("tea of bob", scope=BOB)
        clock.time += 2
        found = await memory.explain("tea", scope=ADA, kinds=["message"], exclude=[no])
        assert ["tea new"] == texts(found.candidates)
        assert {
            "tea expired": "expired",
            "tea later": "not valid now",
            "tea note": "other kind",
            "tea excluded": "excluded",
            "tea old": f"superseded by {new}",
            "tea wrong": "invalidated",
        } == {one.record.text: one.reason for one in found.left_out}

    run(work)


def test_explain_tells_nothing_of_what_is_private_to_others(run):
    async def work(memory):
        team = {"team": "red"}
        await memory.grant("ada", team)
        private = {"scope": team, "owner": "bob", "visibility": "private"}
        source = await memory.remember("bobs secret tea", **private)
        gone = await memory.remember("bobs old secret tea", **private)
        await memory.invalidate(gone)
        await memory.remember("open tea", scope=team, source_ids=[source])
        found = [
            await memory.explain(query, scope=team, principal="ada") for query in ("tea", "rain")
        ]
        assert [1, 1] == [one.hidden for one in found]
        assert "secret" not in str(found)
        assert "secret" in str(await memory.explain("tea", scope=team))
        await memory.recall("secret", scope=team)
        assert "secret" in str((await memory.stats(team)).top_used)
        assert "secret" not in str(await memory.stats(team, principal="ada"))
        assert "secret" not in await memory.report_html(team, principal="ada")
        for call in (memory.explain("tea", scope=BOB, principal="ada"),):
            with pytest.raises(AccessDenied):
                await call
        for look in (memory.stats, memory.timeline, memory.report_html):
            with pytest.raises(AccessDenied):
                await look(BOB, principal="ada")

    run(work)


def test_explain_shows_what_a_reranker_decided(run):
    class Shortest:
        async def rerank(self, query, texts, /):
            return [1 / len(text) for text in texts]

        async def close(self):
            pass

    async def work(memory):
        for text in ("tea tea tea and more", "tea", "tea and more"):
            await memory.remember(text, scope={**ADA, "session": text})
        hits = await memory.recall("tea", scope=ADA, k=2)
        found = await memory.explain("tea", scope=ADA, k=2)
        assert texts(hits) == texts(found.candidates) == ["tea", "tea and more"]
        assert ["tea tea tea and more"] == texts(found.near)
        assert 1 / 3 == found.candidates[0].terms["reranker"]
        assert "text" in found.candidates[0].terms

    run(work, plugins=Plugins(reranker=Shortest()))


@pytest.mark.parametrize("bad", [{"k": 0}, {"k": 1.5}, {"near": -1}])
def test_explain_refuses_numbers_that_make_no_sense(run, bad):
    with pytest.raises(InvalidArgument, match=min(bad)):
        run(lambda memory: memory.explain("tea", scope=ADA, **bad))


def test_a_timeline_is_in_the_order_of_what_happened(run, clock):
    async def work(memory):
        await memory.remember("second", scope=ADA, event_time=2000)
        await memory.remember("last", scope=ADA)
        old = await memory.remember(
            "first", scope=ADA, event_time="1970-01-01T00:10:00", kind="fact"
        )
        await memory.remember("also second", scope=ADA, event_time=2000, supersedes=[old])
        wrong = await memory.remember("wrong", scope=ADA)
        await memory.invalidate(wrong)
        look = memory.timeline
        assert ["first", "second", "also second", "last"] == texts(await look(ADA))
        assert ["second", "also second"] == texts(await look(ADA, since=2000, until=2001))
        assert ["first"] == texts(await look(ADA, kinds=["fact"]))
        assert ["wrong"] == texts(await look(ADA, states=["invalidated"]))
        assert [] == await look(BOB)

    run(work)


def test_a_report_stands_alone_and_escapes_what_is_in_it(run):
    hostile = "</title><script>alert(1)</script><img src=x onerror=y>'\"\ud800\0\u202e"

    async def work(memory):
        scope = {"user": hostile.replace("\ud800", "")}
        for _ in range(2):
            await memory.remember(hostile, scope=scope, speaker="<b>", kind="note")
        await memory.recall("alert", scope=scope)
        return await memory.report_html(scope), await memory.report_html()

    for html in run(work):
        html.encode()
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;alert(1)" in html
        assert "http" not in html.replace("http-equiv", "")
        assert "\u202e" not in html
        assert html.count("<svg") == html.count("</svg>") == 4


def test_a_report_of_nothing(run):
    assert "Nothing yet." in run(lambda memory: memory.report_html())
