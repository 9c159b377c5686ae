"""The word to stop survives the death of whoever reads it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

from saas.celery import Flag

FORK = multiprocessing.get_context("fork")


def read_for_ever(flag: Flag) -> None:
    while True:
        flag.is_set()


def test_readers_that_are_killed_leave_the_flag_readable() -> None:
    flag, dice = Flag(), random.Random(7)
    for _ in range(30):
        reader = FORK.Process(target=read_for_ever, args=(flag,), daemon=True)
        reader.start()
        time.sleep(dice.uniform(0.005, 0.02))
        os.kill(reader.pid or 0, signal.SIGKILL)
        reader.join()
    last = FORK.Process(target=flag.set, daemon=True)
    last.start()
    last.join(5)
    assert last.exitcode == 0  # an Event's lock, held by the dead, would keep it waiting
    assert flag.is_set()
