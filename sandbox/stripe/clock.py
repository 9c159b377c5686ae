"""Simulated time: real time plus an offset that only grows.

Advancing runs every appointment (a renewal, a retry, an expiry) at its own moment and in order, as
if that time had really passed. Without advancing, appointments run when real time reaches them.
"""

import time

from sandbox.stripe.context import Config, Tx
from sandbox.stripe.registry import TIMERS
from sandbox.stripe.store import Store


def now(store: Store) -> int:
    return int(time.time()) + int(store.meta("clock_offset", 0))


def advance(store: Store, config: Config, seconds: int) -> int:
    """Lets `seconds` pass; answers how many appointments ran. Each commits by itself."""
    target = now(store) + seconds
    ran = run_until(store, config, target)
    with store.transaction():
        store.set_meta("clock_offset", int(store.meta("clock_offset", 0)) + seconds)
    return ran


def hurry(store: Store, config: Config) -> None:
    """Goes where a test clock was told to go, if it was."""
    target = store.meta("clock_target")
    if target is not None:
        advance(store, config, max(int(target) - now(store), 0))
        store.run("DELETE FROM meta WHERE name = 'clock_target'")


def run_until(store: Store, config: Config, target: int) -> int:
    """Runs what is due up to `target`, oldest first, including what that puts on the clock."""
    ran = 0
    while _run_next(store, config, target):
        ran += 1
    return ran


def _run_next(store: Store, config: Config, target: int) -> bool:
    sql = "SELECT object, action, at FROM timers WHERE at <= ? ORDER BY at, rowid LIMIT 1"
    row = store.one(sql, target)
    if row is None:
        return False
    identifier, action, at = row
    with store.transaction():
        store.run("DELETE FROM timers WHERE object = ? AND action = ?", identifier, action)
        obj = store.find(identifier)
        if obj is not None:
            tx = Tx(store, config, at)
            TIMERS[action](tx, obj)
            store.save(obj)
    return True
