"""The starting file and the reference page say what the classes say."""

import pytest
from pydantic import BaseModel

from massgen_core.errors import PluginBroken
from massgen_core.settings import Settings, reference, template
from massgen_core.settings._sections import ModelOverride


def sections():
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def test_the_starting_file_loads_and_equals_the_defaults(project, classes):
    defaults = project.load().show()
    installed = {"backend": ["cloud", "local"], "strategy": ["plain", "sliding_window"]}
    for text in (template(), template(lookup=classes.lookup, installed=installed)):
        project.write(text)
        assert defaults == project.load().show()
        assert "massgen.yaml:" in project.sources()["context.safety"]


def test_the_starting_file_shows_every_key_of_the_core_and_of_installed_plugins(classes):
    text = template(lookup=classes.lookup, installed={"backend": ["cloud"]})
    for section, model in sections().items():
        assert f"\n{section}:\n" in text
        for key in model.model_fields:
            assert f"\n  {key}: " in text
    for key in classes.cloud.model_fields:
        assert f"\n#   {key}:" in text


@pytest.mark.parametrize("section", ["backend", "strategy"])
def test_what_the_starting_file_comments_out_is_true_too(project, classes, section):
    name = {"backend": "local", "strategy": "sliding_window"}[section]
    text = template(lookup=classes.lookup, installed={section: [name]})
    start = text.index(f"# {section}:\n")
    example = text[start : text.index("\n\n", start)].replace("# ", "", 1).replace("\n# ", "\n")
    shown = project.write(example).load().show()[section]
    assert project.write(f"{section}: {name}").load().show()[section] == shown


def test_a_plugin_that_cannot_be_loaded_is_told_in_a_comment():
    def lookup(kind, name):
        raise PluginBroken("broken", kind=kind, name=name)

    assert "cannot be loaded" in template(lookup=lookup, installed={"strategy": ["bad"]})


def test_every_key_has_a_description_and_a_line_in_the_reference():
    page = reference()

    def check(section, model):
        for key, field in model.model_fields.items():
            assert field.description, f"{section}.{key}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                check(f"{section}.{key}", field.annotation)
            else:
                assert f"| `{section}.{key}` | " in page

    for section, model in {**sections(), "models.NAME": ModelOverride}.items():
        check(section, model)
