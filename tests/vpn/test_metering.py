"""Metering: whatever the order, the repetition and the loss of reports, each byte counts once."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from saas.tenancy import scope
from tests.factories import make_brand
from tests.vpn import words
from vpn import devices, metering
from vpn.models import DeviceUsage, UsageSample
from vpn.reports import Reading

EPOCHS = ("epoch-aa", "epoch-bb", "epoch-cc")


def reading(epoch: str, received: int, sent: int) -> Reading:
    return Reading("key", epoch, received, sent, None, True)


@st.composite
def lives(draw):
    """Growing counters in three epochs, as a node lived them, and the reports that arrived: any
    of them, any number of times, in any order, batched in any way."""
    readings = []
    for epoch in EPOCHS:
        received = sent = 0
        for _ in range(draw(st.integers(0, 5))):
            received += draw(st.integers(0, 2**40))
            sent += draw(st.integers(0, 2**40))
            readings.append(reading(epoch, received, sent))
    if not readings:
        return []
    return draw(st.lists(st.lists(st.sampled_from(readings), max_size=5), max_size=12))


@given(lives())
def test_usage_is_the_sum_of_the_highest_counters_of_every_epoch(reports):
    heights: dict[tuple[str, str], tuple[int, int]] = {}
    total = [0, 0]
    for report in reports:
        for step in metering.increments(heights, report):
            assert step.received >= 0
            assert step.sent >= 0
            heights[step.public_key, step.epoch] = step.height
            total = [total[0] + step.received, total[1] + step.sent]
    arrived = [r for report in reports for r in report]
    assert total == [
        sum(max((r.received for r in arrived if r.epoch == e), default=0) for e in EPOCHS),
        sum(max((r.sent for r in arrived if r.epoch == e), default=0) for e in EPOCHS),
    ]


def test_a_report_adds_what_grew_and_a_repeated_one_nothing(add_device, node):
    fresh = add_device()
    for sample, (received, sent) in enumerate([(100, 10), (100, 10), (150, 40), (120, 30)]):
        node.report(words.reading(fresh.pair.public, received, sent), sample=sample)
    assert words.usage_of(fresh.device) == (150, 40)


def test_the_same_report_twice_is_one_row_of_the_ledger(add_device, node, roomy):
    fresh = add_device()
    for _ in range(2):
        assert node.report(words.reading(fresh.pair.public, 5, 6)).json()["known"] == 1
    with scope(roomy):
        assert UsageSample.objects.get().sent == 6


def test_a_sample_number_that_is_used_again_still_counts(add_device, node):
    fresh = add_device()
    for received in (5, 9):
        node.report(words.reading(fresh.pair.public, received, 0), sample=3)
    assert words.usage_of(fresh.device) == (9, 0)


def test_a_restarted_counter_counts_from_zero_in_its_own_epoch(add_device, node):
    fresh = add_device()
    key = fresh.pair.public
    node.report(words.reading(key, 100, 100))
    node.report(words.reading(key, 30, 20, epoch="00000000-2"), sample=2)
    node.report(words.reading(key, 100, 100), sample=1)  # late, from before
    assert words.usage_of(fresh.device) == (130, 120)


def test_two_epochs_in_one_report_both_count(add_device, node):
    fresh = add_device()
    key = fresh.pair.public
    node.report(
        words.reading(key, 10, 1, present=False), words.reading(key, 5, 1, epoch="00000000-2")
    )
    assert words.usage_of(fresh.device) == (15, 2)


def test_the_last_counters_of_a_replaced_or_revoked_key_still_count(add_device, node, roomy, owner):
    fresh = add_device()
    place = {"device_id": fresh.device.pk, "brand_id": roomy.pk, "actor": owner}
    again = devices.replace_keys(**place, replaces=words.live_key(fresh.device))
    devices.revoke(**place)
    node.report(
        words.reading(fresh.pair.public, 7, 1, present=False),
        words.reading(again.pair.public, 8, 1, present=False, epoch="00000000-2"),
    )
    assert words.usage_of(fresh.device) == (15, 2)


def test_a_node_counts_for_its_own_devices_alone(add_device, node, make_node):
    fresh = add_device()
    other = make_node()
    answer = other.report(words.reading(fresh.pair.public, 10**9, 10**9))
    assert answer.json() == {"known": 0, "unknown": 1}
    assert words.usage_of(fresh.device) == (0, 0)


def test_usage_falls_on_its_brand_and_its_day(add_device, node, roomy, time_machine):
    other = make_brand()
    words.put_on_plan(other, "leads_growth")
    mine, theirs = add_device(), add_device(brand_id=other.pk)
    for day, received in ((1, 10), (2, 25)):
        time_machine.move_to(datetime(2027, 3, day, 23, 59, tzinfo=UTC), tick=False)
        node.report(
            words.reading(mine.pair.public, received, 0),
            words.reading(theirs.pair.public, 1000, 0),
            sample=day,
        )
    with scope(roomy):
        assert list(DeviceUsage.objects.order_by("day").values_list("day__day", "received")) == [
            (1, 10),
            (2, 15),
        ]
    assert words.usage_of(theirs.device) == (1000, 0)
