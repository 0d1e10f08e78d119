"""What can be done with a model, where it may be that nobody chose one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.errors import UnknownModel

if TYPE_CHECKING:
    from massgen_core.backends._protocol import Backend, Caps


async def caps_of(backend: Backend, model: str) -> Caps:
    """What the backend says of the model; it is asked for its own name where none was chosen.

    Raises:
        UnknownModel: It does not serve it, or none was chosen and it has no model of its own.
        SettingsError: With its settings it cannot start.
    """
    try:
        return await backend.caps(model)
    except UnknownModel as exc:
        if model != backend.name:
            raise
        raise UnknownModel(
            f"no model is chosen for the backend {model!r}",
            model=model,
            hint="Set backend.model, for example with `-c backend.model=NAME`; "
            "`mgc backend check` takes `--model NAME`, and a fallback has a `model` of its own.",
        ) from exc
