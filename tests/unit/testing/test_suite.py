import os
import subprocess
import sys

import pytest

import massgen_core.testing
from massgen_core.testing import PackagingSuite, Suite, check_capabilities, requires
from massgen_core.testing._suite import complaints_about, known_capabilities

# The kit recognises its own suites by their module, so these stand for suites of the kit.


class CounterSuite(Suite):
    __module__ = "massgen_core.testing.example"
    vocabulary = frozenset({"images"})

    @requires("exact")
    def test_exact(self): ...

    @requires("exact", "tools")
    def test_tools(self): ...

    def test_always(self): ...


def test_the_known_capabilities_are_those_tests_require_and_the_vocabulary():
    assert frozenset({"exact", "images", "tools"}) == known_capabilities(CounterSuite)


def test_a_subclass_that_only_declares_is_fine():
    class Mine(CounterSuite):
        capabilities = frozenset({"exact", "images"})

        def test_of_my_own(self): ...

    assert complaints_about(Mine) == ()


def test_an_unknown_capability_comes_with_the_near_miss():
    class Mine(CounterSuite):
        capabilities = frozenset({"exakt"})

    expected = "Mine declares the unknown capability 'exakt'; did you mean 'exact'?"
    assert (expected,) == complaints_about(Mine)


def test_a_string_is_not_taken_for_a_set_of_capabilities():
    class Mine(CounterSuite):
        capabilities = "exact"

    assert ("Mine.capabilities must be a set of names, not a string",) == complaints_about(Mine)


def replaced_by(value: object) -> tuple[str, ...]:
    return complaints_about(type("Mine", (CounterSuite,), {"test_always": value}))


def passes(self): ...


def skipped(self): ...


def failing(self): ...


def failing_for_a_reason(self): ...


@pytest.mark.parametrize(
    "value",
    [
        passes,
        None,
        pytest.mark.skip(reason="no time")(skipped),
        pytest.mark.xfail(failing),
    ],
    ids=["a passing test", "None", "a skipped test", "xfail without reason"],
)
def test_a_replaced_test_is_refused(value):
    (complaint,) = replaced_by(value)
    assert "Mine.test_always replaces a test of CounterSuite" in complaint
    assert "xfail(reason=" in complaint


def test_a_replaced_test_that_is_expected_to_fail_for_a_reason_is_allowed():
    marked = pytest.mark.xfail(reason="no such provider")(failing_for_a_reason)
    assert replaced_by(marked) == ()


def test_a_mixin_that_replaces_a_test_is_refused():
    class Quiet:
        test_always = passes

    class Mine(Quiet, CounterSuite): ...

    assert ["Quiet.test_always"] == [text.split(" ")[0] for text in complaints_about(Mine)]


def test_declared_and_seen_capabilities_must_be_equal():
    check_capabilities(declared={"a"}, seen={"a"})
    with pytest.raises(AssertionError, match="declares 'a', but the suite did not see it"):
        check_capabilities(declared={"a"}, seen=())
    with pytest.raises(AssertionError, match="shows 'b', but does not declare it"):
        check_capabilities(declared=(), seen={"b"})


AUTHOR = """
from hypothesis import HealthCheck, given, settings, strategies
from massgen_core.testing import PackagingSuite, Suite, requires

class MySuite(Suite):
    @requires("fast")
    def test_fast(self): assert "fast" in self.capabilities
    def test_always(self): ...
    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(strategies.integers())
    @requires("fast")
    def test_property(self, number): assert "fast" in self.capabilities

class TestFast(MySuite):
    capabilities = frozenset({"fast"})

class TestSlow(MySuite): ...
"""

WEAKENED = """
class TestPackaging(PackagingSuite):
    dist = "massgen-core"
    def test_its_packages_ship_py_typed(self): pass
"""


def run_pytest(folder, source: str) -> subprocess.CompletedProcess[str]:
    path = folder / "test_author.py"
    path.write_text(source, encoding="utf-8")
    plugin = ("-p", "massgen_core.testing.pytest_plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-rs", "-v", *plugin, f"--rootdir={folder}", path]
    # The entry point may register the plugin, too, and pytest takes it once only.
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_a_test_of_a_capability_that_is_not_declared_is_skipped(tmp_path):
    done = run_pytest(tmp_path, AUTHOR)
    assert "4 passed, 2 skipped" in done.stdout
    assert "capability not declared: fast" in done.stdout


def test_pytest_refuses_a_weakened_suite_at_collection(tmp_path):
    done = run_pytest(tmp_path, AUTHOR + WEAKENED)
    assert 2 == done.returncode
    assert "TestPackaging.test_its_packages_ship_py_typed replaces a test of" in done.stdout
    assert "passed" not in done.stdout


def test_the_pytest_plugin_loads_only_pytest():
    code = (
        "import sys, pytest; before = set(sys.modules); import massgen_core.testing.pytest_plugin; "
        "print(*(m for m in set(sys.modules) - before if not m.startswith('massgen_core')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "" == done.stdout.strip()


def test_the_kit_names_what_it_has():
    names = massgen_core.testing.__all__
    assert sorted(names, key=lambda name: (name.islower(), not name.isupper(), name)) == names
    assert all(getattr(massgen_core.testing, name) is not None for name in names)
    assert issubclass(PackagingSuite, Suite)
