"""A long-term memory made of dicts: who may see what, by the rules as they are told.

It knows nothing of the real one; `test_isolation` does the same to both and compares.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from massgen_core.memory import Scope

ACCENTS = ("\u00e1", "a\u0301")  # composed and decomposed
FOREIGN = ("\u0430da", "\uff41da")  # a Cyrillic and a full-width letter
LOOKALIKES = ("ada", "Ada", "ada ", "ada\0", "ada\0x", *ACCENTS, *FOREIGN)
WILDCARDS = ("%", "_", "ad_", "a%", "*", "?", "[a-z]*", "a" * 3000)
QUOTES = ("' OR 1=1 --", '"', "\\", "NULL", "ada,bob")
NAMES = (*LOOKALIKES, *WILDCARDS, *QUOTES, "bob")


@dataclass(frozen=True)
class Rev:
    """A memory after one change."""

    text: str
    scope: Scope
    batch: int
    state: str = "active"
    owner: str = ""
    private: bool = False
    op: str = "create"


@dataclass
class Model:
    """Every revision of every memory, and the grants."""

    revisions: dict[str, list[Rev]] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    grants: dict[tuple[str, Scope], set[str]] = field(default_factory=dict)
    batch: int = 0

    def allowed(self, who: str | None, scope: Scope, right: str) -> bool:
        own = who is None or (who != "" and who in (scope.user, scope.agent))
        return own or any(
            name == who and right in rights and covers(given, scope)
            for (name, given), rights in self.grants.items()
        )

    def may(self, who: str | None, rev: Rev, right: str) -> bool:
        hidden = who is not None and rev.private and rev.owner != who
        return self.allowed(who, rev.scope, right) and not hidden

    def finds(self, name: str, who: str | None, scope: Scope | None, right: str) -> bool:
        """Whether `name` is something for `who`, asked for in the scope."""
        if name not in self.revisions:
            return False
        rev = self.revisions[name][-1]
        inside = scope is None or covers(scope, rev.scope)
        gone = right == "write" and rev.state == "tombstone"
        return inside and not gone and self.may(who, rev, right)

    def put(self, changes: dict[str, Rev]) -> None:
        """One call: one batch."""
        if changes:
            self.batch += 1
        for name, rev in changes.items():
            self.revisions.setdefault(name, []).append(replace(rev, batch=self.batch))

    def change(self, *names: str, **values: object) -> None:
        self.put({name: replace(self.revisions[name][-1], **values) for name in names})

    def visible(self, who: str | None, scope: Scope, *states: str) -> set[str]:
        return {
            name
            for name, revs in self.revisions.items()
            if revs[-1].state in states
            and covers(scope, revs[-1].scope)
            and self.may(who, revs[-1], "read")
        }

    def derived(self, names: set[str]) -> set[str]:
        """What is gone with these: what has one of them among its sources, however far."""
        gone = set(names)
        while more := {
            name
            for name, sources in self.sources.items()
            if name not in gone and gone & set(sources) and self._is_there(name)
        }:
            gone |= more
        return gone - names

    def _is_there(self, name: str) -> bool:
        return self.revisions[name][-1].state != "tombstone"

    def erase(self, names: set[str], op: str) -> None:
        self.change(*names, state="tombstone", text="", owner="", private=False, op=op)

    def shown(self, name: str, who: str | None, *, within: Scope | None = None) -> list[str | None]:
        """The texts of a memory's revisions that `who` may see."""
        revs = self.revisions[name]
        erased = len(revs) - 1 if revs[-1].state == "tombstone" else 0
        return [
            rev.text
            if place >= erased
            and self.may(who, rev, "read")
            and (within is None or covers(within, rev.scope))
            else None
            for place, rev in enumerate(revs)
        ]

    def undone(self, name: str, who: str | None, scope: Scope | None) -> dict[str, Rev] | str:
        """What an undo makes of everything that the last change of a memory changed; or why not."""
        batch = self.revisions[name][-1].batch
        out = {}
        whole = Scope() if scope is None else lasting(scope)
        may = lambda rev: covers(whole, rev.scope) and self.may(who, rev, "write")  # noqa: E731
        for each in sorted(self.revisions, key=list(self.revisions).index):
            revs = self.revisions[each]
            if batch not in [rev.batch for rev in revs]:
                continue
            if not may(revs[-1]):
                return "AccessDenied"
            if revs[-1].state == "tombstone":
                return "InvalidArgument"
            if revs[-1].batch != batch:
                return "RecordConflict"
            before = [rev for rev in revs if rev.batch < batch]
            was = before[-1] if before else replace(revs[-1], state="invalidated")
            if not may(was):
                return "AccessDenied"
            out[each] = replace(was, op="undo")
        return out


def covers(one: Scope, other: Scope) -> bool:
    mine, theirs = one.values(), other.values()
    return all(a in ("", b) for a, b in zip(mine, theirs, strict=True))


def lasting(scope: Scope) -> Scope:
    whose = replace(scope, session="", run="")
    return scope if whose == Scope() else whose
