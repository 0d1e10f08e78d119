"""What is known of each model: its window, its tokenizer, how it counts pictures."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidSetting, UnknownModel
from massgen_core.tokens._overrides import checked_fields
from massgen_core.tokens._prices import PRICE_FIELDS, Prices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the engine must know of a model.

    Attributes:
        name: As the provider's API calls it, without a date.
        provider: Who makes it, e.g. ``openai``.
        window: Tokens of prompt and answer together.
        max_output: Tokens of the longest answer.
        max_input: Tokens of the longest prompt where the provider limits it further, else 0.
        tokenizer: ``cl100k_base``, ``o200k_base`` or ``estimate``.
        exact: Whether that tokenizer is the model's own; else it stands in for an unpublished one.
        image: Name of its image formula, see `image_formula`.
        ratio: Reported tokens per counted token to expect before any was reported.
        tools: Whether it calls tools.
        images: Whether it takes pictures.
        reasoning: Whether it thinks before it answers, in tokens that are paid for; None if that is
            not known: a backend may go by the name then.
        source: The page the figures are from.
        date: When it was read, ISO 8601.
        input_price: US dollars for a million tokens of the prompt; None, as for the other prices,
            if it is not known.
        cached_price: The same for what was read from the provider's cache.
        cache_write_price: The same for what was written to that cache.
        output_price: The same for the answer, reasoning included.
        long_prompt: Tokens of the prompt above which the whole request costs more; 0 if it never
            does.
        long_input: How many times more the prompt costs then.
        long_output: How many times more the answer costs then.
        price_source: The page the prices are from.
        price_date: When it was read, ISO 8601.
    """

    name: str
    provider: str
    window: int
    max_output: int
    max_input: int = 0
    tokenizer: str = "estimate"
    exact: bool = False
    image: str = "none"
    ratio: float = 1.0
    tools: bool = True
    images: bool = False
    reasoning: bool | None = None
    source: str = ""
    date: str = ""
    input_price: Decimal | None = None
    cached_price: Decimal | None = None
    cache_write_price: Decimal | None = None
    output_price: Decimal | None = None
    long_prompt: int = 0
    long_input: Decimal | None = None
    long_output: Decimal | None = None
    price_source: str = ""
    price_date: str = ""

    @property
    def prices(self) -> Prices | None:
        """What its tokens cost; None if that is not known."""
        if self.input_price is None or self.output_price is None:
            return None
        cached, write = self.cached_price, self.cache_write_price
        return Prices(
            self.input_price,
            self.output_price,
            self.input_price if cached is None else cached,
            self.input_price if write is None else write,
            self.long_prompt,
            Decimal(1) if self.long_input is None else self.long_input,
            Decimal(1) if self.long_output is None else self.long_output,
        )


_PREFIXES: Final = frozenset(
    {
        *(
            "openai",
            "anthropic",
            "google",
            "gemini",
            "x-ai",
            "xai",
            "mistral",
            "mistralai",
            "deepseek",
        ),
        *("deepseek-ai", "qwen", "alibaba", "dashscope", "meta", "meta-llama", "meta_llama"),
        *("huggingfacetb", "local", "models"),
        *("azure", "azure_ai", "bedrock", "vertex_ai", "openrouter", "litellm_proxy"),
    }
)
"""Before a slash: the makers, and the gateways that pass a model on with the window it has."""


