"""Sounds, documents and parts nobody models."""

import struct

from massgen_core.messages import Audio, File, Unknown
from massgen_core.tokens import encoding, tiktoken_counter

COUNTER = tiktoken_counter("o200k_base")
PAGE = 3_000 + 85 + 8 * 170  # text, and a picture of unknown size


def tokens(part):
    return COUNTER.count(part).tokens


def wav(seconds, rate=16_000):
    data = b"\0" * (2 * rate * seconds)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVE" + fmt + b"data" + data


def test_a_sound_counts_by_its_seconds():
    assert 320 == tokens(Audio("audio/mpeg", b"xyz", seconds=10.0))


def test_the_length_of_a_wave_file_is_read_from_it():
    assert 96 <= tokens(Audio("audio/wav", wav(3))) <= 97


def test_a_compressed_sound_of_unknown_length_is_taken_as_long():
    assert 320 == tokens(Audio("audio/mpeg", b"x" * 40_000))


def test_a_text_file_counts_as_its_text():
    text = "name,amount\nrent,1200\n" * 50
    expected = len(encoding("o200k_base").encode_ordinary(text))
    assert expected == tokens(File("text/csv", text.encode()))
    assert expected == tokens(File("application/json", text.encode()))


def test_a_pdf_counts_by_its_pages():
    pages = b"%PDF-1.4\n" + b"1 0 obj << /Type /Page >>\n" * 3 + b"<< /Type /Pages /Count 3 >>"
    assert 3 * PAGE == tokens(File("application/pdf", pages))


def test_a_pdf_with_hidden_pages_counts_by_its_size():
    assert 5 * PAGE == tokens(File("application/pdf", b"%PDF-1.7\n" + b"\xff" * 99_000))


def test_a_document_we_have_only_the_address_of_counts_as_a_page():
    assert PAGE == tokens(File("application/pdf", url="https://example.org/a.pdf"))
    assert PAGE == tokens(File(file_id="file-123"))


def test_another_document_counts_by_its_bytes():
    assert 500 == tokens(File("application/msword", b"\xd0" * 1_000))


def test_an_unknown_part_counts_as_its_json():
    part = Unknown("location", {"lat": 52.5, "lon": 13.4, "names": ("a", "b")})
    assert 10 < tokens(part) < 60
