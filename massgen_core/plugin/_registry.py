"""Who may register what: allow, deny, and the owner of each name."""

from __future__ import annotations

import difflib
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from massgen_core.plugin._discovery import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from massgen_core.plugin._discovery import Candidate
    from massgen_core.plugin._loader import Plugin
    from massgen_core.plugin._provides import Kind, Provided

Key: TypeAlias = "tuple[Kind, str]"


@dataclass(frozen=True, slots=True)
class Policy:
    """The ``plugins`` section of the settings.

    Entries of `allow` and `deny` name a distribution (compared as PEP 503 says) or a registered
    name. Before anything is imported only the entry point's name is known as such, and a plugin's
    entry point is named like what it registers; so `allow` is matched against that name, and a
    denied distribution or entry point is never imported. Further registered names in `deny` are
    taken out after loading. Deny wins over allow. Neither touches the core's own plugins.

    Attributes:
        allow: If not empty, only these are imported.
        deny: These are not used.
        prefer: Distributions; of several that register one name the first in this list wins.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    prefer: tuple[str, ...] = ()

    def refuses(self, candidate: Candidate) -> str:
        """The setting that switches the plugin off before it is imported; empty if none does."""
        if candidate.builtin:
            return ""
        names = {normalise(candidate.dist), normalise(candidate.name)}
        if names & _normalised(self.deny):
            return "plugins.deny"
        if self.allow and not names & _normalised(self.allow):
            return "plugins.allow"
        return ""

    def denies(self, name: str) -> bool:
        """Whether the registered name is switched off."""
        return normalise(name) in _normalised(self.deny)

    def owner(self, dists: Iterable[str]) -> str | None:
        """The preferred one of the distributions; None if none of them is preferred."""
        named = {normalise(dist): dist for dist in dists}
        chosen = (named[each] for each in map(normalise, self.prefer) if each in named)
        return next(chosen, None)

    def unmatched(self, plugins: Sequence[Plugin]) -> tuple[str, ...]:
        """One line for each entry that names nothing installed; most are typing errors."""
        known = {normalise(plugin.report.dist) for plugin in plugins}
        known |= {normalise(plugin.report.entry_point) for plugin in plugins}
        known |= {normalise(item.name) for plugin in plugins for item in plugin.report.provides}
        return tuple(_unmatched(self, known))


def settle(plugins: Sequence[Plugin], policy: Policy) -> list[Plugin]:
    """The plugins with the state of every registered name decided."""
    denied = [_without_denied(plugin, policy) for plugin in plugins]
    decided = dict(_contested(denied, policy))
    return [_conclude(number, plugin, decided) for number, plugin in enumerate(denied)]


def _normalised(names: Iterable[str]) -> set[str]:
    return {normalise(name) for name in names}


def _unmatched(policy: Policy, known: set[str]) -> Iterator[str]:
    for setting in ("allow", "deny", "prefer"):
        for entry in getattr(policy, setting):
            if normalise(entry) not in known:
                close = difflib.get_close_matches(normalise(entry), sorted(known), n=1)
                advice = f"; did you mean {close[0]!r}?" if close else ""
                yield f"plugins.{setting}: {entry!r} is not installed{advice}"


def _without_denied(plugin: Plugin, policy: Policy) -> Plugin:
    if plugin.report.builtin:
        return plugin
    provides = tuple(
        replace(item, state="disabled") if policy.denies(item.name) else item
        for item in plugin.report.provides
    )
    return replace(plugin, report=replace(plugin.report, provides=provides))


def _contested(
    plugins: Sequence[Plugin], policy: Policy
) -> Iterator[tuple[tuple[int, Key], Provided]]:
    """The names more than one plugin registers, decided: (plugin, name) and the new record."""
    claims: defaultdict[Key, list[tuple[int, Provided]]] = defaultdict(list)
    for number, plugin in enumerate(plugins):
        for item in plugin.report.provides:
            if item.state == "active" and plugin.report.state == "active":
                claims[item.kind, item.name].append((number, item))
    for key, owners in claims.items():
        if len(owners) > 1:
            builtin = {number for number, _ in owners if plugins[number].report.builtin}
            for number, item in _decide(owners, builtin, policy):
                yield (number, key), item


def _decide(
    owners: list[tuple[int, Provided]], builtin: set[int], policy: Policy
) -> Iterator[tuple[int, Provided]]:
    dists = [item.dist for _, item in owners]
    preferred = policy.owner(dists)
    if preferred is not None and dists.count(preferred) > 1:
        preferred = None  # one distribution contradicts itself; no preference can decide that
    for number, item in owners:
        rivals = tuple(other.dist for n, other in owners if n != number)
        if item.dist == preferred or (preferred is None and number in builtin):
            yield number, replace(item, rivals=rivals)
        else:
            lost = replace(item, state="conflict" if preferred is None else "disabled")
            yield number, replace(lost, rivals=rivals)


def _conclude(number: int, plugin: Plugin, decided: Mapping[tuple[int, Key], Provided]) -> Plugin:
    report = plugin.report
    if report.state != "active":
        return plugin
    provides = tuple(
        decided.get((number, (item.kind, item.name)), item) for item in report.provides
    )
    conflicts = [item for item in provides if item.state == "conflict"]
    disabled = [item for item in provides if item.state == "disabled"]
    changed = replace(report, provides=provides, hint=" ".join(map(_why_disabled, disabled)))
    if conflicts:
        error = "; ".join(map(describe_conflict, conflicts))
        changed = replace(changed, state="conflict", error=error, hint=conflict_hint(conflicts[0]))
    elif provides and len(disabled) == len(provides) and not report.observes:
        changed = replace(changed, state="disabled")
    return replace(plugin, report=changed)


def describe_conflict(item: Provided) -> str:
    """What is contested, with all owners named."""
    owners = " and ".join(sorted({item.dist, *item.rivals}))
    if set(item.rivals) == {item.dist}:
        return f"{item.kind} {item.name!r} is provided by two entry points of {owners}"
    return f"{item.kind} {item.name!r} is provided by {owners}"


def conflict_hint(item: Provided) -> str:
    """How to end the conflict."""
    if set(item.rivals) == {item.dist}:
        return f"Only the authors of {item.dist} can mend this; plugins.deny: [{item.dist}]"
    choices = " or ".join(f"[{dist}]" for dist in sorted({item.dist, *item.rivals}))
    return f"Set plugins.prefer: {choices}, or uninstall one of them."


def _why_disabled(item: Provided) -> str:
    if item.rivals:
        return f"plugins.prefer gives {item.kind} {item.name!r} to {' or '.join(item.rivals)}."
    return f"plugins.deny switches {item.kind} {item.name!r} off."
