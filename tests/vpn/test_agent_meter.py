"""The agent's memory of counters: never a byte twice, and none lost while nothing breaks."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vpn import metering
from vpn.agent.driver import Wanted
from vpn.agent.memory import MemoryDriver
from vpn.agent.meter import Meter
from vpn.reports import Reading

KEYS = ("a", "b")


class World:
    """A node whose devices move known numbers of bytes, and Harbor's books on them."""

    def __init__(self) -> None:
        self.driver = MemoryDriver()
        self.meter = Meter()
        self.disk = json.dumps(self.meter.to_json())
        self.moved = dict.fromkeys(KEYS, 0)
        self.counted = dict.fromkeys(KEYS, 0)
        self.heights: dict[tuple[str, str], tuple[int, int]] = {}
        self.sent: list[list[dict[str, Any]]] = []

    def save(self) -> None:
        self.disk = json.dumps(self.meter.to_json())

    def see(self) -> None:
        self.meter.see(self.driver.life(), self.driver.read())

    def traffic(self, key: str, amount: int) -> None:
        if key in self.driver.peers:
            self.driver.move(key, received=amount, sent=0, at=1)
            self.moved[key] += amount

    def add(self, key: str) -> None:
        self.see()
        if key not in self.driver.peers:
            self.meter.begin([key])
            self.save()
            self.driver.put([Wanted(key, "", ())])

    def remove(self, key: str) -> None:
        self.see()
        self.driver.remove([key])
        self.see()
        self.save()

    def report(self, arrives: bool) -> None:
        self.see()
        self.save()
        ended = len(self.meter.ended)
        self.sent.append(self.meter.readings())
        if arrives:
            self.deliver(-1)
            self.meter.reported(ended)
            self.save()

    def deliver(self, which: int) -> None:
        if self.sent:
            readings = [
                Reading(r["public_key"], r["epoch"], r["received"], r["sent"], None, r["present"])
                for r in self.sent[which % len(self.sent)]
            ]
            for step in metering.increments(self.heights, readings):
                self.heights[step.public_key, step.epoch] = step.height
                self.counted[step.public_key] += step.received

    def agent_dies(self) -> None:
        self.meter = Meter.from_json(json.loads(self.disk))

    def machine_restarts(self) -> None:
        self.driver.restart()
        self.agent_dies()

    def state_is_lost(self) -> None:
        self.meter = Meter()
        self.save()


key = st.sampled_from(KEYS)
calm = st.one_of(
    st.tuples(st.just("traffic"), key, st.integers(1, 1000)),
    st.tuples(st.just("add"), key),
    st.tuples(st.just("remove"), key),
    st.tuples(st.just("report"), st.booleans()),
    st.tuples(st.just("deliver"), st.integers(0, 20)),
    st.tuples(st.just("agent_dies")),
)
rough = st.one_of(calm, st.tuples(st.just("machine_restarts")), st.tuples(st.just("state_is_lost")))


def live(actions: list[tuple[Any, ...]]) -> World:
    world = World()
    for name, *arguments in actions:
        getattr(world, name)(*arguments)
    world.report(arrives=True)
    return world


@settings(max_examples=400)
@given(st.lists(rough, max_size=40))
def test_no_byte_is_counted_twice_whatever_happens(actions):
    world = live(actions)
    for name in KEYS:
        assert world.counted[name] <= world.moved[name]


@settings(max_examples=400)
@given(st.lists(calm, max_size=40))
def test_no_byte_is_lost_to_lost_reports_repeated_reports_and_a_dying_agent(actions):
    world = live(actions)
    assert world.counted == world.moved


def test_a_counter_that_stands_lower_than_before_begins_an_epoch():
    world = World()
    world.add("a")
    world.traffic("a", 100)
    world.report(arrives=True)
    world.driver.remove(["a"])  # behind the agent's back
    world.driver.put([Wanted("a", "", ())])
    world.traffic("a", 30)
    world.report(arrives=True)
    assert world.counted["a"] == 130
