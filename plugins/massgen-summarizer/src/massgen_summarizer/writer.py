"""Writing a summary of a text of any length with a model of any window.

The text is read in pieces (map) and the notes on them are merged (reduce), until one is left.
Every character of the text is in some request.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from massgen_core.backends import Request
from massgen_core.errors import ContextOverflow, UnknownModel
from massgen_core.events import Finished, TextDelta
from massgen_core.tokens import Calibration, counter_for, estimating_counter
from massgen_summarizer.prompt import TASKS, SummaryFailed, messages, sections_of
from massgen_summarizer.transcript import piece_of

if TYPE_CHECKING:
    from massgen_core.backends import Backend
    from massgen_core.tokens import ModelCatalogue, ModelInfo, TokenCounter

_LEAST_ANSWER: Final = 64
"""Tokens below which no summary is worth asking for."""
_SAFETY: Final = 0.02
"""Share of the window kept free, as the agent does."""
_THINKING: Final = 4096
"""Tokens a reasoning model may think before it writes; never more than a quarter of its window."""
_FULL: Final = 0.75
"""How full pieces are at least, for the price: they end between entries, lines or words."""
_FRAME: Final = 8
"""Tokens that part one note from the next."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How the summarizer's window is shared out, in tokens by its counter.

    Attributes:
        piece: What one request can read of the text.
        prompt: What a request has besides.
        answer: What the notes on a piece may have.
        output: The same with the model's thinking.
    """

    piece: int
    prompt: int
    answer: int
    output: int

    def price(self, tokens: int) -> int:
        """Tokens read and written for a text of `tokens`, over all requests; never too low."""
        total = 0
        while True:
            number = max(1, -(-tokens // max(1, int(self.piece * _FULL))))
            if tokens <= self.piece:
                number = 1
            total += tokens + number * (self.prompt + self.output)
            shorter = number * (self.answer + _FRAME)
            if number == 1 or shorter >= tokens:
                return total
            tokens = shorter


class Model:
    """The model that writes, and what is known of its sizes.

    Args:
        backend: Where it runs.
        name: Its name there.
        models: The catalogue; a model that is not in it is counted by estimate.
        window: Tokens of its window to use; None for all.
    """

    def __init__(
        self, backend: Backend, name: str, models: ModelCatalogue, window: int | None = None
    ) -> None:
        self.backend = backend
        self.name = name
        self.info = _info(models, name)
        self.counter: TokenCounter = (
            estimating_counter() if self.info is None else counter_for(self.info)
        )
        self._window = window
        self._prompt = max(
            sum(self.counter.count(one).tokens for one in messages(task, "", 10_000))
            for task in TASKS
        )

    def count(self, text: str) -> int:
        """The tokens of a text."""
        return self.counter.count_text(text).tokens

    def known_window(self, otherwise: int) -> int:
        """Its window by the catalogue and the settings; `otherwise` if neither says."""
        known = [w for w in (self._window, self.info and self.info.window) if w]
        return min(known, default=otherwise)

    def sizes(self, window: int, allowed: int, *, reasoning: bool = False) -> Sizes:
        """How a window of `window` tokens is shared out for notes of at most `allowed`.

        Raises:
            SummaryFailed: It is too small.
        """
        thinking = min(_THINKING, window // 4) if reasoning else 0
        usable = int(window * (1 - _SAFETY)) - thinking
        longest = usable if self.info is None else self.info.max_output
        answer = max(0, min(allowed, longest, self._readable(usable) // 4))
        piece = self._readable(usable - answer)
        if answer < _LEAST_ANSWER or piece < 2 * answer:
            raise SummaryFailed(f"the window of {self.name}, {window} tokens, is too small for it")
        return Sizes(piece, self._prompt, answer, answer + thinking)

    def _readable(self, usable: int) -> int:
        """Tokens of text, by our count, that a prompt of `usable` tokens can hold."""
        ratio = 1.0 if self.info is None else self.info.ratio
        exact = self.counter.count_text("").exact
        return Calibration(ratio, exact=exact).budget(max(0, usable)) - self._prompt


class Writer:
    """One summary in the making.

    Args:
        model: Who writes.
        sizes: How its window is shared out.
        most: Tokens that all requests may read and write together; None for no limit.

    Attributes:
        requests: How many requests were made, refused ones included.
    """

    def __init__(self, model: Model, sizes: Sizes, most: int | None) -> None:
        self.requests = 0
        self._model = model
        self._sizes = sizes
        self._most = most
        self._spent = 0

    @classmethod
    async def of(cls, model: Model, allowed: int, most: int | None) -> Writer:
        """A writer for the window that the backend says the model has.

        Raises:
            SummaryFailed: It is too small.
            MassgenError: The backend does not know the model, or cannot start.
        """
        caps = await model.backend.caps(model.name)
        window = min(caps.window, model.known_window(otherwise=caps.window))
        allowed = min(allowed, caps.max_output)
        return cls(model, model.sizes(window, allowed, reasoning=caps.reasoning), most)

    def check_price(self, text: str) -> None:
        """Nothing, if a summary of `text` is not too expensive.

        Raises:
            SummaryFailed: It is.
        """
        price = self._sizes.price(self._model.count(text))
        if self._most is not None and price > self._most:
            raise too_expensive(price, self._most)

    async def summary(self, text: str) -> str:
        """The summary of all of `text`.

        Raises:
            SummaryFailed: There is none, for the reason it gives.
            MassgenError: The backend failed.
        """
        notes = await self._notes("read", text)
        while len(notes) > 1:
            shorter = await self._notes("merge", "\n\n".join(notes))
            if len(shorter) >= len(notes):
                raise SummaryFailed("its notes do not get fewer when they are merged")
            notes = shorter
        return notes[0]

    async def _notes(self, task: str, text: str) -> list[str]:
        """Notes on each piece of the text; pieces that are refused as too long are halved."""
        notes: list[str] = []
        rest = text
        while rest:
            piece = piece_of(rest, self._sizes.piece, self._model.count)
            try:
                notes.append(await self._ask(task, piece))
            except ContextOverflow as refusal:
                self._shrink(piece, refusal)
            else:
                rest = rest[len(piece) :]
        return notes

    def _shrink(self, piece: str, refusal: ContextOverflow) -> None:
        """Learns from a refusal; the next piece is at most half as long as the refused one."""
        half = min(self._sizes.piece, self._model.count(piece)) // 2
        if half < self._sizes.answer:
            answer = half // 2
            if answer < _LEAST_ANSWER:
                raise SummaryFailed("its window is smaller than it says") from refusal
            self._sizes = replace(self._sizes, answer=answer)
        self._sizes = replace(self._sizes, piece=half)

    def _check_spent(self, price: int) -> None:
        """Keeps to the limit even where requests had to be made smaller than was planned."""
        if self._most is not None and self._spent + price > self._most:
            raise too_expensive(self._spent + price, self._most)

    async def _ask(self, task: str, piece: str) -> str:
        sizes = self._sizes
        price = self._model.count(piece) + sizes.prompt + sizes.output
        self._check_spent(price)
        self.requests += 1
        request = Request(
            self._model.name, messages(task, piece, sizes.answer), max_output=sizes.output
        )
        said: list[str] = []
        finished: Finished | None = None
        async with aclosing(self._model.backend.stream(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    said.append(event.text)
                elif isinstance(event, Finished):
                    finished = event
        self._spent += price
        if finished is None:
            raise SummaryFailed("its answer broke off")
        if finished.reason == "length":
            raise SummaryFailed(f"its answer was longer than {sizes.answer} tokens and was cut")
        if finished.reason != "stop":
            raise SummaryFailed(f"its answer ended with {finished.reason!r}")
        return sections_of("".join(said))


def too_expensive(price: int, most: int) -> SummaryFailed:
    """The refusal to pay."""
    return SummaryFailed(f"it would cost {price} tokens, max_price is {most}")


def _info(models: ModelCatalogue, name: str) -> ModelInfo | None:
    try:
        return models.get(name)
    except UnknownModel:
        return None