class ModelCatalogue:
    """Models by name; immutable.

    Args:
        models: The rows.
        patterns: Glob patterns of other names (dated snapshots) and the row each stands for.
    """

    __slots__ = ("_models", "_patterns")

    def __init__(
        self, models: Sequence[ModelInfo], patterns: Mapping[str, str] | None = None
    ) -> None:
        self._models = {info.name: info for info in models}
        # the most specific pattern first: `gpt-4o-mini-*` before `gpt-4o-*`
        self._patterns = dict(sorted((patterns or {}).items(), key=lambda item: -len(item[0])))

    def __repr__(self) -> str:
        return f"<ModelCatalogue of {len(self._models)} models>"

    @staticmethod
    def shipped() -> ModelCatalogue:
        """The models this version of the package knows."""
        return _shipped()

    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(sorted(self._models))

    def get(self, model: str) -> ModelInfo:
        """The row of a model, by its name, a dated name or a name with a provider's prefix.

        Raises:
            UnknownModel: No row fits; a window is never guessed.
        """
        if (info := self._find(model)) is not None:
            return info
        raise self._unknown(model)

    def with_overrides(self, overrides: Mapping[str, Mapping[str, object]]) -> ModelCatalogue:
        """The catalogue with fields changed or models added, as the ``models`` section says.

        A new model needs `window`; the rest has careful defaults.

        Raises:
            UnknownSetting: A field that does not exist.
            InvalidSetting: A value that cannot be, e.g. a window of 0 or NaN.
        """
        added = [self._override(name, values) for name, values in overrides.items()]
        return ModelCatalogue([*self._models.values(), *added], self._patterns)

    def _find(self, model: str) -> ModelInfo | None:
        if (info := self._models.get(model)) is not None:
            return info
        name = _bare(model)
        if (info := self._models.get(name)) is not None:
            return info
        for pattern, target in self._patterns.items():
            if fnmatchcase(name, pattern):
                return self._models[target]
        return None

    def _unknown(self, model: str) -> UnknownModel:
        if not model.strip():
            return UnknownModel(
                f"{model!r} names no model", model=model, hint="`mgc models list` has their names."
            )
        known = {name.lower(): name for name in self._models}
        bare = model.rsplit("/", 1)[-1].lower()
        near = [known[name] for name in difflib.get_close_matches(bare, known, n=3, cutoff=0.6)]
        meant = f"Did you mean {', '.join(near)}? " if near else ""
        return UnknownModel(
            f"unknown model {model!r}: its window is in no catalogue",
            model=model,
            suggestions=near,
            hint=f"{meant}Set models.{model}.window to the tokens it takes.",
        )

    def _override(self, name: str, values: object) -> ModelInfo:
        given = checked_fields(name, values)
        base = self._find(name)
        if base is None and "window" not in given:
            raise InvalidSetting(
                f"models.{name} describes a model no catalogue has, but not its window",
                path=f"models.{name}.window",
                hint=f"Set models.{name}.window to the tokens it takes.",
            )
        if base is None:
            window = int(given["window"])
            base = ModelInfo(name, "", window, max(1, window // 4), source="settings")
        changed: dict[str, Any] = {"name": name, **given}
        return _bounded(replace(base, **changed), given)


def _bounded(info: ModelInfo, given: Mapping[str, object]) -> ModelInfo:
    """The row with no limit above its window; one that was asked for above it is an error."""
    for name in ("max_output", "max_input"):
        if name in given and getattr(info, name) > info.window:
            raise InvalidSetting(
                f"models.{info.name}.{name} is {getattr(info, name)}, more than the window of"
                f" {info.window} tokens",
                path=f"models.{info.name}.{name}",
            )
    output, prompt = min(info.max_output, info.window), min(info.max_input, info.window)
    return replace(info, max_output=output, max_input=prompt)


def _bare(model: str) -> str:
    """The name without known prefixes and suffixes; empty if it has a prefix nobody knows."""
    *prefixes, name = model.strip().lower().split("/")
    if not all(prefix in _PREFIXES for prefix in prefixes):
        return ""
    name = name.replace("@", "-").partition(":")[0]
    return name.rpartition("anthropic.")[2]  # Bedrock: us.anthropic.claude-sonnet-4-5-v1:0


@lru_cache(maxsize=1)
def _shipped() -> ModelCatalogue:
    models, patterns = [], {}
    text = resources.files(__package__).joinpath("models.jsonl").read_text("utf-8")
    for line in text.splitlines():
        row = json.loads(line)
        if "name" not in row:
            continue  # the header: what the columns mean and where the formulas are from
        for pattern in row.pop("also", ()):
            patterns[pattern] = row["name"]
        for name in PRICE_FIELDS.intersection(row):
            row[name] = Decimal(str(row[name]))
        models.append(ModelInfo(**row))
    return ModelCatalogue(models, MappingProxyType(patterns))
