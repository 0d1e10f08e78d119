"""One provider as a row of data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from massgen_openai.dialect import Dialect

Api: TypeAlias = Literal["chat", "responses"]
ErrorKind: TypeAlias = Literal[
    "overflow",
    "rate",
    "quota",
    "auth",
    "invalid",
    "filtered",
    "malformed",
    "transient",
    "fatal",
]


@dataclass(frozen=True, slots=True)
class Provider:
    """What must be known of a provider beyond OpenAI's API.

    Attributes:
        name: The registered name of its backend.
        title: What people call it.
        base_url: Where it is; empty if the settings or the environment have to say.
        key_env: Environment variable that holds its key; empty if it needs none.
        source: Where the facts of the row were read.
        api: The API to use unless the settings say otherwise.
        reasons: Pattern of the names of its models that reason; empty if none is known.
        dialect: What the codecs have to heed; its `name` is that of the row.
        max_field: The chat API's field for the tokens an answer may have.
        usage_option: Whether usage in a chat stream has to be asked for (``stream_options``);
            providers that send it anyway may refuse the field.
        azure: Whether it is Azure, which has its own paths and header of the key.
        developer: Whether models that reason take instructions in the role ``developer``; they are
            OpenAI's own, and know phases.
        fixed_heat: Whether models that reason refuse a temperature.
        seals: Whether sealed reasoning has to be asked for (Responses API).
        think_tags: Whether reasoning may come as ``<think>`` tags in the text.
        errors: Codes, types and HTTP statuses of its errors beyond those all providers share.
    """

    name: str
    title: str
    base_url: str
    key_env: str
    source: str
    api: Api = "chat"
    reasons: str = ""
    dialect: Dialect = field(default_factory=Dialect)
    max_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    usage_option: bool = True
    azure: bool = False
    developer: bool = False
    fixed_heat: bool = False
    seals: bool = False
    think_tags: bool = False
    errors: Mapping[str, ErrorKind] = field(default_factory=dict)

    def model_reasons(self, model: str) -> bool:
        """Whether a model is one of those that reason, as far as its name tells."""
        return bool(self.reasons) and re.search(self.reasons, model.lower()) is not None
