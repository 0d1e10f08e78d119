"""``mgc models``: windows, tokenizers, abilities and prices of models."""

from typing import TYPE_CHECKING, Annotated

import typer

from massgen_core.cli._command import command
from massgen_core.cli._reply import Reply
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from decimal import Decimal

    from massgen_core.tokens import ModelInfo

app = typer.Typer(help="Windows, abilities and prices of models.", no_args_is_help=True)

_HEADERS = (
    *("model", "provider", "window", "max output", "tokenizer", "images", "tools", "reasoning"),
    *("$/M input", "$/M cached", "$/M output"),
)


@command(app, "list")
def list_models(
    cli: Cli,
    provider: Annotated[str | None, typer.Option(help="Only those of this provider.")] = None,
) -> Reply:
    """Every model of the catalogue, with the corrections of the settings."""
    models = cli.app().models
    found = [models.get(name) for name in models.names()]
    if provider is not None:
        found = _of(provider, found)
    return Reply(found, table_of(_HEADERS, map(_row, found)))


@command(app, "show")
def show(
    cli: Cli, model: Annotated[str, typer.Argument(help="Its name, also a dated one.")]
) -> Reply:
    """What is known of one model, and where that is from."""
    found = cli.app().models.get(model)
    facts = [
        (name.replace("_", " "), str(value))
        for name in found.__dataclass_fields__
        if _is_known(value := getattr(found, name))
    ]
    return Reply(found, table_of(("", ""), facts))


def _row(model: "ModelInfo") -> tuple[object, ...]:
    return (
        model.name,
        model.provider,
        model.window,
        model.max_output,
        model.tokenizer,
        "yes" if model.images else "no",
        "yes" if model.tools else "no",
        {True: "yes", False: "no", None: ""}[model.reasoning],
        *(_price(one) for one in (model.input_price, model.cached_price, model.output_price)),
    )


def _of(provider: str, models: "list[ModelInfo]") -> "list[ModelInfo]":
    """The provider's models.

    Raises:
        InvalidArgument: There is no such provider.
    """
    found = [one for one in models if one.provider == provider]
    if not found:
        known = ", ".join(sorted({one.provider for one in models if one.provider}))
        raise InvalidArgument(
            f"the catalogue has no provider {provider!r}", hint=f"It has: {known}."
        )
    return found


def _is_known(value: object) -> bool:
    """Whether a fact says something: whole numbers are limits, and 0 stands for none."""
    return value not in {None, ""} and not (type(value) is int and value == 0)


def _price(dollars: "Decimal | None") -> str:
    return "" if dollars is None else f"{dollars:f}"
