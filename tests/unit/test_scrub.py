"""No secret is left in an exception of a library that is chained to a typed one."""

import traceback

from massgen_core.backends import scrub, scrubbed

SECRET = "very-secret"  # noqa: S105 - of nobody


class LibraryError(Exception):
    def __init__(self, message, body):
        super().__init__(message, body)
        self.message = message
        self.body = body
        self.status = 401


def test_texts_get_stars_and_what_else_shows_a_secret_is_left_out():
    error = LibraryError(f"the key {SECRET} is wrong", {"error": {"key": SECRET}})
    scrub(error, [SECRET])

    assert ("the key ********** is wrong", None) == error.args
    assert ("the key ********** is wrong", None, 401) == (error.message, error.body, error.status)


def test_what_shows_none_stays_as_it_is():
    body = {"error": "no"}
    error = LibraryError("no", body)
    scrub(error, [SECRET])

    assert ("no", body) == error.args
    assert error.body is body


def test_causes_and_contexts_are_scrubbed_as_well():
    error, cause, context = LibraryError("no", None), KeyError(SECRET), OSError(f"for {SECRET}")
    error.__cause__, cause.__context__ = cause, context
    scrub(error, [SECRET])

    assert SECRET not in "".join(traceback.format_exception(error))
    assert (("**********",), ("for **********",)) == (cause.args, context.args)


def test_keys_of_providers_are_known_by_their_form_and_short_secrets_hide_nothing():
    assert "use **********, not abc" == scrubbed("use sk-0123456789abcdef0, not abc", ["abc", ""])
