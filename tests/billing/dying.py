"""Makes an attempt at Stripe operations and dies by SIGKILL at a given point of it.

A process of its own: reads {"database": name, "operation": id, "point": name} lines, forks for
each, answers how the child ended. Forking saves the start of Django for each death.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

POINTS = ("before the claim", "before the send", "after the send", "before the commit", "after it")


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def before(target: Any, name: str) -> None:
    setattr(target, name, die)


def after(target: Any, name: str) -> None:
    real: Callable[..., Any] = getattr(target, name)

    def then_die(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        die()

    setattr(target, name, then_die)


def arm(point: str) -> None:
    """Put the death where `point` says."""
    from billing import gateway, operations
    from billing.models import StripeOperation

    if point == "before the claim":
        before(operations, "_claim")
    elif point == "before the send":
        before(gateway, "write")
    elif point == "after the send":
        after(gateway, "write")
    elif point == "after it":
        after(operations, "_finish")
    else:
        real = StripeOperation.save

        def save_then_die(self: StripeOperation, *args: Any, **kwargs: Any) -> None:
            real(self, *args, **kwargs)
            if self.state == StripeOperation.State.DONE:
                die()

        StripeOperation.save = save_then_die  # type: ignore[method-assign, assignment]


def attempt(database: str, operation: str, point: str) -> None:
    from django.db import connections

    from billing import operations
    from billing.models import StripeOperation
    from saas.tenancy import everyone

    connections.settings["default"]["NAME"] = database
    with everyone("a test that dies"):
        row = StripeOperation.objects.get(pk=operation)
    arm(point)
    operations.execute(row)


@contextmanager
def serving(module: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `module`, which forks for each case that `dies` sends it."""
    helper = subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield helper
    helper.kill()
    helper.communicate()


def dies(helper: subprocess.Popen[str], **case: Any) -> bool:
    """Do a case in a fork of the helper; tell whether SIGKILL ended it."""
    assert helper.stdin is not None
    assert helper.stdout is not None
    helper.stdin.write(json.dumps(case) + "\n")
    helper.stdin.flush()
    ended = next(line for line in helper.stdout if line.startswith("RESULT"))
    return ended.split()[1] == "-9"


def serve(work: Callable[..., None]) -> None:
    """Fork for each line of JSON, do `work` with it, and answer how the child ended."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "saas.settings"
    django.setup()
    for line in sys.stdin:
        case = json.loads(line)
        child = os.fork()
        if child == 0:
            work(**case)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"RESULT {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(attempt)
