"""A secret reaches the plugin and nothing else, by whatever way it came in."""

import io
import json
import logging
import traceback

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr, field_validator, model_validator

from massgen_core.errors import MassgenError, SettingsError
from massgen_core.logs import configure_logging, logger
from massgen_core.settings import check_settings, load_settings, read_names, template

KEY = "hunter2-and-more"
WAYS = ("user", "project", "profile", "pyproject", "dotenv", "env", "override", "json")


def put(project, way, path="api_key", value=KEY):
    """Gives the value through one source; returns what `load` needs for it."""
    text = f"backend:\n  name: cloud\n  {path}: {json.dumps(value)}\n"
    variable = f"MASSGEN_BACKEND__{path.upper()}"
    match way:
        case "user":
            project.user(text)
        case "project":
            project.write(text)
        case "profile":
            inner = {"ci": {"backend": {"name": "cloud", path: value}}}
            project.write("profiles: " + json.dumps(inner))
            return {"profile": "ci"}
        case "pyproject":
            toml = json.dumps(value).replace('": ', '" = ')
            said = f'[tool.massgen.backend]\nname = "cloud"\n{path} = {toml}\n'
            project.write(said, "pyproject.toml")
        case "dotenv":
            project.write(f"MASSGEN_BACKEND=cloud\n{variable}={_flat(value)}\n", ".env")
        case "env":
            return {"env": {"MASSGEN_BACKEND__NAME": "cloud", variable: _flat(value)}}
        case "json":
            return {"env": {"MASSGEN_BACKEND": json.dumps({"name": "cloud", path: value})}}
        case "override":
            return {"overrides": ("backend=cloud", f"backend.{path}={_flat(value)}")}
    return {}


def _flat(value):
    return value if isinstance(value, str) else json.dumps(value)


def arguments(project, way, *more, **put_arguments):
    given = put(project, way, **put_arguments)
    overrides = (*given.pop("overrides", ()), *more)
    return project.arguments(*overrides, **given)


def everything_said(call):
    """All a caller, a log and a debugger's printout would show of a call."""
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    out = []
    try:
        result = call()
    except MassgenError as exc:
        out += [repr(exc), str(exc), repr(vars(exc)), *traceback.format_exception(exc)]
        logger("massgen_core").exception("failed")
        logging.getLogger("massgen_core").exception("failed")
        out += traceback.format_exception(exc.__cause__) if exc.__cause__ else []
        out += traceback.format_exception(exc.__context__) if exc.__context__ else []
    else:
        out += [repr(result), str(result)]
        if hasattr(result, "explain"):
            out += [repr(result.explain()), json.dumps(result.show()), str(result.settings)]
            out += [result.settings.model_dump_json(), repr(result.settings.model_dump())]
            logger("massgen_core").info("loaded", settings=result.settings, shown=result.show())
    return "\n".join([*out, stream.getvalue()])


@pytest.fixture(autouse=True)
def untouched_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_reaches_the_plugin_and_is_never_shown(project, way, monkeypatch, caplog):
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    caplog.set_level(logging.DEBUG)
    given = arguments(project, way)
    loaded = load_settings(**given)
    assert KEY == loaded.settings.backend.settings.api_key.get_secret_value()
    (row,) = [row for row in loaded.explain() if row.path == "backend.api_key"]
    assert "**********" == row.value
    assert "default" != row.source
    assert KEY not in everything_said(lambda: load_settings(**given))
    assert KEY not in caplog.text
    names = {key: value for key, value in given.items() if key != "lookup"}
    assert KEY not in everything_said(lambda: read_names(**names))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["api_kee", "headers", "keys", "backoff"])
def test_no_error_repeats_a_secret_that_stands_in_the_wrong_place(project, way, path):
    value = {"headers": [KEY], "keys": {"a": KEY}, "backoff": {"attempts": 1, "api_key": KEY}}
    given = arguments(project, way, path=path, value=value.get(path, KEY))
    assert check_settings(**given)
    assert KEY not in everything_said(lambda: load_settings(**given))
    assert KEY not in repr(check_settings(**given))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [[KEY], {"key": KEY}, 123456789, True])
def test_no_error_repeats_a_secret_of_the_wrong_type(project, way, value):
    given = arguments(project, way, value=value)
    said = everything_said(lambda: load_settings(**given))
    assert KEY not in said
    assert "123456789" not in said


