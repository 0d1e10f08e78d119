"""Exit codes: every error of the package has one, and the help lists them."""

from __future__ import annotations

import inspect

import pytest

from massgen_core import errors
from massgen_core.cli._codes import ERRORS, MEANINGS, Code, code_of

ALL = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, errors.MassgenError)
]


def bare(error):
    return error.__new__(error)


@pytest.mark.parametrize("error", ALL)
def test_every_error_of_the_package_has_an_exit_code(error):
    assert code_of(bare(error)) in MEANINGS
    assert Code.OK != code_of(bare(error))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MassgenError, 1),
        (errors.SessionNotFound, 1),
        (errors.StorageFull, 1),
        (errors.InvalidMessages, 2),
        (errors.UnknownSetting, 3),
        (errors.PluginNotFound, 3),
        (errors.UnknownModel, 3),
        (errors.ContextOverflowError, 4),
        (errors.ContextOverflow, 4),
        (errors.StorageCorrupt, 5),
        (errors.JournalCorrupt, 5),
        (errors.SchemaTooNew, 5),
        (errors.PluginDisabled, 6),
        (errors.StorageReadOnly, 6),
        (errors.StorageBusy, 75),
        (errors.SessionLocked, 75),
        (errors.RateLimited, 75),
        (errors.Transient, 75),
        (ZeroDivisionError, 1),
    ],
)
def test_an_error_ends_the_program_as_the_table_says(error, code):
    assert code == code_of(bare(error))


def test_the_table_holds_no_entry_that_its_base_already_says():
    redundant = [
        error
        for error, code in ERRORS.items()
        for base in error.__mro__[1:]
        if base in ERRORS and ERRORS[base] == code
    ]

    assert [] == redundant


def test_the_help_lists_every_code_with_its_meaning(mgc):
    out = mgc("--help").out

    for code, meaning in MEANINGS.items():
        assert f"{code.value:>5}  {meaning}\n" in out
