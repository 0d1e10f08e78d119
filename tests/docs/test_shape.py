"""The check of lengths and fences fails where it should, and the tree passes it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shape():
    spec = importlib.util.spec_from_file_location("shape", ROOT / ".ci" / "shape.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["shape"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["shape"]


def faults(shape, text, fences=()):
    source = shape.parsed(Path("a.py"), text)
    return list(shape.faults([source], dict.fromkeys(fences, "why")))


def test_the_tree_passes(shape, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert 0 == shape.main(), capsys.readouterr().out


@pytest.mark.parametrize(
    ("lines", "expected"), [(400, []), (401, ["a.py: 401 lines, at most 400"])]
)
def test_a_long_module_is_a_fault(shape, lines, expected):
    assert expected == faults(shape, "x = 1\n" * lines)


@pytest.mark.parametrize(
    ("lines", "expected"), [(60, []), (61, ["a.py:2 C.f: 61 lines, at most 60"])]
)
def test_a_long_function_is_a_fault_its_docstring_counted(shape, lines, expected):
    body = '        """\n' + "        word\n" * (lines - 3) + '        """\n'
    assert expected == faults(shape, f"class C:\n    def f(self):\n{body}")


@pytest.mark.parametrize(
    "body",
    [
        "try: pass\n    except: raise",
        "try: pass\n    except Exception: raise",
        "try: pass\n    except (OSError, BaseException): raise",
        "with suppress(Exception): pass",
        "with contextlib.suppress(OSError, Exception): pass",
        "def __exit__(self, *args) -> bool: return True",
    ],
)
def test_what_catches_everything_is_a_fault_unless_it_is_a_fence(shape, body):
    text = f"def f():\n    {body}\n"
    place = "a.py f.__exit__" if "__exit__" in body else "a.py f"

    (fault,) = faults(shape, text)
    assert fault.startswith(f"{place}: catches everything in line ")
    assert [] == faults(shape, text, [place])


def test_narrow_handlers_are_no_faults(shape):
    assert [] == faults(shape, "def f():\n    try: pass\n    except (OSError, ValueError): raise\n")


def test_a_fence_that_is_gone_is_a_fault(shape):
    expected = ["a.py f: is in FENCES, and catches nothing"]
    assert expected == faults(shape, "def f(): pass\n", ["a.py f"])
