"""For each test of the suite a deliberately broken embedder: the test catches it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import socket
import sys

import pytest

from massgen_core.errors import Transient
from massgen_core.testing import EmbedderSuite

SIZE = 64


class Letters:
    """A sound embedder; the mutants below are broken around it."""

    identity = f"letters/pairs/1/{SIZE}/sum"
    dimensions = SIZE

    async def embed(self, texts, /, *, purpose):
        vectors = []
        for text in texts:
            await asyncio.sleep(0)
            vectors.append(self.vector(text))
        return vectors

    async def close(self):
        return None

    def vector(self, text):
        vector = [0.0] * SIZE
        for place, letter in enumerate(text[:5000]):
            vector[(ord(letter) * 31 + place % 3) % SIZE] += 1.0
        norm = math.hypot(*vector) or 1.0
        return [value / norm for value in vector]


def suite_of(embedder, **about):
    return type("Subject", (EmbedderSuite,), {"embedder": lambda self: embedder(), **about})


class FourParts(Letters):
    identity = f"letters/pairs/{SIZE}/sum"


class NewNameEachTime(Letters):
    def __init__(self):
        self.identity = f"letters/pairs/{random.random()}/{SIZE}/sum"


class OtherDimensions(Letters):
    identity = "letters/pairs/1/32/sum"


class NoDimensions(Letters):
    dimensions = 0


class OneTooFew(Letters):
    async def embed(self, texts, /, *, purpose):
        return (await super().embed(texts, purpose=purpose))[:30]


class Sorted(Letters):
    async def embed(self, texts, /, *, purpose):
        return await super().embed(sorted(texts), purpose=purpose)


class Zeros(Letters):
    def vector(self, text):
        return [0.0] * SIZE


class Constant(Letters):
    def vector(self, text):
        return [1.0] * SIZE


class Dice(Letters):
    def vector(self, text):
        return [value + random.random() / 100 for value in super().vector(text)]


class SeededPerInstance(Letters):
    """As if by `hash()`, which differs from process to process."""

    def __init__(self):
        self.seed = random.random()

    def vector(self, text):
        return [value + self.seed for value in super().vector(text)]


class Centred(Letters):
    """Subtracts the mean of the batch."""

    async def embed(self, texts, /, *, purpose):
        vectors = await super().embed(texts, purpose=purpose)
        means = [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
        return [[a - 0.1 * b for a, b in zip(v, means, strict=True)] for v in vectors]


class NothingForNothing(Letters):
    async def embed(self, texts, /, *, purpose):
        return await super().embed(texts or [""], purpose=purpose)


class Strict(Letters):
    def vector(self, text):
        text.encode()
        return super().vector(text)


class NotANumber(Letters):
    def vector(self, text):
        return super().vector(text) if text.strip() else [math.nan] * SIZE


class OnlyDocuments(Letters):
    async def embed(self, texts, /, *, purpose):
        if purpose == "query":
            return [[1.0]] * len(texts)
        return await super().embed(texts, purpose=purpose)


class Consumes(Letters):
    async def embed(self, texts, /, *, purpose):
        found = await super().embed(texts, purpose=purpose)
        texts.clear()
        return found


class SharesItsState(Letters):
    """Keeps what it is at in the object: two calls at once mix."""

    async def embed(self, texts, /, *, purpose):
        self.vectors = []
        for text in texts:
            await asyncio.sleep(0)
            self.vectors.append(self.vector(text))
        return self.vectors


class CannotBeCancelled(Letters):
    async def embed(self, texts, /, *, purpose):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1 if len(texts) > 100 else 0)
        return await super().embed(texts, purpose=purpose)


class StaysLocked(Letters):
    def __init__(self):
        self.busy = False

    async def embed(self, texts, /, *, purpose):
        assert not self.busy, "the lock was never released"
        self.busy = True
        found = await super().embed(texts, purpose=purpose)
        self.busy = False
        return found


class LeavesTasks(Letters):
    async def embed(self, texts, /, *, purpose):
        self.task = asyncio.create_task(asyncio.sleep(30))
        return await super().embed(texts, purpose=purpose)


class ClosesOnce(Letters):
    closed = False

    async def close(self):
        assert not self.closed, "closed already"
        self.closed = True


class PhonesHome(Letters):
    async def embed(self, texts, /, *, purpose):
        with socket.socket() as line, contextlib.suppress(OSError):
            line.connect(("127.0.0.1", 9))
        return await super().embed(texts, purpose=purpose)


class NeedsTheNetwork(Letters):
    async def embed(self, texts, /, *, purpose):
        try:
            await asyncio.to_thread(socket.getaddrinfo, "127.0.0.1", 9)
        except OSError as exc:
            raise Transient("no network") from exc
        return await super().embed(texts, purpose=purpose)


class LeavesASocket(Letters):
    """As native code would, whose calls are not seen."""

    async def embed(self, texts, /, *, purpose):
        LINES.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        return await super().embed(texts, purpose=purpose)


LINES: list[socket.socket] = []

MUTANTS = [
    ("test_the_identity_has_five_parts", FourParts),
    ("test_the_identity_has_five_parts", NewNameEachTime),
    ("test_the_identity_has_five_parts", OtherDimensions),
    ("test_dimensions_are_known_before_the_first_text", NoDimensions),
    ("test_each_text_gets_one_vector_in_order", OneTooFew),
    ("test_each_text_gets_one_vector_in_order", Sorted),
    ("test_texts_can_be_told_apart", Zeros),
    ("test_texts_can_be_told_apart", Constant),
    ("test_the_same_text_gets_the_same_vector", Dice),
    ("test_the_same_text_gets_the_same_vector", SeededPerInstance),
    ("test_a_vector_does_not_depend_on_its_neighbours", Centred),
    ("test_no_text_gives_no_vector", NothingForNothing),
    ("test_odd_texts_are_survived", Strict),
    ("test_odd_texts_are_survived", NotANumber),
    ("test_both_purposes_are_understood", OnlyDocuments),
    ("test_the_texts_are_left_as_they_are", Consumes),
    ("test_eight_tasks_at_once_get_their_own_vectors", SharesItsState),
    ("test_a_cancelled_call_ends_and_leaves_it_usable", CannotBeCancelled),
    ("test_a_cancelled_call_ends_and_leaves_it_usable", StaysLocked),
    ("test_a_cancelled_call_ends_and_leaves_it_usable", LeavesTasks),
    ("test_it_may_be_closed_twice", ClosesOnce),
    ("test_the_network_is_used_only_if_it_is_declared", PhonesHome),
    ("test_the_network_is_used_only_if_it_is_declared", NeedsTheNetwork),
    ("test_what_means_the_same_is_close", Letters),
]
NAMES = sorted(name for name in vars(EmbedderSuite) if name.startswith("test_"))


@pytest.mark.parametrize(("name", "mutant"), MUTANTS, ids=[each.__name__ for _, each in MUTANTS])
def test_the_suite_catches_the_mutant(name, mutant):
    with pytest.raises((AssertionError, UnicodeError)):
        getattr(suite_of(mutant)(), name)()


def test_every_test_has_a_mutant():
    assert NAMES == sorted({name for name, _ in MUTANTS})


@pytest.mark.parametrize("name", [name for name in NAMES if "means_the_same" not in name])
def test_a_sound_embedder_passes(name):
    getattr(suite_of(Letters)(), name)()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there they are counted")
def test_a_socket_that_stays_open_is_seen():
    try:
        with pytest.raises(AssertionError, match="shows 'network', but does not declare it"):
            suite_of(LeavesASocket)().test_the_network_is_used_only_if_it_is_declared()
    finally:
        while LINES:
            LINES.pop().close()


def test_network_must_be_seen_where_it_is_declared():
    suite = suite_of(Letters, capabilities=frozenset({"network"}))
    with pytest.raises(AssertionError, match="declares 'network', but the suite did not see it"):
        suite().test_the_network_is_used_only_if_it_is_declared()


def test_a_declared_network_can_be_used():
    suite = suite_of(NeedsTheNetwork, capabilities=frozenset({"network"}))
    suite().test_the_network_is_used_only_if_it_is_declared()


def test_an_error_over_an_odd_text_names_the_text():
    with pytest.raises(UnicodeError) as caught:
        suite_of(Strict)().test_odd_texts_are_survived()
    assert ["The text was a lone surrogate."] == caught.value.__notes__
