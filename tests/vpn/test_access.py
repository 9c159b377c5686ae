"""The VPN follows billing: who is cut off, who comes back, and that a sweep repairs a lost word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from auditlog.models import LogEntry
from django.utils import timezone

from accounts.models import Membership
from accounts.roles import Role
from saas.tenancy import scope
from tests.factories import make_user
from tests.vpn import words
from vpn import access
from vpn.access import Change, plan
from vpn.models import Device
from vpn.tasks import sweep


@pytest.mark.parametrize(
    ("live", "allowed", "change"),
    [
        ([], 0, Change([], [])),
        ([(1, False), (2, False)], 2, Change([], [])),
        ([(1, False), (2, False), (3, False)], 1, Change([2, 3], [])),
        ([(1, True), (2, True)], 5, Change([], [1, 2])),
        ([(1, True), (2, False)], 1, Change([2], [1])),
        ([(1, True)], 0, Change([], [])),
    ],
)
def test_the_oldest_devices_keep_running(live, allowed, change):
    assert plan(live, allowed) == change


def events(action):
    return LogEntry.objects.filter(additional_data__event=action).count()


def test_a_downgrade_suspends_and_a_payment_restores(add_device, node, roomy):
    add_device("a"), add_device("b")
    words.put_on_plan(roomy, "leads_growth", standing="downgraded")
    assert access.converge(roomy.pk) == 2
    assert access.converge(roomy.pk) == 0
    assert node.peers() == []
    words.put_on_plan(roomy, "leads_growth")
    assert access.converge(roomy.pk) == 2
    assert len(node.peers()) == 2
    assert (events("device.suspended"), events("device.resumed")) == (2, 2)


def test_a_smaller_plan_keeps_the_oldest(add_device, node, roomy):
    made = [add_device(name) for name in "abc"]
    words.put_on_plan(roomy, "leads_starter")  # room for 2
    access.converge(roomy.pk)
    assert [p["public_key"] for p in node.peers()] == [f.pair.public for f in made[:2]]


def test_grace_keeps_the_vpn_until_it_ends(add_device, node, roomy):
    add_device()
    now = timezone.now()
    words.put_on_plan(
        roomy, "leads_growth", standing="past_due", grace_until=now + timedelta(days=1)
    )
    assert access.converge(roomy.pk, now) == 0
    assert access.converge(roomy.pk, now + timedelta(days=2)) == 1
    assert node.peers() == []


def test_the_sweep_repairs_what_no_message_told(add_device, node, roomy, time_machine):
    add_device()
    ends = timezone.now() + timedelta(days=1)
    words.put_on_plan(roomy, "leads_growth", standing="past_due", grace_until=ends)
    sweep()
    assert len(node.peers()) == 1
    time_machine.move_to(ends + timedelta(seconds=1))
    sweep()
    assert node.peers() == []


def test_who_leaves_the_team_loses_the_devices(add_device, node, roomy):
    colleague = make_user()
    with scope(roomy):
        place = Membership.objects.create(user=colleague, brand=roomy, role=Role.MEMBER)
    gone, kept = add_device("gone", owner=colleague), add_device("kept")
    with scope(roomy):
        place.delete()
    sweep()
    assert [p["public_key"] for p in node.peers()] == [kept.pair.public]
    with scope(roomy):
        assert Device.objects.get(pk=gone.device.pk).revoked_at is not None


def test_a_change_of_standing_wakes_convergence(
    roomy, monkeypatch, django_capture_on_commit_callbacks
):
    from billing import entitlements
    from saas.celery import app

    sent = []
    monkeypatch.setattr(app, "signature", lambda task, args: sent.append((task, args)) or _Unsent())
    with django_capture_on_commit_callbacks(execute=True):
        entitlements.changed(roomy.pk)
    assert ("vpn.converge", (roomy.pk,)) in sent


class _Unsent:
    def apply_async(self, **_: object) -> None: ...
