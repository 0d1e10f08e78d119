"""The conformance suite of embedders."""

from __future__ import annotations

import asyncio
import math
import operator
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeVar

from massgen_core.errors import MassgenError
from massgen_core.testing._sockets import watched_network
from massgen_core.testing._suite import Suite, check_capabilities, requires

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from massgen_core.memory import Embedder

_T = TypeVar("_T")

_TEXTS: Final = (
    "Ada moved to Oslo in the spring of 2021.",
    "The build failed: the linker could not find libssl.",
    "Tea, please; no sugar.",
    "Zoë sagte: „Das Modell läuft seit gestern im Kreis.“",
    "他说明天会下雨。",
    "def add(a, b):\n    return a + b",
    "Yes.",
    "The committee, having heard both sides at length, will publish its decision in thirty days.",
)
_ODD: Final = {
    "nothing": "",
    "only spaces": " \t\r\n\u2028\u00a0",
    "NUL": "a\x00b",
    "a lone surrogate": "half \ud83d of a pair",
    "a surrogate pair": "\ud83d\ude00",
    "control characters": "\x1b[31mred\x1b[0m \x7f\x85",
    "what tokenizers reserve": "[CLS] [SEP] <|endoftext|> <s></s> [UNK]",
    "families and flags": "👩‍👩‍👧‍👦 🇳🇴 e\u0301\u0301\u0301",
    "right to left": "שלום \u202eabc\u202c",
    "a megabyte": "All work and no play. " * 45_000,
    "a long word": "x" * 10_000,
}
_ALIKE: Final = (
    ("How can I get into my account? I forgot the password.", "Recovering a lost login"),
    ("The doctor told her to rest.", "A physician advised the patient to take it easy."),
    ("My dog is ill.", "The puppy has a fever and needs a vet."),
    ("The meeting was moved to Friday.", "We postponed the appointment until the end of the week."),
    ("He lives in France.", "His home is in Paris."),
)
"""Sentences that mean about the same and share hardly a word."""

_LENGTH: Final = 5  # of an identity: provider, model, revision, dimensions, pooling
_PATIENCE: Final = 10.0  # seconds until a cancelled call must have ended


