"""The WSGI application, served by granian. Refuses to start with what is dangerous."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
application = get_wsgi_application()

from saas import checks  # noqa: E402 - it needs the settings that the line above loads

checks.refuse()
