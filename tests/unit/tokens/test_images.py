"""What pictures cost, checked on the examples the providers give."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument
from massgen_core.messages import Image
from massgen_core.tokens import ModelCatalogue, counter_for, image_formula, image_size

# A picture of 37 x 21 pixels, written by Pillow in each format.
FILES = {
    "png": (
        "iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5AAAAJklEQVR4nGM8ISfHQEfARE/LRu0btW/U"
        "vlH7Ru0btW/UvlH7qAAAHhgBLsVnFNAAAAAASUVORK5CYII="
    ),
    "jpeg with exif": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAoRXhpZgAATU0AKgAAAAgAAQEOAAIAAAAGAAAAGgAAAABoZWxs"
        "bwD/2wBDAKBueIx4ZKCMgoy0qqC+8P//8Nzc8P//////////////////////////////////////////"
        "////////////////2wBDAaq0tPDS8P//////////////////////////////////////////////////"
        "////////////////////////////wAARCAAVACUDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAA"
        "AAL/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFgEBAQEAAAAAAAAAAAAAAAAAAAED/8QAFBEBAAAAAAAA"
        "AAAAAAAAAAAAAP/aAAwDAQACEQMRAD8AkBGgAAAAAAAAAD//2Q=="
    ),
    "progressive jpeg": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAKBueIx4ZKCMgoy0qqC+8P//8Nzc8P//////////////////"
        "////////////////////////////////////////2wBDAaq0tPDS8P//////////////////////////"
        "////////////////////////////////////////////////////wgARCAAVACUDASIAAhEBAxEB"
    ),
    "gif": (
        "R0lGODdhJQAVAIEAAMgeHgAAAAAAAAAAACwAAAAAJQAVAEAILwABCBxIsKDBgwgTKlzIsKHDhxAjSpxI"
        "saLFixgzatzIsaPHjyBDihxJsqRJkgEBADs="
    ),
    "lossy webp": (
        "UklGRkIAAABXRUJQVlA4IDYAAAAwAwCdASolABUAP83m7XA/uDIrJWgD8DmJZwDIIBJjuugAAP7Qym79"
        "v3Z2i0xsRjzGh9AAAAA="
    ),
    "lossless webp": ("UklGRh4AAABXRUJQVlA4TBEAAAAvJAAFAAdQjyLXo/+BiOh/AAA="),
    "webp with alpha": (
        "UklGRoAAAABXRUJQVlA4WAoAAAAYAAAAJAAAFAAAQUxQSAoAAAABB1CyiAhERP8DVlA4ICgAAADwAgCd"
        "ASolABUAP83m7XA/uDIrJWgD8DmJaQAAKUNt8AD+6WOCgAAARVhJRiAAAABNTQAqAAAACAABAQ4AAgAA"
        "AAYAAAAaAAAAAGhlbGxvAA=="
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_size_is_read_from_the_header(kind):
    assert (37, 21) == image_size(Image("image/x", base64.b64decode(FILES[kind])))


def test_fill_bytes_between_markers_of_a_jpeg_are_skipped():
    jpeg = base64.b64decode(FILES["jpeg with exif"])
    assert (37, 21) == image_size(Image("image/jpeg", jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]))


@given(st.binary(max_size=64), st.sampled_from([*FILES, "nothing"]), st.integers(0, 60))
def test_damaged_files_have_some_size_or_none(tail, kind, keep):
    head = base64.b64decode(FILES.get(kind, ""))[:keep]
    width, height = image_size(Image("image/x", head + tail))
    assert width >= 0
    assert height >= 0


def test_a_size_given_with_the_part_wins():
    png = base64.b64decode(FILES["png"])
    assert (100, 50) == image_size(Image("image/png", png, width=100, height=50))


@pytest.mark.parametrize(
    ("formula", "width", "height", "detail", "expected"),
    [
        # platform.openai.com/docs/guides/images-vision: 1024 x 1024 is 765, 2048 x 4096 is 1105
        ("openai-tiles:85:170", 1024, 1024, "high", 765),
        ("openai-tiles:85:170", 2048, 4096, "high", 1105),
        ("openai-tiles:85:170", 4096, 8192, "low", 85),
        ("openai-tiles:70:140", 1024, 1024, "", 70 + 4 * 140),
        ("openai-tiles:2833:5667", 512, 512, "", 2833 + 5667),
        # the same page: 1024 x 1024 is 1024 patches; larger ones are shrunk to at most 1536
        ("openai-patches:1.62:1536", 1024, 1024, "", 1659),
        ("openai-patches:1.62:1536", 4000, 1474, "", 2489),
        ("openai-patches:1.2:2500:10000", 1600, 1600, "high", 3000),
        ("openai-patches:1.2:2500:10000", 3200, 3200, "original", 12000),
        # platform.claude.com/docs/en/build-with-claude/vision: 1000 x 1000 is 1296 patches of 28
        ("patches:28:1568:1568", 1000, 1000, "", 1296),
        ("patches:28:1568:1568", 6000, 4000, "", 1568),
        ("patches:28:4784:2576", 2000, 2000, "", 4784),
        ("patches:28:1568:1568", 3136, 200, "", 56 * 4),
        # ai.google.dev/gemini-api/docs/tokens: 258 up to 384 px; 960 x 540 is 6 crops of 360
        ("gemini-tiles:258", 384, 384, "", 258),
        ("gemini-tiles:258", 960, 540, "", 6 * 258),
        ("fixed:1120", 10, 10, "", 1120),
        # mistral_common 1.13: 14 px merged by 2, a break per row, long side 1540
        ("mistral:28:1540", 1540, 1540, "", 56 * 55),
        ("mistral:28:1540", 280, 140, "", 11 * 5),
        ("patches:32:16384:0:2", 640, 480, "", 20 * 15 + 2),
        ("grid:336:146:16", 672, 336, "", 3 * 146),
        ("none", 10, 10, "", 1600),
    ],
)
def test_documented_examples(formula, width, height, detail, expected):
    assert expected == image_formula(formula)(width, height, detail)


ALL = sorted({ModelCatalogue.shipped().get(n).image for n in ModelCatalogue.shipped().names()})


@pytest.mark.parametrize("formula", ALL)
def test_a_picture_of_unknown_size_costs_what_a_large_one_costs(formula):
    cost = image_formula(formula)
    assert cost(0, 0, "") >= max(cost(1920, 1080, ""), cost(1024, 1024, ""))


@pytest.mark.parametrize("formula", ALL)
@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000))
def test_every_picture_costs_something_bounded(formula, width, height):
    assert 0 < image_formula(formula)(width, height, "") < 100_000_000


@pytest.mark.parametrize(
    "name",
    [
        *("", "tiles", "openai-tiles", "openai-tiles:85", "fixed:many", "patches:0:10"),
        *("fixed:-1", "patches:nan:10", "grid:1:2:3:4"),
    ],
)
def test_a_formula_that_does_not_exist_is_refused_with_the_known_ones(name):
    with pytest.raises(InvalidArgument) as caught:
        image_formula(name)
    assert "openai-tiles:85:170" in caught.value.hint


def test_each_model_counts_pictures_its_own_way():
    picture = Image("image/png", width=1024, height=1024)
    counts = {
        name: counter_for(ModelCatalogue.shipped().get(name)).count(picture).tokens
        for name in ("gpt-4o", "gpt-4.1-mini", "claude-sonnet-4-5", "gemini-2.5-pro")
    }
    assert {
        "gpt-4o": 765,
        "gpt-4.1-mini": 1659,
        "claude-sonnet-4-5": 1369,
        "gemini-2.5-pro": 4 * 258,
    } == counts
