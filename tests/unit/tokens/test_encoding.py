"""The shipped ranks: official numbers, no network, no cache, any text."""

import gzip
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import registry
from tiktoken_ext import openai_public

from massgen_core.errors import TokenizerError
from massgen_core.tokens import _encoding, encoding, tiktoken_counter

WORDS = (
    "The quick brown fox, jumped 123 times over\n  the lazy dog's back; naïve 中文 “quotes”.\n\n"
)


@pytest.mark.parametrize(
    ("name", "expected"), [("cl100k_base", [15339, 1917]), ("o200k_base", [24912, 2375])]
)
def test_hello_world_has_its_official_numbers(name, expected):
    assert expected == encoding(name).encode_ordinary("hello world")


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_shipped_ranks_are_the_bytes_tiktoken_pins(name):
    data = gzip.decompress(_encoding.ranks_file(name).read_bytes())
    constants = openai_public.ENCODING_CONSTRUCTORS[name].__code__.co_consts
    assert hashlib.sha256(data).hexdigest() in constants


def test_it_loads_with_no_network_and_no_cache(tmp_path):
    program = (
        "import socket\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = refuse; socket.create_connection = refuse\n"
        "import sys, massgen_core.tokens as t\n"
        "assert 'tiktoken' not in sys.modules\n"
        "print(t.encoding('o200k_base').encode_ordinary('hello world'))\n"
        "import tiktoken; print(tiktoken.get_encoding('o200k_base').name)\n"
    )
    env = {
        **os.environ,
        "TIKTOKEN_CACHE_DIR": str(tmp_path / "none"),
        "PYTHONPATH": str(Path.cwd()),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[24912, 2375]\no200k_base\n", "")
    assert not (tmp_path / "none").exists()


def test_other_libraries_find_the_loaded_encoding():
    assert encoding("o200k_base") is tiktoken.get_encoding("o200k_base")


def test_an_encoding_that_is_loaded_already_is_reused(monkeypatch):
    sentinel = object()
    monkeypatch.setitem(registry.ENCODINGS, "o200k_base", sentinel)
    assert sentinel is encoding("o200k_base")


def test_the_loader_of_tiktoken_is_put_back(monkeypatch):
    before = openai_public.load_tiktoken_bpe
    monkeypatch.delitem(registry.ENCODINGS, "cl100k_base", raising=False)
    encoding("cl100k_base")
    assert before is openai_public.load_tiktoken_bpe


def test_threads_that_load_at_once_get_one_encoding(monkeypatch):
    monkeypatch.delitem(registry.ENCODINGS, "cl100k_base", raising=False)
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(encoding("cl100k_base"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[0]] * 4 == got
    assert "cl100k_base" == got[0].name


def test_damaged_ranks_are_named_with_the_remedy(monkeypatch, tmp_path):
    (tmp_path / "cl100k_base.tiktoken.gz").write_bytes(gzip.compress(b"aGVsbG8= 0\n"))
    monkeypatch.setattr(_encoding, "ranks_file", lambda name: tmp_path / f"{name}.tiktoken.gz")
    monkeypatch.delitem(registry.ENCODINGS, "cl100k_base", raising=False)
    with pytest.raises(TokenizerError, match=r"cl100k_base\.tiktoken\.gz.*sha256") as caught:
        encoding("cl100k_base")
    assert "pip install" in caught.value.hint


def test_missing_ranks_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(_encoding, "ranks_file", lambda name: tmp_path / f"{name}.tiktoken.gz")
    monkeypatch.delitem(registry.ENCODINGS, "cl100k_base", raising=False)
    with pytest.raises(TokenizerError, match="No such file"):
        encoding("cl100k_base")


def test_an_encoding_tiktoken_does_not_know_is_an_error():
    with pytest.raises(TokenizerError, match="o300k_base"):
        encoding("o300k_base")


def test_text_that_looks_like_a_special_token_is_text():
    count = tiktoken_counter("o200k_base").count_text("<|endoftext|>")
    assert len(encoding("o200k_base").encode_ordinary("<|endoftext|>")) == count.tokens
    assert count.tokens > 1


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_text_is_counted_even_with_lone_surrogates(text):
    assert tiktoken_counter("o200k_base").count_text(text).tokens >= bool(text)


@settings(max_examples=10, deadline=None)
@given(st.text(st.sampled_from(WORDS), min_size=1, max_size=60), st.integers(0, 50))
def test_long_text_counts_as_if_it_were_in_one_piece(seed, offset):
    text = ("x" * offset) + (seed + " word\n" + WORDS) * 2_000
    expected = len(encoding("o200k_base").encode_ordinary(text))
    assert expected == tiktoken_counter("o200k_base").count_text(text).tokens


@pytest.mark.parametrize("unit", [" ", "a", "\n", "=", "中", " \n", "\ud800", "word "])
def test_four_times_as_long_a_run_counts_four_times_as_much(unit):
    text = unit * (400_000 // len(unit))
    small = tiktoken_counter("o200k_base").count_text(text[:100_000]).tokens
    large = tiktoken_counter("o200k_base").count_text(text).tokens
    assert 3.96 * small <= large <= 4.04 * small


def test_a_run_of_blanks_that_makes_tiktoken_panic_is_counted():
    assert 7_700 < tiktoken_counter("o200k_base").count_text(" " * 1_000_001).tokens < 8_000


def test_a_message_of_five_megabytes_is_counted():
    text = (WORDS * (5_000_000 // len(WORDS) + 1))[:5_000_000]
    count = tiktoken_counter("cl100k_base").count_text(text)
    assert 1_000_000 < count.tokens < 2_500_000
