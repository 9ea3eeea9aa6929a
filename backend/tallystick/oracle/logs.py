"""Structured logs: one JSON object a line on standard error, with call ids and without requests, results or secrets."""

from __future__ import annotations

import json
import logging
import sys
import time

FIELDS = ("call_id", "charge", "code", "listing", "request_id")
"""The only extra fields that are written; anything else that a record carries stays out."""


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, message, the known fields, and for an exception its type and place, not its text."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            entry["exception"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                entry["at"] = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        return json.dumps(entry, ensure_ascii=True)


def configure_logs() -> None:
    """Everything at INFO and above, as JSON; the HTTP server's access log stays off."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "urllib3", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
