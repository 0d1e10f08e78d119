"""Errors that a provider's answer, or the lack of one, is turned into."""

from __future__ import annotations

from massgen_core.errors._base import MassgenError


class BackendError(MassgenError):
    """A provider did not give a usable answer; the provider's own exception is chained.

    Attributes:
        backend: Registered name of the backend.
        status: HTTP status, if there was one.
    """

    code = "backend"

    def __init__(
        self, message: str, *, backend: str = "", status: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.backend = backend
        self.status = status


class ContextOverflow(BackendError):
    """The provider refused the request as too long.

    Attributes:
        limit: The window in tokens, if the provider named it.
        used: The prompt's size in tokens as the provider counted it, if named.
        answer: Tokens that the request asked for as an answer, if the provider named them as a part
            of what does not fit: then `used` alone may be below `limit`.
    """

    code = "provider-overflow"

    def __init__(
        self,
        message: str,
        *,
        limit: int | None = None,
        used: int | None = None,
        answer: int | None = None,
        backend: str = "",
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, backend=backend, status=status, hint=hint)
        self.limit = limit
        self.used = used
        self.answer = answer


class RateLimited(BackendError):
    """Too many requests or tokens in a time window.

    Attributes:
        retry_after: Seconds to wait, if the provider named them.
    """

    code = "rate-limited"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        backend: str = "",
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, backend=backend, status=status, hint=hint)
        self.retry_after = retry_after


class QuotaExceeded(BackendError):
    """The account's budget is used up; waiting does not help."""

    code = "quota-exceeded"


class AuthFailed(BackendError):
    """The key is missing, wrong or not allowed to do this."""

    code = "auth-failed"


class InvalidRequest(BackendError):
    """The provider refused the request for a reason that sending it again will not change."""

    code = "invalid-request"


class ContentFiltered(BackendError):
    """The provider's safety filter refused the request or the answer."""

    code = "content-filtered"


class MalformedHistory(BackendError):
    """The provider refused the order or pairing of the messages."""

    code = "malformed-history"


class Transient(BackendError):
    """A fault that is likely to pass: overload, a dropped connection, a stall."""

    code = "transient"


class CircuitOpen(Transient):
    """The backend failed too often in a row and is not asked for a while.

    Attributes:
        retry_after: Seconds until it is tried again.
    """

    code = "circuit-open"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float,
        backend: str = "",
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, backend=backend, status=status, hint=hint)
        self.retry_after = retry_after


class Fatal(BackendError):
    """A fault of the provider that is not expected to pass."""

    code = "fatal"
