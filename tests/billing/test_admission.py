"""The decision of admission, as properties over every state an account can be in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError
from hypothesis import given
from hypothesis import strategies as st

from billing import entitlements
from billing.admission import Admission, Terms, decide
from billing.models import BillingAccount
from saas.errors import Bug
from saas.tenancy import scope

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
TERMS = st.builds(
    Terms,
    plan=st.sampled_from(["trial", "leads_starter"]),
    standing=st.sampled_from(["trialing", "active", "past_due", "downgraded", "canceled"]),
    trial_ends_at=MOMENTS,
    grace_until=st.none() | MOMENTS,
    quota=st.integers(0, 10**8),
    used=st.integers(0, 10**8),
)
WANTED = st.integers(-5, 10**8)


@given(TERMS, WANTED, MOMENTS)
def test_never_more_than_wanted_or_left(terms: Terms, wanted: int, now: datetime) -> None:
    granted = decide(terms, wanted, now).granted
    assert 0 <= granted <= max(wanted, 0)
    assert terms.used + granted <= max(terms.quota, terms.used)


@given(TERMS, WANTED, MOMENTS)
def test_a_refusal_stands_exactly_where_something_was_refused(
    terms: Terms, wanted: int, now: datetime
) -> None:
    admission = decide(terms, wanted, now)
    assert (admission.refusal is None) == (admission.granted == max(wanted, 0))


@given(TERMS, st.integers(1, 10**8), MOMENTS)
def test_nothing_after_the_trial_or_the_grace(terms: Terms, wanted: int, now: datetime) -> None:
    admission = decide(terms, wanted, now)
    if terms.standing == "trialing" and now >= terms.trial_ends_at:
        assert admission == Admission(0, "trial_expired")
    if terms.standing in ("downgraded", "canceled"):
        assert admission.granted == 0
        assert admission.refusal == ("trial_expired" if terms.plan == "trial" else "suspended")
    if terms.standing == "past_due" and (terms.grace_until is None or now >= terms.grace_until):
        assert admission.granted == 0


@given(TERMS, st.lists(st.integers(0, 10**7), max_size=6), MOMENTS)
def test_splitting_a_wish_changes_nothing(terms: Terms, parts: list[int], now: datetime) -> None:
    whole = decide(terms, sum(parts), now).granted
    used = terms.used
    for part in parts:
        left = Terms(**{**terms.__dict__, "used": used})
        used += decide(left, part, now).granted
    assert used - terms.used == whole


def test_refusal_codes_and_the_counter(scoped: object) -> None:
    account = BillingAccount.objects.get()
    before = account.trial_ends_at - timedelta(microseconds=1)
    admit = entitlements.admit_leads
    assert admit(account.brand_id, 999, before) == Admission(999, None)
    assert admit(account.brand_id, 5, before) == Admission(1, "quota_exceeded")
    assert admit(account.brand_id, 5, before) == Admission(0, "quota_exceeded")
    assert admit(account.brand_id, 0, account.trial_ends_at) == Admission(0, None)
    assert admit(account.brand_id, 1, account.trial_ends_at) == Admission(0, "trial_expired")
    account.refresh_from_db()
    assert account.leads_used == 1_000


def test_admission_outside_of_the_insert_s_transaction_is_a_bug() -> None:
    with pytest.raises(Bug):
        entitlements.admit_leads(1, 1)


def test_the_database_itself_refuses_a_count_beyond_the_quota(brand: object) -> None:
    def raise_count() -> None:
        with scope(brand.pk):  # type: ignore[attr-defined]
            BillingAccount.objects.update(leads_used=1_001)

    with pytest.raises(DatabaseError, match="may not bring in more leads"):
        raise_count()
