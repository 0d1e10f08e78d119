"""Settings of the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Settings(BaseModel):
    """Where the index is: in a folder, or on a server if `host` is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path | None = Field(
        default=None,
        description="Folder of the index; the folder `chroma` beside the memory if omitted.",
    )
    host: str | None = Field(
        default=None, description="Host of a Chroma server; the folder is not used then."
    )
    port: int = Field(default=8000, gt=0, lt=65536, description="Port of the server.")
    ssl: bool = Field(default=False, description="Whether the server is asked over TLS.")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="HTTP headers of every request to the server, e.g. `Authorization`.",
    )
    tenant: str = Field(default="default_tenant", description="Tenant on the server.")
    database: str = Field(default="default_database", description="Database on the server.")
    timeout: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that one answer of the server may take.",
    )
    collection: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]$")] = (
        Field(default="massgen-memory", description="Name of the collection.")
    )
