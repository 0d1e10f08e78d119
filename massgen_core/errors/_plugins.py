"""Errors about what is not installed, or not usable as it is."""

from __future__ import annotations

from massgen_core.errors._base import MassgenError


class PluginError(MassgenError):
    """A plugin cannot be used.

    Attributes:
        kind: The plugin kind asked for, e.g. ``strategy``; empty if not about one kind.
        name: The registered name asked for; empty if not about one name.
        dist: The distribution that provides it; empty if unknown.
    """

    code = "plugin"

    def __init__(
        self, message: str, *, kind: str = "", name: str = "", dist: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.name = name
        self.dist = dist


class PluginNotFound(PluginError):
    """No installed plugin provides the name; the hint names near misses or the install command."""

    code = "plugin-not-found"


class PluginBroken(PluginError):
    """The plugin failed to load; the cause is chained."""

    code = "plugin-broken"


class PluginIncompatible(PluginError):
    """The plugin was written for another version of the plugin API."""

    code = "plugin-incompatible"


class PluginConflict(PluginError):
    """Two distributions provide the same name; neither wins until ``plugins.prefer`` says which."""

    code = "plugin-conflict"


class PluginDisabled(PluginError):
    """The plugin is installed but switched off by ``plugins.allow`` or ``plugins.deny``."""

    code = "plugin-disabled"


class PackageMissing(MassgenError):
    """What was asked for needs a package that is not installed.

    Attributes:
        package: Its name, as it is installed.
    """

    code = "package-missing"

    def __init__(self, message: str, *, package: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.package = package
