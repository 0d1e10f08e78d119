import json

import httpx
import pytest

from massgen_core.testing import FAULTS, mock_provider

TOOL = {"name": "weather", "description": "The weather in a city."}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO = [{"role": "user", "content": "Say hello."}]
CALLS = {"role": "assistant", "content": None, "tool_calls": []}
CALLS["tool_calls"] = [
    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
]
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "5"}
BROKEN = {
    "/v1/chat/completions": {"model": "m", "messages": [*HELLO, CALLS, *HELLO]},
    "/v1/responses": {
        "model": "m",
        "input": [*HELLO, {"type": "function_call_output", "call_id": "c1", "output": "5"}],
    },
    "/anthropic/v1/messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c", "name": "n", "input": {}}],
            },
        ],
    },
    "/gemini/v1beta/models/m:generateContent": {
        "contents": [
            {"role": "user", "parts": [{"functionResponse": {"name": "n", "response": {}}}]}
        ]
    },
}
SOUND = {
    "/v1/chat/completions": {"model": "m", "messages": [*HELLO, CALLS, RESULT]},
    "/v1/responses": {
        "model": "m",
        "input": [
            *HELLO,
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "5"},
        ],
    },
    "/anthropic/v1/messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            *HELLO,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "so", "signature": "x"},
                    {"type": "tool_use", "id": "c", "name": "n", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c", "content": "5"},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
    },
    "/gemini/v1beta/models/m:generateContent": {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "n", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "n", "response": {}}}]},
        ]
    },
}


@pytest.fixture(scope="module")
def provider():
    with mock_provider(window=500, pace=0) as started:
        yield started


@pytest.fixture(scope="module")
def client(provider):
    with httpx.Client(base_url=provider.url, trust_env=False) as opened:
        yield opened


def chat(client, **more):
    return client.post("/v1/chat/completions", json={"model": "m", "messages": HELLO, **more})


@pytest.mark.parametrize("path", BROKEN)
def test_messages_out_of_order_are_refused(client, path):
    answer = client.post(path, json=BROKEN[path])
    assert 400 == answer.status_code, answer.text
    assert "message" in answer.text


@pytest.mark.parametrize("path", SOUND)
def test_messages_in_order_are_answered(client, path):
    answer = client.post(path, json=SOUND[path])
    assert 200 == answer.status_code, answer.text


def test_what_is_not_strict_takes_any_order():
    with mock_provider(strict=False, pace=0) as lax, httpx.Client(trust_env=False) as client:
        answer = client.post(f"{lax.openai}/chat/completions", json=BROKEN["/v1/chat/completions"])
    assert 200 == answer.status_code


def test_an_answer_ends_at_the_tokens_asked_for(client):
    choice = chat(client, max_completion_tokens=2).json()
    assert 2 == choice["usage"]["completion_tokens"]
    assert "length" == choice["choices"][0]["finish_reason"]


def test_a_tool_is_called_once_for_each_name(client):
    question = [{"role": "user", "content": "The weather in Paris and in Rome?"}]
    tool = {"type": "function", "function": {**TOOL, "parameters": SCHEMA}}
    answer = chat(client, messages=question, tools=[tool]).json()
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert ["Paris", "Rome"] == [json.loads(c["function"]["arguments"])["city"] for c in calls]
    assert 2 == len({call["id"] for call in calls})


def test_a_prompt_above_the_window_is_refused_with_numbers(client):
    answer = chat(client, messages=[{"role": "user", "content": "word " * 1000}])
    assert 400 == answer.status_code
    assert "500" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/anthropic/v1/messages/count_tokens", {"model": "m", "messages": HELLO}, "input_tokens"),
        (
            "/gemini/v1beta/models/m:countTokens",
            {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]},
            "totalTokens",
        ),
    ],
)
def test_prompts_are_counted_as_they_are_reported(client, path, body, key):
    assert len("Say hello.") // 4 == client.post(path, json=body).json()[key]


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.late])
def test_a_fault_comes_before_the_answer_and_once(client, provider, name):
    provider.inject(name)
    try:
        answer = chat(client, stream=True)
    except httpx.TransportError:
        assert "reset" == name
    else:
        assert (answer.status_code >= 400) or not answer.content
    assert 200 == chat(client).status_code


@pytest.mark.parametrize("wire", ["openai", "anthropic", "gemini"])
def test_an_error_can_come_inside_a_stream(client, provider, wire):
    path, body = {
        "openai": ("/v1/chat/completions", {"model": "m", "messages": HELLO}),
        "anthropic": ("/anthropic/v1/messages", {**SOUND["/anthropic/v1/messages"]}),
        "gemini": (
            "/gemini/v1beta/models/m:streamGenerateContent?alt=sse",
            SOUND["/gemini/v1beta/models/m:generateContent"],
        ),
    }[wire]
    provider.inject("error_event", after_chunks=2)
    lines = client.post(path, json={**body, "stream": True}).text.split("\n\n")
    assert "error" in json.loads(lines[2].partition("data: ")[2])
    assert [""] == lines[3:]


def test_a_quota_is_kept_for_each_key():
    with mock_provider(requests_per_minute=1, pace=0) as limited:
        with httpx.Client(trust_env=False, headers={"authorization": "a"}) as client:
            url = f"{limited.openai}/chat/completions"
            codes = [client.post(url, json=SOUND["/v1/chat/completions"]) for _ in range(2)]
        assert [200, 429] == [answer.status_code for answer in codes]
        assert float(codes[1].headers["retry-after"]) > 0


def test_it_is_seen_what_was_asked(client, provider):
    provider.reset()
    chat(client, user="me")
    [seen] = provider.requests()
    assert "me" == seen["body"]["user"]


def test_an_unknown_behaviour_is_refused(provider):
    with pytest.raises(ValueError, match="refused"):
        provider.behave({"type": "sleep"})
