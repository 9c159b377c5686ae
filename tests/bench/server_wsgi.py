"""The web application without its start-up refusals: a bench has no https and no live key."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
