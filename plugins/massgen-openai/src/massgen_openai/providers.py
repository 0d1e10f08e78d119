"""The providers: a row each. Adding one is adding a row; nothing else knows their names.

A row holds only what differs from OpenAI's API. `source` says where that was read (in November
2026); what no page says stays at the careful default.
"""

from __future__ import annotations

from typing import Final

from massgen_openai._provider import Provider
from massgen_openai.dialect import Dialect, Media

_PICTURES: Final[frozenset[Media]] = frozenset({"image"})
_OPENAI_REASONING: Final = r"(^|/)(o\d|gpt-[5-9](\.\d+)?(?!\.|\d|-chat)|codex)"
_OPEN_REASONING: Final = (
    r"gpt-oss|deepseek-(r1|v3\.[12]|v4)|qwen3(?!.*(instruct|coder))|qwq|glm-(4\.[5-9]|[5-9])"
    r"|kimi-k(2\.[5-9]|2-thinking|[3-9])|magistral|thinking|reason"
)
"""Open models that many providers serve, under names that differ in prefix and case."""

ROWS: Final = (
    Provider(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        key_env="OPENAI_API_KEY",
        # A temperature only with effort `none`; sealed reasoning only of models that reason.
        source="https://github.com/tmc/langchaingo/issues/1497 (quotes OpenAI's guide); "
        "https://github.com/pydantic/pydantic-ai/issues/2865; types of the SDK openai 3.54",
        api="responses",
        reasons=_OPENAI_REASONING,
        max_field="max_completion_tokens",
        developer=True,
        fixed_heat=True,
        seals=True,
        errors={"invalid_encrypted_content": "malformed"},
    ),
    Provider(
        name="azure_openai",
        title="Azure OpenAI",
        base_url="",
        key_env="AZURE_OPENAI_API_KEY",
        source="https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle; "
        "https://github.com/openai/openai-node/blob/HEAD/docs/azure.md",
        api="responses",
        reasons=_OPENAI_REASONING,
        dialect=Dialect("azure_openai"),
        max_field="max_completion_tokens",
        azure=True,
        developer=True,
        fixed_heat=True,
        seals=True,
        errors={
            "invalid_encrypted_content": "malformed",
            "deploymentnotfound": "invalid",
            "responsibleaipolicyviolation": "filtered",
        },
    ),
    Provider(
        name="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        # Responses is preferred; reasoning that does not come back makes answers worse, silently.
        source="https://docs.x.ai/docs/guides/chat; "
        "https://docs.x.ai/developers/advanced-api-usage/troubleshooting-reasoning",
        api="responses",
        reasons=r"grok-(3-mini|[4-9]|build)(?!.*non-reasoning)",
        dialect=Dialect("xai", media=_PICTURES, json_arguments=True),
        seals=True,
    ),
    Provider(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        # Without `reasoning_format` the text may begin with think tags.
        source="https://console.groq.com/docs/openai; "
        "https://reference.langchain.com/python/langchain-groq/chat_models/ChatGroq; "
        "https://www.developersdigest.tech/errors/api/groq-api/498-flex-tier-capacity-exceeded",
        reasons=_OPEN_REASONING,
        dialect=Dialect("groq", media=_PICTURES, json_arguments=True),
        max_field="max_completion_tokens",
        think_tags=True,
        errors={"498": "transient", "capacity_exceeded": "transient"},
    ),
    Provider(
        name="together",
        title="Together AI",
        base_url="https://api.together.ai/v1",
        key_env="TOGETHER_API_KEY",
        source="https://docs.together.ai/docs/inference/openai-compatibility",
        reasons=_OPEN_REASONING,
        dialect=Dialect("together", media=_PICTURES, json_arguments=True),
        think_tags=True,
    ),
    Provider(
        name="fireworks",
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        # "For some models, the reasoning content may instead be included in the content field."
        source="https://docs.fireworks.ai/guides/reasoning; "
        "https://docs.getbifrost.ai/providers/supported-providers/fireworks",
        reasons=_OPEN_REASONING,
        dialect=Dialect(
            "fireworks", media=_PICTURES, json_arguments=True, reasoning="reasoning_content"
        ),
        think_tags=True,
    ),
    Provider(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        source="https://inference-docs.cerebras.ai/capabilities/reasoning; "
        "https://www.developersdigest.tech/reference/api-compatibility/cerebras",
        reasons=_OPEN_REASONING,
        dialect=Dialect("cerebras", media=frozenset(), json_arguments=True),
        max_field="max_completion_tokens",
        think_tags=True,
    ),
    Provider(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        source="https://openrouter.ai/docs/api/reference/errors-and-debugging; "
        "https://openrouter.ai/docs/use-cases/reasoning-tokens",
        reasons=f"{_OPEN_REASONING}|{_OPENAI_REASONING}|claude|gemini-(2\\.5|[3-9])|grok-[4-9]",
        dialect=Dialect(
            "openrouter",
            media=frozenset({"image", "file"}),
            json_arguments=True,
            reasoning="reasoning_details",
        ),
        errors={"403": "filtered"},
    ),
    Provider(
        name="moonshot",
        title="Moonshot AI (Kimi)",
        base_url="https://api.moonshot.ai/v1",
        key_env="MOONSHOT_API_KEY",
        # Kimi models have fixed sampling.
        source="https://platform.kimi.ai/docs/api/errors; "
        "https://platform.moonshot.cn/docs/guide/use-kimi-k2-thinking-model; "
        "https://java.agentscope.io/v2/en/integration/model/kimi",
        reasons=_OPEN_REASONING,
        dialect=Dialect(
            "moonshot", media=_PICTURES, json_arguments=True, reasoning="reasoning_content"
        ),
        max_field="max_completion_tokens",
        fixed_heat=True,
        errors={
            "content_filter": "filtered",
            "exceeded_current_quota_error": "quota",
            "engine_overloaded_error": "transient",
            "rate_limit_reached_error": "rate",
            "invalid_authentication_error": "auth",
            "incorrect_api_key_error": "auth",
        },
    ),
    Provider(
        name="nebius",
        title="Nebius Token Factory",
        base_url="https://api.tokenfactory.nebius.com/v1",
        key_env="NEBIUS_API_KEY",
        source="https://docs.tokenfactory.nebius.com/api-reference/introduction",
        reasons=_OPEN_REASONING,
        dialect=Dialect("nebius", media=_PICTURES, json_arguments=True),
        think_tags=True,
    ),
    Provider(
        name="poe",
        title="Poe",
        base_url="https://api.poe.com/v1",
        key_env="POE_API_KEY",
        source="https://creator.poe.com/api-reference/errors; "
        "https://creator.poe.com/api-reference/client-sdks",
        dialect=Dialect("poe", media=_PICTURES, json_arguments=True),
    ),
    Provider(
        name="qwen",
        title="Alibaba Model Studio (Qwen)",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env="DASHSCOPE_API_KEY",
        source="https://help.aliyun.com/en/model-studio/error-code; "
        "https://docs.litellm.ai/docs/providers/dashscope (addresses)",
        reasons=_OPEN_REASONING,
        dialect=Dialect("qwen", media=_PICTURES, json_arguments=True),
        errors={
            "arrearage": "quota",
            "data_inspection_failed": "filtered",
            "datainspectionfailed": "filtered",
            "throttling.ratequota": "rate",
            "throttling.allocationquota": "rate",
            "limit_requests": "rate",
        },
    ),
    Provider(
        name="zai",
        title="Z.ai (GLM)",
        base_url="https://api.z.ai/api/paas/v4",
        key_env="ZAI_API_KEY",
        source="https://docs.z.ai/api-reference/api-code; "
        "https://docs.bigmodel.cn/cn/api/api-code; "
        "https://docs.z.ai/guides/capabilities/thinking-mode",
        reasons=_OPEN_REASONING,
        dialect=Dialect("zai", media=_PICTURES, json_arguments=True, reasoning="reasoning_content"),
        errors={
            **dict.fromkeys(("1000", "1001", "1002", "1003", "1004", "1112", "1121"), "auth"),
            **dict.fromkeys(("1113", "1304", "1308", "1309", "1310"), "quota"),
            **dict.fromkeys(("1210", "1211", "1214", "1311"), "invalid"),
            **dict.fromkeys(("1120", "1230", "1234", "1312"), "transient"),
            **dict.fromkeys(("1302", "1303", "1305", "1313"), "rate"),
            "1261": "overflow",
            "1301": "filtered",
        },
    ),
    Provider(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        key_env="DEEPSEEK_API_KEY",
        # Calls without the reasoning before them: "The reasoning_content in the thinking mode must
        # be passed back to the API."
        source="https://api-docs.deepseek.com/quick_start/error_codes; "
        "https://api-docs.deepseek.com/guides/thinking_mode",
        reasons=r"deepseek-(reasoner|v[34]|pro|flash)",
        dialect=Dialect(
            "deepseek", media=frozenset(), json_arguments=True, reasoning="reasoning_content"
        ),
    ),
    Provider(
        name="mistral",
        title="Mistral AI",
        base_url="https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        # Usage comes unasked; `stream_options` and `max_completion_tokens` are refused; a user's
        # message after a tool's is, too; ids have nine letters and digits.
        source="https://docs.rs/crate/swink-agent-adapters/0.9.0/source/src/mistral.rs; "
        "https://github.com/anomalyco/opencode/issues/1680; "
        "https://docs.mistral.ai/inference/conversations/reasoning",
        reasons=r"magistral|mistral-(small-2603|medium-(3-5|2604)|large-4)",
        dialect=Dialect(
            "mistral", media=_PICTURES, turns="answered", nine_ids=True, json_arguments=True
        ),
        usage_option=False,
        errors={"3051": "overflow"},
    ),
    Provider(
        name="vllm",
        title="vLLM",
        base_url="http://localhost:8000/v1",
        key_env="",
        source="https://docs.vllm.ai/en/v0.11.2/features/reasoning_outputs/",
        reasons=_OPEN_REASONING,
        dialect=Dialect("vllm", json_arguments=True, media=frozenset({"image", "audio"})),
        think_tags=True,
    ),
    Provider(
        name="sglang",
        title="SGLang",
        base_url="http://localhost:30000/v1",
        key_env="",
        source="https://docs.sglang.io/docs/advanced_features/separate_reasoning",
        reasons=_OPEN_REASONING,
        dialect=Dialect("sglang", json_arguments=True, media=_PICTURES),
        think_tags=True,
    ),
    Provider(
        name="lm_studio",
        title="LM Studio",
        base_url="http://localhost:1234/v1",
        key_env="",
        source="https://lmstudio.ai/docs/api/openai-api",
        reasons=_OPEN_REASONING,
        dialect=Dialect("lm_studio", json_arguments=True, media=_PICTURES),
        think_tags=True,
    ),
    Provider(
        name="ollama",
        title="Ollama",
        base_url="http://localhost:11434/v1",
        key_env="",
        source="https://docs.ollama.com/api/openai-compatibility",
        reasons=_OPEN_REASONING,
        dialect=Dialect("ollama", json_arguments=True, media=_PICTURES),
        think_tags=True,
    ),
)
"""All providers."""


def provider(name: str) -> Provider:
    """The row of a name.

    Raises:
        KeyError: There is none.
    """
    for row in ROWS:
        if row.name == name:
            return row
    raise KeyError(name)
