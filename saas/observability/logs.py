"""Logs: one JSON object a line, with request, brand, user and task ids, secrets redacted."""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

from saas import context

# A secret in a URL or a header that some library logs: SmartLead's api_key stands in its URL.
SECRETS = re.compile(
    r"(?i)((?:api_key|secret_key|apikey|token|password|authorization|signature)"
    r"[\"']?\s*[=:]\s*[\"']?(?:bearer\s+|basic\s+)?)[^\s&\"',}]+"
)
# A webhook's address proves its sender, and Django logs the path of what it refuses.
ADDRESSES = re.compile(r"(/webhooks/\w+/)[^/\s?\"']+")
STRIPE_KEYS = re.compile(r"\b((?:sk|rk|whsec)_(?:test_|live_)?)[A-Za-z0-9]{6,}")


def redact(text: str) -> str:
    """Replace what looks like a secret in `text`."""
    for pattern in (SECRETS, ADDRESSES, STRIPE_KEYS):
        text = pattern.sub(r"\1[redacted]", text)
    return text


class NoTraceOfRefusals(logging.Filter):
    """Takes the traceback off what Django logs about an answer below 500: nothing went wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
        return True


def _add_context(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in context.bound().items():
        event.setdefault(name, value)
    return event


def _redact_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redact(value)
    return event


SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
    _add_context,
]
STDERR = {"class": "logging.StreamHandler", "formatter": "harbor", "filters": ["refusals"]}


def configure(config: dict[str, Any]) -> None:
    """Set up structlog and the standard library's logging alike (settings.LOGGING)."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    final: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact_values,
        structlog.processors.JSONRenderer()
        if config["json"]
        else structlog.dev.ConsoleRenderer(colors=False),
    ]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "harbor": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": SHARED,
                    "processors": final,
                }
            },
            "filters": {"refusals": {"()": NoTraceOfRefusals}},
            "handlers": {"stderr": STDERR},
            "root": {"handlers": ["stderr"], "level": config["level"]},
            # They log whole URLs at INFO, and a URL can be a secret.
            "loggers": {
                name: {"level": "WARNING"} for name in ("httpx", "httpcore", "urllib3", "stripe")
            },
        }
    )
