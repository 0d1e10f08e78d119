"""``mgc models``: windows, tokenizers, abilities and prices of models."""

from typing import TYPE_CHECKING, Annotated

import typer

from massgen_core.cli._command import command
from massgen_core.cli._reply import Reply
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of

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
    found = [one for one in found if provider in {None, one.provider}]
    return Reply(found, table_of(_HEADERS, map(_row, found)))


@command(app, "show")
def show(
    cli: Cli, model: Annotated[str, typer.Argument(help="Its name, also a dated one.")]
) -> Reply:
    """What is known of one model, and where that is from."""
    found = cli.app().models.get(model)
    facts = [
        (name.replace("_", " "), _fact(getattr(found, name))) for name in found.__dataclass_fields__
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
        "yes" if model.reasoning else "no",
        *(_price(one) for one in (model.input_price, model.cached_price, model.output_price)),
    )


def _fact(value: object) -> str:
    return "unknown" if value is None else str(value)


def _price(dollars: "Decimal | None") -> str:
    return "" if dollars is None else f"{dollars:f}"