@pytest.mark.parametrize("way", WAYS)
def test_headers_named_like_secrets_are_covered(project, way):
    value = {"X-Api-Key": KEY, "Accept": "text/plain"}
    given = arguments(project, way, path="headers", value=value)
    loaded = load_settings(**given)
    assert value == loaded.settings.backend.settings.headers
    (row,) = [row for row in loaded.explain() if row.path == "backend.headers"]
    assert {"X-Api-Key": "**********", "Accept": "text/plain"} == json.loads(row.value)
    shown = loaded.show()
    assert KEY not in json.dumps(shown)


class Strict(BaseModel):
    """A class whose validators talk too much."""

    api_key: SecretStr
    raw: SecretBytes = SecretBytes(b"x")
    token: str = ""

    @field_validator("api_key")
    @classmethod
    def _shape(cls, value):
        if not value.get_secret_value().startswith("sk-"):
            raise ValueError(f"{value.get_secret_value()} is no key")
        return value

    @field_validator("token")
    @classmethod
    def _token(cls, value):
        if value:
            raise ValueError(f"{value} is no token")
        return value

    @model_validator(mode="after")
    def _both(self):
        if self.raw.get_secret_value() != b"x":
            raise ValueError(f"bad pair: {self.api_key.get_secret_value()} {self.raw!r}")
        return self


@pytest.mark.parametrize(
    "overrides",
    [
        (f"backend.api_key={KEY}",),
        (f"backend.api_key=sk-{KEY}", "backend.raw=other"),
        (f"backend.api_key=sk-{KEY}", f"backend.token={KEY}"),
        ("backend.api_key=sk-1", f"backend.raw={KEY}"),
    ],
)
def test_validators_that_repeat_a_secret_are_silenced(project, overrides):
    given = project.arguments("backend=strict", *overrides) | {"lookup": lambda *_: Strict}
    with pytest.raises(SettingsError, match=r"backend"):
        load_settings(**given)
    assert KEY not in everything_said(lambda: load_settings(**given))


def test_a_validator_that_repeats_part_of_a_secret_is_silenced(project):
    class Chatty(BaseModel):
        api_key: SecretStr

        @field_validator("api_key")
        @classmethod
        def _shape(cls, value):
            raise ValueError(f"{value.get_secret_value()[:7]}... is no key")

    given = project.arguments("backend=chatty", f"backend.api_key={KEY}")
    given["lookup"] = lambda *_: Chatty
    with pytest.raises(SettingsError, match="'backend.api_key' is not accepted"):
        load_settings(**given)
    assert KEY[:7] not in everything_said(lambda: load_settings(**given))


@pytest.mark.parametrize(
    "text",
    [
        f"backend:\n  api_key: *{KEY}\n",
        f"backend:\n  api_key: !{KEY} x\n",
        f"backend:\n  api_key: '{KEY}\n",
        f"backend:\n  api_key: {KEY}: x: y\n",
        f"backend: {{api_key: {KEY}\n",
        f"backend:\n  api_key: @{KEY}\n",
        f"backend:\n  api_key: {KEY}\x00\n",
    ],
)
def test_a_malformed_file_is_told_without_its_text(project, text):
    project.write(text)
    assert KEY not in everything_said(project.load)


@pytest.mark.parametrize(
    "override", [KEY, f"backend.api_key {KEY}", f"={KEY}", f'backend={{"api_key": "{KEY}"']
)
def test_a_malformed_override_is_told_without_its_text(project, override):
    assert KEY not in everything_said(lambda: project.load(override))


def test_a_malformed_dotenv_line_is_told_without_its_text(project):
    project.write(f"MASSGEN_BACKEND__API_KEY='{KEY}\n", ".env")
    assert KEY not in everything_said(project.load)


def test_a_malformed_pyproject_is_told_without_its_text(project):
    project.write(f'[tool.massgen.backend]\napi_key = "{KEY}\n', "pyproject.toml")
    assert KEY not in everything_said(project.load)


def test_a_starting_file_never_holds_a_default_secret():
    class Careless(BaseModel):
        api_key: SecretStr = SecretStr(KEY)
        password: str = KEY

    text = template(lookup=lambda *_: Careless, installed={"backend": ["careless"]})
    assert "#   api_key:\n" in text
    assert KEY not in text
