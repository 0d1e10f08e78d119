import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.plugin import KINDS, Provides, hookspecs


@pytest.mark.parametrize("name", ["a", "sliding_window", "o200k_base", "x" * 64])
def test_a_name_of_lower_case_letters_digits_and_underscores_is_kept(name):
    assert name == Provides(name, "a:b").name


@pytest.mark.parametrize("name", ["", "A", "1a", "_a", "a-b", "a b", "a.b", "x" * 65, "é", "a\n"])
def test_any_other_name_is_refused_with_the_rule(name):
    with pytest.raises(ValueError, match="lower-case letters, digits and underscores"):
        Provides(name, "a:b")


@pytest.mark.parametrize("path", ["", "a", "a.b", ":b", "a:", "a:b:c", "a..b:c", "a-b:c", "a:b c"])
@pytest.mark.parametrize("field", ["factory", "settings"])
def test_a_malformed_import_string_is_refused_with_its_field(field, path):
    with pytest.raises(ValueError, match=f"{field} .* is not of the form 'package.module:attr"):
        Provides(**{"name": "a", "factory": "a:b", field: path})


@pytest.mark.parametrize(
    "fields",
    [{"name": 1}, {"factory": None}, {"settings": 3}, {"summary": None}, {"capabilities": "exact"}],
)
def test_a_field_of_the_wrong_type_is_refused(fields):
    with pytest.raises(TypeError, match=next(iter(fields))):
        Provides(**({"name": "a", "factory": "a:b"} | fields))


def test_capabilities_are_frozen():
    assert frozenset({"a"}) == Provides("a", "a:b", capabilities={"a"}).capabilities


@given(st.text())
def test_no_text_is_both_accepted_and_unusable_as_a_settings_value(name):
    try:
        provides = Provides(name, "a:b")
    except ValueError:
        return
    assert provides.name.isidentifier()
    assert provides.name.isascii()


def test_every_kind_of_the_architecture_has_a_hook():
    hooks = {name for name in vars(hookspecs) if name.startswith("massgen_")}
    assert {*(f"massgen_{kind}" for kind in KINDS), "massgen_observe"} == hooks
