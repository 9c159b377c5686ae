"""The servers that `make run` and the tests carry with them: PostgreSQL, Valkey, a supervisor.

For a developer's machine, a demo and CI; production brings its own servers through DATABASE_URL
and REDIS_URL. Nothing here reads Django's settings, so it can start the servers that the settings
are then told about. Everything that stops a start raises `Misconfigured` with a sentence that says
what to do.
"""
