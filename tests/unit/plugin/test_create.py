import pytest
from pydantic import BaseModel

from massgen_core.errors import (
    InvalidArgument,
    InvalidSetting,
    MassgenError,
    PluginBroken,
    UnknownSetting,
)
from massgen_core.events import PluginFailed

PARTS = """
    from pydantic import BaseModel, Field
    from massgen_core.errors import MassgenError

    seen = []

    class Settings(BaseModel):
        size: int = 3
        alias_of: str = Field(default="", alias="aliasOf")

    class Open(BaseModel, extra="allow"): ...

    class Named(BaseModel):
        name: str = ""

    class Good:
        identity = "good"
        dimensions = 3
        def __init__(self, settings, ctx):
            self.settings, self.ctx = settings, ctx
        async def embed(self, texts, /, *, purpose): ...
        async def close(self): ...

    class Unfinished:
        identity = "unfinished"
        close = "not a method"
        def __init__(self, settings, ctx): ...

    def fails(settings, ctx):
        raise RuntimeError("no such device")

    def exits(settings, ctx):
        raise SystemExit(1)

    def advises(settings, ctx):
        raise MassgenError("no weights", hint="pip install weights")

    def interrupted(settings, ctx):
        raise KeyboardInterrupt

    number = 7
"""


@pytest.fixture
def make(workshop, host, context):
    """Makes an embedder with the given factory and settings class."""

    def make(factory, given=None, *, settings=None):
        workshop.module("parts", PARTS)
        path = None if settings is None else f"parts:{settings}"
        hooks = f"""
            @hookimpl
            def massgen_embedder():
                return Provides("x", "parts:{factory}", settings={path!r})
        """
        made = host(workshop.plugin("massgen-x", hooks))
        return made.create("embedder", "x", given, context)

    return make


def test_the_factory_gets_settings_and_context(make, context):
    made = make("Good", {"size": 5}, settings="Settings")
    assert made.settings.size == 5
    assert made.ctx is context


@pytest.mark.parametrize("given", [None, {}, {"name": "x"}])
def test_no_settings_mean_the_defaults(make, given):
    assert make("Good", given, settings="Settings").settings.size == 3


@pytest.mark.parametrize("given", [None, {}, {"name": "x"}])
def test_a_plugin_without_settings_gets_none(make, given):
    assert make("Good", given).settings is None


def test_settings_that_are_validated_already_are_passed_as_they_are(make):
    first = make("Good", settings="Settings").settings
    assert make("Good", first, settings="Settings").settings is first


def test_settings_of_another_class_are_a_bad_argument(make):
    class Other(BaseModel): ...

    with pytest.raises(InvalidArgument, match="Settings"):
        make("Good", Other(), settings="Settings")


def test_a_name_the_plugin_asks_for_is_passed(make):
    assert make("Good", {"name": "x"}, settings="Named").settings.name == "x"


def test_an_alias_is_a_known_setting(make):
    assert make("Good", {"aliasOf": "z"}, settings="Settings").settings.alias_of == "z"


def test_an_unknown_setting_is_refused_with_the_near_miss(make):
    with pytest.raises(UnknownSetting, match="'sise'") as caught:
        make("Good", {"sise": 5}, settings="Settings")
    assert ("embedder.sise", ("size",)) == (caught.value.path, caught.value.suggestions)


def test_a_plugin_without_settings_refuses_every_setting(make):
    with pytest.raises(UnknownSetting, match="'size'"):
        make("Good", {"size": 5})


def test_a_plugin_that_takes_any_setting_gets_it(make):
    assert make("Good", {"any": 1}, settings="Open").settings.model_extra == {"any": 1}


def test_a_wrong_value_names_its_path(make):
    with pytest.raises(InvalidSetting, match=r"embedder\.size: .* valid integer") as caught:
        make("Good", {"size": "many"}, settings="Settings")
    assert caught.value.path == "embedder.size"


@pytest.mark.parametrize(
    ("factory", "settings", "cause", "expected"),
    [
        ("fails", None, RuntimeError, "no such device"),
        ("exits", None, SystemExit, "SystemExit: 1"),
        ("absent", None, TypeError, "no attribute 'absent'"),
        ("number", None, TypeError, "cannot be called"),
        ("Good", "number", TypeError, "not a pydantic BaseModel class"),
        ("Good", "absent", TypeError, "no attribute 'absent'"),
        ("Unfinished", None, TypeError, "lacks close(), dimensions, embed()"),
    ],
)
def test_a_failing_factory_is_a_broken_plugin_with_the_cause(
    make, factory, settings, cause, expected
):
    with pytest.raises(PluginBroken, match="embedder 'x' of massgen-x 1") as caught:
        make(factory, settings=settings)
    assert expected in caught.value.message
    assert isinstance(caught.value.__cause__, cause)
    assert "massgen-x" == caught.value.dist


def test_an_error_of_this_package_passes_with_its_hint(make):
    with pytest.raises(MassgenError, match="no weights") as caught:
        make("advises")
    assert "pip install weights" == caught.value.hint


def test_ctrl_c_in_a_factory_passes(make):
    with pytest.raises(KeyboardInterrupt):
        make("interrupted")


def test_a_factory_in_a_module_that_is_missing_is_a_broken_plugin(workshop, host, context):
    made = host(workshop.provider("massgen-a", "one"))
    with pytest.raises(PluginBroken, match="nowhere") as caught:
        made.create("embedder", "one", None, context)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_the_settings_class_of_a_plugin_is_imported_when_it_is_asked_for(workshop, host):
    workshop.module("parts", PARTS)
    hooks = """
        @hookimpl
        def massgen_embedder():
            return [
                Provides("x", "parts:Good", settings="parts:Settings"),
                Provides("plain", "parts:Good"),
                Provides("wrong", "parts:Good", settings="parts:Good"),
            ]
    """
    made = host(workshop.plugin("massgen-x", hooks))
    assert made.settings_class("embedder", "x").__name__ == "Settings"
    assert made.settings_class("embedder", "plain") is None
    with pytest.raises(PluginBroken, match="not a pydantic BaseModel class"):
        made.settings_class("embedder", "wrong")


def test_observers_are_told_of_a_factory_that_failed(workshop, host, context):
    source = "events = []\n@hookimpl\ndef massgen_observe(event): events.append(event)\n"
    observer = workshop.plugin("massgen-watch", source)
    made = host(workshop.provider("massgen-a", "one"), observer)
    with pytest.raises(PluginBroken):
        made.create("embedder", "one", None, context)
    (event,) = __import__(observer.value).events
    assert PluginFailed("massgen-a", "one", event.error) == event
