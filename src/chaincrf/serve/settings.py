"""The settings of the server: every field is an option of ``chaincrf serve`` and a key of its TOML file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ServeConfig"]


class ServeConfig(BaseModel):
    """What the server listens to, how it computes, and what it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="the address to listen on; 0.0.0.0 is all of them")
    port: int = Field(default=8000, ge=0, le=65535, description="the port; 0 takes a free one")
    workers: int = Field(
        default=1, ge=1, le=64, description="processes, each with the models in its own memory"
    )
    threads: int = Field(default=1, ge=1, le=1024, description="CPU threads of each process")
    token_file: Path | None = Field(
        default=None, description="a file of bearer tokens, one a line; one of them is then asked for"
    )
    watch_seconds: float = Field(
        default=2.0,
        ge=0,
        le=86400,
        description="look this often for a new version of a model, and swap it in; 0: never",
    )
    batch_texts: int = Field(default=64, ge=1, le=4096, description="texts computed together, at most")
    batch_wait_ms: float = Field(
        default=2.0, ge=0, le=100, description="how long an idle server waits for more requests to batch"
    )
    queue_texts: int = Field(
        default=1024, ge=1, le=1_000_000, description="texts that may wait; past it requests get a 503"
    )
    max_body: int = Field(default=2**21, ge=1, le=2**30, description="bytes of a request, at most")
    max_texts: int = Field(default=256, ge=1, le=100_000, description="texts in a request, at most")
    max_chars: int = Field(default=100_000, ge=1, le=100_000_000, description="characters of a text, at most")
    max_k_best: int = Field(default=20, ge=1, le=1000, description="best paths that may be asked for")
    max_cells: int = Field(
        default=50_000,
        ge=1,
        le=10**8,
        description="tokens times tags of a sentence that is explained, at most",
    )
    max_connections: int = Field(default=1000, ge=1, le=1_000_000, description="open connections, at most")
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="for a request to arrive, and again for it to be answered"
    )
    drain_seconds: float = Field(
        default=0.5,
        ge=0,
        le=600,
        description="after SIGTERM, answer new requests this long while saying 'not ready'; then finish",
    )
