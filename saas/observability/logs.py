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
# A path whose last part opens an account or a door; a route's pattern names it and has none.
SLASH = "(?:/|%2F)"
KEYED_PATHS = re.compile(
    rf"(?i)({SLASH}(?:confirm-email|reset{SLASH}key|(?<!/team/)invitations"
    rf"|webhooks{SLASH}\w+){SLASH})(?![(<])[^/\s\"'?&<>]+"
)
STRIPE_KEYS = re.compile(r"\b((?:sk|rk|whsec)_(?:test_|live_)?)[A-Za-z0-9]{6,}")


def redact(text: str) -> str:
    """Replace what looks like a secret in `text`."""
    for secret in (SECRETS, KEYED_PATHS, STRIPE_KEYS):
        text = secret.sub(r"\1[redacted]", text)
    return text


def redact_all(value: Any) -> Any:
    """Return `value` with every string in it redacted; what is no JSON becomes its `repr`."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(repr(value))


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
    return {name: redact_all(value) for name, value in event.items()}


SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
    _add_context,
]
LOGGERS: dict[str, Any] = {
    # Django sets up its own handlers first; under DEBUG one writes plain text, with the traceback
    # of every refusal, beside our line.
    "django": {"level": "INFO", "handlers": []},
    # They log whole URLs at INFO, and a URL can be a secret.
    **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "urllib3", "stripe")},
}
STDERR = {"class": "logging.StreamHandler", "formatter": "harbor", "filters": ["refusals"]}


def configure(config: dict[str, Any]) -> None:
    """Set up structlog and the standard library's logging alike (settings.LOGGING)."""
    _configure_structlog()
    _configure_logging(json=config["json"], level=config["level"])


def _configure_structlog() -> None:
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


def _configure_logging(*, json: bool, level: str) -> None:
    final: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact_values,
        structlog.processors.JSONRenderer()
        if json
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
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": LOGGERS,
        }
    )
