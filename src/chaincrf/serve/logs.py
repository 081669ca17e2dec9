"""Structured logs: a JSON object a line, on standard error, and never a text that somebody sent."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any

__all__ = ["JsonLines", "log", "start_logging"]

_logger = logging.getLogger("chaincrf.serve")


class JsonLines(logging.Formatter):
    """Writes a record and its ``fields`` as one line of JSON.

    Of an exception it keeps the type and the places in the code, not the message: that may quote a text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage().partition("\n")[0],  # what asyncio writes below may quote a text
        }
        content |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            content["exception"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            content["where"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(content, ensure_ascii=True, default=str)


def log(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Write an event with its fields."""
    _logger.log(level, event, exc_info=error, extra={"fields": fields})


def start_logging() -> None:
    """Send our events, uvicorn's, and everybody's warnings, to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.getLogger().handlers = [handler]
    for name in ("chaincrf.serve", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True  # we write our own, with more in it