class EmbedderSuite(Suite):
    """What every embedder must do. Subclass it and say how to make one.

    Each test makes an embedder of its own and closes it.

    Attributes:
        tolerance: How far apart two vectors of one text may be, as a share of their length; 0.001
            is far below what changes an order of results.
        capabilities: Of ``network`` (it opens connections) and ``semantic`` (what means the same is
            close, in English).

    Examples:
        >>> class Letters:
        ...     identity, dimensions = "letters/az/1/26/sum", 26
        ...     async def embed(self, texts, /, *, purpose):
        ...         alphabet = "abcdefghijklmnopqrstuvwxyz"
        ...         return [[float(t.lower().count(x)) for x in alphabet] for t in texts]
        ...     async def close(self):
        ...         return None
        >>> class TestLetters(EmbedderSuite):
        ...     def embedder(self):
        ...         return Letters()
    """

    tolerance: ClassVar[float] = 1e-5
    vocabulary = frozenset({"network"})

    @abstractmethod
    def embedder(self) -> Embedder:
        """A new embedder, as a user would get it; the suite closes it."""

    def test_the_identity_has_five_parts(self) -> None:
        """``provider/model/revision/dimensions/pooling``, the same for each new embedder."""

        async def identity(embedder: Embedder) -> str:
            before = embedder.identity
            await embedder.embed(_TEXTS[:1], purpose="document")
            assert embedder.identity == before, "the identity changed with the first text"
            parts = before.split("/")
            assert len(parts) == _LENGTH, f"{before!r} is not of {_LENGTH} parts"
            assert all(parts), f"{before!r} has an empty part"
            assert not any(character.isspace() for character in before)
            assert parts[3] == str(embedder.dimensions), f"{before!r} names other dimensions"
            return before

        assert self._run(identity) == self._run(identity)

    def test_dimensions_are_known_before_the_first_text(self) -> None:
        """A store can be laid out before anything is embedded."""

        async def dimensions(embedder: Embedder) -> int:
            return embedder.dimensions

        found = self._run(dimensions)
        assert isinstance(found, int)
        assert found > 0

    def test_each_text_gets_one_vector_in_order(self) -> None:
        """One text or many: a vector each, and the reverse list gives the reverse vectors."""
        many = [f"{text} ({number})" for number in range(5) for text in _TEXTS]
        assert len(self._embed(_TEXTS[:1])) == 1
        vectors, backwards = self._embed(many), self._embed(many[::-1])
        self._assert_same(vectors, backwards[::-1])

    def test_texts_can_be_told_apart(self) -> None:
        """Vectors have a direction, and different texts have different ones."""
        vectors = self._embed(_TEXTS)
        assert all(_norm(vector) > 0 for vector in vectors), "a vector of zeros has no direction"
        for number, vector in enumerate(vectors):
            assert all(_apart(vector, other) > 1e-3 for other in vectors[:number]), (
                f"{_TEXTS[number]!r} has the vector of another text"
            )

    def test_the_same_text_gets_the_same_vector(self) -> None:
        """Twice in a call, in another call, and from a new embedder: vectors are kept for years."""

        async def twice(embedder: Embedder) -> list[list[float]]:
            first = await _vectors(embedder, [*_TEXTS, *_TEXTS])
            return first + await _vectors(embedder, _TEXTS)

        once, again, later = _thirds(self._run(twice))
        self._assert_same(once, again)
        self._assert_same(once, later)
        self._assert_same(once, self._embed(_TEXTS))

    def test_a_vector_does_not_depend_on_its_neighbours(self) -> None:
        """A text alone, and among short, long and odd ones, in whatever place."""

        async def alone(embedder: Embedder) -> list[list[float]]:
            return [(await _vectors(embedder, [text]))[0] for text in _TEXTS]

        company = [*list(_ODD.values())[:-2], *(f"{text} " * 8 for text in _TEXTS)]
        among = self._embed([*company, *_TEXTS, *company])[len(company) :][: len(_TEXTS)]
        self._assert_same(self._run(alone), among)

    def test_no_text_gives_no_vector(self) -> None:
        """An empty list is answered with an empty list."""
        assert self._embed([]) == []

    def test_odd_texts_are_survived(self) -> None:
        """Nothing, NUL, lone surrogates, a megabyte: alone and together they have vectors."""

        async def each(embedder: Embedder) -> None:
            for name, text in _ODD.items():
                with _About(name):
                    await _vectors(embedder, [text])
            await _vectors(embedder, list(_ODD.values()))
            await _vectors(embedder, _TEXTS)

        self._run(each)

    def test_both_purposes_are_understood(self) -> None:
        """Queries and documents have vectors of the same length."""
        self._embed(_TEXTS, purpose="query")
        self._embed(_TEXTS, purpose="document")

    def test_the_texts_are_left_as_they_are(self) -> None:
        """A list stays as it was; a tuple is taken, too."""
        given = list(_TEXTS)
        self._embed(given)
        assert given == list(_TEXTS)
        self._embed(tuple(given))

    def test_eight_tasks_at_once_get_their_own_vectors(self) -> None:
        """Agents share an embedder."""
        lists = [[f"{text} ({number})" for text in _TEXTS] for number in range(8)]

        async def together(embedder: Embedder) -> list[list[list[float]]]:
            return list(await asyncio.gather(*(_vectors(embedder, texts) for texts in lists)))

        async def one_by_one(embedder: Embedder) -> list[list[list[float]]]:
            return [await _vectors(embedder, texts) for texts in lists]

        for alone, among in zip(self._run(one_by_one), self._run(together), strict=True):
            self._assert_same(alone, among)

    def test_a_cancelled_call_ends_and_leaves_it_usable(self) -> None:
        """Cancelled at once and in the middle; no task is left, and the next call is right."""

        async def again(embedder: Embedder) -> list[list[float]]:
            for seconds in (0.0, 0.05):
                call = embedder.embed([f"{text} " * 5 for text in _TEXTS * 20], purpose="document")
                await _cancelled(call, after=seconds)
            return await _vectors(embedder, _TEXTS)

        self._assert_same(self._embed(_TEXTS), self._run(again))

    def test_it_may_be_closed_twice(self) -> None:
        """Unused or after use."""

        async def twice(embedder: Embedder) -> None:
            await embedder.close()
            await embedder.close()

        async def after_use(embedder: Embedder) -> None:
            await _vectors(embedder, _TEXTS)
            await twice(embedder)

        self._run(twice)
        self._run(after_use)

    def test_the_network_is_used_only_if_it_is_declared(self) -> None:
        """What is embedded may be private: without ``network`` no connection is tried."""
        declared = self.capabilities & {"network"}
        with watched_network(allowed=bool(declared)) as seen:
            try:
                self._embed(_TEXTS)
            except (OSError, MassgenError):
                if declared or not seen:
                    raise
        check_capabilities(declared=declared, seen={"network"} if seen else ())

    @requires("semantic")
    def test_what_means_the_same_is_close(self) -> None:
        """The nearest sentence of all is the one that says the same in other words."""
        queries = self._embed([one for one, _ in _ALIKE], purpose="query")
        documents = self._embed([other for _, other in _ALIKE])
        for number, query in enumerate(queries):
            near = max(range(len(_ALIKE)), key=lambda each: _cosine(query, documents[each]))
            assert near == number, f"{_ALIKE[near][1]!r} is nearest to {_ALIKE[number][0]!r}"

    def _embed(
        self, texts: Sequence[str], *, purpose: Literal["document", "query"] = "document"
    ) -> list[list[float]]:
        return self._run(lambda embedder: _vectors(embedder, texts, purpose=purpose))

    def _assert_same(self, some: list[list[float]], others: list[list[float]]) -> None:
        assert len(some) == len(others)
        worst = max(map(_apart, some, others))
        assert worst <= self.tolerance, (
            f"vectors of the same text are {worst:.2g} apart, tolerance is {self.tolerance:.2g}"
        )

    def _run(self, use: Callable[[Embedder], Awaitable[_T]]) -> _T:
        async def main() -> _T:
            embedder = self.embedder()
            try:
                return await use(embedder)
            finally:
                await embedder.close()

        return asyncio.run(main())


