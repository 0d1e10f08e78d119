"""What is known of each model: its window, its tokenizer, how it counts pictures."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidArgument, InvalidSetting, UnknownModel, UnknownSetting
from massgen_core.tokens._counters import TOKENIZERS
from massgen_core.tokens._images import image_formula

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the engine must know of a model.

    Attributes:
        name: As the provider's API calls it, without a date.
        provider: Who makes it, e.g. ``openai``.
        window: Tokens of prompt and answer together, or of the prompt where the provider limits it alone.
        max_output: Tokens of the longest answer.
        tokenizer: ``cl100k_base``, ``o200k_base`` (its own, or the nearest), or ``estimate``.
        image: Name of its image formula, see `image_formula`.
        ratio: Provider-reported tokens per counted token to expect of the family before any was seen.
        tools: Whether it calls tools.
        system_role: Whether it takes system messages.
        images: Whether it takes pictures.
        source: The page the figures are from.
        date: When it was read, ISO 8601.
    """

    name: str
    provider: str
    window: int
    max_output: int
    tokenizer: str = "estimate"
    image: str = "none"
    ratio: float = 1.0
    tools: bool = True
    system_role: bool = True
    images: bool = False
    source: str = ""
    date: str = ""


_FIELDS: Final = tuple(spec.name for spec in fields(ModelInfo) if spec.name != "name")
_COUNTS: Final = frozenset({"window", "max_output"})
_FLAGS: Final = frozenset({"tools", "system_role", "images"})
_GATEWAYS: Final = frozenset(
    ["anthropic", "azure", "azure_ai", "bedrock", "chatgpt", "dashscope", "deepseek", "deepseek-ai", "gemini", "google", "groq", "huggingfacetb", "litellm_proxy", "llama", "local", "meta", "meta-llama", "meta_llama", "mistral", "mistralai", "models", "openai", "openrouter", "qwen", "together_ai", "vertex_ai", "x-ai", "xai", "alibaba", "fireworks_ai", "nvidia"]
)


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
        """The catalogue with fields changed, or models added, as the ``models`` section of settings says.

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
        for name in _spellings(model):
            if (info := self._models.get(name)) is not None:
                return info
            for pattern, target in self._patterns.items():
                if fnmatchcase(name, pattern):
                    return self._models[target]
        return None

    def _unknown(self, model: str) -> UnknownModel:
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

    def _override(self, name: str, values: Mapping[str, object]) -> ModelInfo:
        path = f"models.{name}"
        checked = {key: _checked(f"{path}.{key}", key, value) for key, value in values.items()}
        base = self._find(name)
        if base is None and "window" not in checked:
            raise InvalidSetting(
                f"{path} describes a model no catalogue has, but not its window",
                path=f"{path}.window",
                hint=f"Set {path}.window to the tokens it takes.",
            )
        if base is None:
            window = checked["window"]
            base = ModelInfo(name, "", window, max(1, window // 4), source="settings")
        return _bounded(replace(base, **{"name": name, **checked}), path, checked)


def _bounded(info: ModelInfo, path: str, given: Mapping[str, object]) -> ModelInfo:
    """The row with an answer that fits its window; one that was asked for and does not fit is an error."""
    if info.max_output <= info.window:
        return info
    if "max_output" in given:
        raise InvalidSetting(
            f"{path}.max_output is {info.max_output}, more than the window of {info.window} tokens",
            path=f"{path}.max_output",
        )
    return replace(info, max_output=info.window)


def _checked(path: str, key: str, value: object) -> Any:
    if key not in _FIELDS:
        near = difflib.get_close_matches(key, _FIELDS, n=3)
        raise UnknownSetting(
            f"{path}: a model has no {key!r}",
            path=path,
            suggestions=near,
            hint=f"Did you mean {near[0]}?" if near else f"It has: {', '.join(_FIELDS)}.",
        )
    if (expected := _complaint(key, value)) is not None:
        raise InvalidSetting(f"{path} is {value!r}, expected {expected}", path=path)
    return int(value) if key in _COUNTS else value  # type: ignore[call-overload]  # _complaint saw to it


def _complaint(key: str, value: object) -> str | None:
    """What the field takes, if `value` is not that."""
    if key in _FLAGS:
        return None if isinstance(value, bool) else "true or false"
    if key in _COUNTS:
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        return None if whole and value >= 1 else "a whole number of tokens, at least 1"
    if key == "ratio":
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return None if real and 0.25 <= value <= 4 else "a number from 0.25 to 4"  # noqa: PLR2004
    if not isinstance(value, str):
        return "text"
    if key == "tokenizer" and value not in TOKENIZERS:
        return f"one of {', '.join(TOKENIZERS)}"
    return _image_complaint(value) if key == "image" else None


def _image_complaint(value: str) -> str | None:
    try:
        image_formula(value)
    except InvalidArgument as exc:
        return exc.hint
    return None


def _spellings(model: str) -> list[str]:
    """The names to look for: as asked, without the prefixes of known providers, without suffixes."""
    *prefixes, name = model.strip().lower().split("/")
    if not all(prefix in _GATEWAYS for prefix in prefixes):
        return []
    name = name.replace("@", "-").partition(":")[0]
    owner, dot, rest = name.rpartition("anthropic.")  # Bedrock: us.anthropic.claude-…-v1:0
    del owner
    return [rest if dot else name]


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
        models.append(ModelInfo(**row))
    return ModelCatalogue(models, MappingProxyType(patterns))
