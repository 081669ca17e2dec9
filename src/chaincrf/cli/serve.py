"""``chaincrf serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..serve import ServeConfig
from .options import configured

__all__ = ["serve"]


@configured(ServeConfig)
def serve(
    config: ServeConfig,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="model folders, each FOLDER or NAME=FOLDER; the first is the default"
        ),
    ],
) -> None:
    """Serve models over HTTP, with a page that shows what the CRF does.

    Open the address in a browser to see the page; programs post to /v1/tag, and /openapi.json tells how. A
    new version of a model, saved over the old one, is swapped in while requests go on. SIGTERM finishes what
    was accepted.

    For example:

    `chaincrf serve model`

    `chaincrf serve disease=model pos=pos-model --port 8080 --workers 2 --token-file tokens.txt`
    """
    from .._lazy import require

    for module in ("fastapi", "uvicorn", "prometheus_client"):
        require(module, "serve")
    from ..serve.models import named_folders
    from ..serve.server import serve as run
    from .console import note

    folders = named_folders(models)
    if config.port:
        host = "localhost" if config.host in ("0.0.0.0", "127.0.0.1") else config.host
        note(f"the page: http://{host}:{config.port}/ (once it says 'listening'); Ctrl-C ends")
    run(config, folders)