class _About:
    """Names what an error is about."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            error.add_note(f"The text was {self._what}.")


async def _vectors(
    embedder: Embedder,
    texts: Sequence[str],
    *,
    purpose: Literal["document", "query"] = "document",
) -> list[list[float]]:
    """The vectors, as plain lists: as many as texts, of the right length, finite."""
    vectors = [list(map(float, v)) for v in await embedder.embed(texts, purpose=purpose)]
    assert len(vectors) == len(texts), f"{len(texts)} texts got {len(vectors)} vectors"
    for vector in vectors:
        assert len(vector) == embedder.dimensions, (
            f"a vector has {len(vector)} numbers, dimensions is {embedder.dimensions}"
        )
        assert all(map(math.isfinite, vector)), "a vector holds NaN or infinity"
    return vectors


async def _cancelled(call: Awaitable[object], *, after: float) -> None:
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(call)
    await asyncio.sleep(after)
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_PATIENCE)
        assert task.done(), f"a cancelled call still runs after {_PATIENCE:.0f} s"
        assert task.cancelled(), "a cancelled call went on as if nothing had happened"
    others = asyncio.all_tasks() - before
    left = (await asyncio.wait(others, timeout=1))[1] if others else set()
    assert not left, f"a cancelled call left {len(left)} tasks behind"


def _thirds(vectors: list[list[float]]) -> tuple[list[list[float]], ...]:
    size = len(vectors) // 3
    return tuple(vectors[start : start + size] for start in (0, size, 2 * size))


def _norm(vector: Sequence[float]) -> float:
    return math.hypot(*vector)


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """The distance of two vectors as a share of the longer one."""
    return math.dist(one, other) / (max(_norm(one), _norm(other)) or 1.0)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product: float = sum(map(operator.mul, one, other))
    return product / (_norm(one) * _norm(other))
