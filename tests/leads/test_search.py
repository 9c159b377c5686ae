"""Finding leads: each filter exactly, each page by key, and never a lead of another brand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads import hits, search, statuses
from leads.ingest import leads, messages
from leads.ingest.rows import Thread
from leads.models import Campaign, CampaignLead, Lead, LeadTag, Tag
from leads.search import Filters, Key, Page, Sort
from saas.tenancy import scope
from tests.factories import make_brand
from tests.leads.factories import JOINED, lead_row, lead_rows, make_campaign, message_row

REUSED = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def stocked(scoped: Any) -> Any:
    """120 leads in Spring; the first 30 of them, with another status, in Autumn too."""
    spring, autumn = make_campaign(name="Spring"), make_campaign(name="Autumn")
    leads.merge(brand_id=scoped.pk, campaign_id=spring.pk, rows=list(lead_rows(120)))
    again = [lead_row(n, status="BLOCKED", category=None) for n in range(30)]
    leads.merge(brand_id=scoped.pk, campaign_id=autumn.pk, rows=again)
    Lead.objects.filter(email=lead_row(7).email).update(replied=True)
    return scoped


def add(brand: Any, **fields: Any) -> str:
    """A lead of the given words; its address."""
    number = 10_000 + Lead.objects.count()
    row = lead_row(number, **fields)
    campaign = Campaign.objects.first() or make_campaign()
    leads.merge(brand_id=brand.pk, campaign_id=campaign.pk, rows=[row])
    return row.email


def emails(brand: Any, **filters: Any) -> set[str]:
    page = search.page(brand.pk, Filters(**filters))
    found = {row.email for row in page.rows}
    if page.after is None:
        assert search.count(brand.pk, Filters(**filters)) == (len(found), True)
    return found


def numbered(*numbers: int) -> set[str]:
    return {lead_row(n).email for n in numbers}


def test_each_filter_alone(stocked: Any) -> None:
    def having(test: Callable[[Lead], bool]) -> set[str]:
        return {lead.email for lead in Lead.objects.all() if test(lead)}

    assert emails(stocked, status="STARTED") == having(lambda lead: lead.status == "STARTED")
    assert emails(stocked, category=6) == having(lambda lead: lead.category == 6) != set()
    assert emails(stocked, replied=True) == numbered(7)
    assert emails(stocked, status="NEVER") == emails(stocked, category=99) == set()


def test_days_are_whole_days(scoped: Any) -> None:
    edges = [JOINED - timedelta(microseconds=1), JOINED, JOINED + timedelta(days=1)]
    before, first, second = [add(scoped, joined_at=at) for at in edges]
    assert emails(scoped, since=date(2026, 1, 1)) == {first, second}
    assert emails(scoped, until=date(2026, 1, 1)) == {before, first}
    assert emails(scoped, since=date(2026, 1, 1), until=date(2026, 1, 1)) == {first}
    assert emails(scoped, since=date(2026, 1, 2), until=date(2026, 1, 1)) == set()
    assert emails(scoped, since=date.min, until=date.max) == {before, first, second}


def test_two_filters_narrow(stocked: Any) -> None:
    started = emails(stocked, status="STARTED", q="company 3")
    assert started == emails(stocked, status="STARTED") & emails(stocked, q="company 3") != set()
    assert emails(stocked, status="COMPLETED", replied=True) == set()


def test_a_campaign_shows_what_is_so_in_it(stocked: Any) -> None:
    autumn = Campaign.objects.get(name="Autumn").pk
    assert emails(stocked, campaign=autumn) == numbered(*range(30))
    assert emails(stocked, campaign=autumn, status="BLOCKED") == numbered(*range(30))
    assert emails(stocked, campaign=autumn, status="STARTED") == set()
    assert emails(stocked, campaign=autumn, q="first12") == numbered(12)
    row = search.page(stocked.pk, Filters(campaign=autumn)).rows[0]
    assert (row.status, row.category, row.name, row.company) == (
        "BLOCKED", None, "First29 Last29", "Company 29",
    )  # fmt: skip
    assert emails(stocked, campaign=autumn + 10_000) == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("lead0000012", {12}),
        ("LEAD0000012@Example", {12}),
        ("  lead0000012  ", {12}),
        ("0000012", set()),  # an address is found by its beginning
        ("first77", {77}),
        ("IRST77", {77}),
        ("77 last77", {77}),  # across the first and the last name
        ("pany 30", {30, 61, 92}),
        ("fi", set()),  # two letters: only beginnings of addresses
        ("le%", set()),
        ("le_", set()),
        ("%", set()),
        ("%%%", set()),
        ("___", set()),
        ("\\\\\\", set()),
        ("first7_", set()),
        ("' OR 1=1 --", set()),
    ],
)
def test_words(stocked: Any, words: str, found: set[int]) -> None:
    assert emails(stocked, q=words) == numbered(*found)


def test_one_letter_is_the_beginning_of_an_address(stocked: Any) -> None:
    anna = add(stocked, email="anna@example.test", first_name="Lara")
    assert emails(stocked, q="a") == emails(stocked, q="an") == {anna}


def test_signs_that_mean_something_to_like_are_letters(scoped: Any) -> None:
    percent, under, back = [
        add(scoped, company=name) for name in ("100% Wool", "snake_case", "C:\\Temp")
    ]
    add(scoped, company="100 Wool")
    add(scoped, company="snakeXcase")
    assert emails(scoped, q="100%") == {percent}
    assert emails(scoped, q="ke_ca") == {under}
    assert emails(scoped, q=":\\t") == {back}


def test_other_alphabets(scoped: Any) -> None:
    school = add(scoped, company="ÉCOLE Zürich")
    tokyo = add(scoped, company="東京株式会社")
    smile = add(scoped, first_name="Zoë 🙂🙂🙂")
    assert emails(scoped, q="école") == emails(scoped, q="ÉCOLE z") == {school}
    assert emails(scoped, q="京株式") == {tokyo}
    assert emails(scoped, q="zoë") == emails(scoped, q="🙂🙂🙂") == {smile}
    assert emails(scoped, q="\U0010ffff") == set()


def test_counting_stops(stocked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "COUNTED", 100)
    assert search.count(stocked.pk, Filters()) == (100, False)
    assert search.count(stocked.pk, Filters(status="STARTED")) == (30, True)


def test_a_search_by_words_is_capped_and_says_so(
    stocked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hits, "FOUND", 60)
    for words in ("company", "lead"):
        filters = Filters(q=words)
        assert len(search.page(stocked.pk, filters).rows) == search.PAGE
        number, exact = search.count(stocked.pk, filters)
        assert (60 <= number <= 120, exact) == (True, False)
    assert search.count(stocked.pk, Filters(q="first77")) == (1, True)


# --- pages ---------------------------------------------------------------------------------------


def walk(brand: Any, filters: Filters, sort: Sort = Sort.ACTIVITY) -> list[Page]:
    pages = [search.page(brand.pk, filters, sort=sort)]
    while (after := pages[-1].after) is not None:
        pages.append(search.page(brand.pk, filters, sort=sort, after=after))
    return pages


def back(brand: Any, filters: Filters, page: Page, sort: Sort = Sort.ACTIVITY) -> list[Page]:
    pages = [page]
    while (before := pages[-1].before) is not None:
        pages.append(search.page(brand.pk, filters, sort=sort, before=before))
    return pages[::-1]


ORDERS = {
    Sort.ACTIVITY: ("-last_activity_at", "-id"),
    Sort.ADDED: ("-id",),
    Sort.EMAIL: ("email",),
}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"campaign": "Autumn"}, 30),
        ({"until": date(2020, 1, 1)}, 1),
        ({"tag": "Rare"}, 2),
        ({"status": "NEVER"}, 0),
    ],
)
def test_other_filters_see_beyond_the_cap_of_words(
    stocked: Any, monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any], count: int
) -> None:
    """Five hits of 121: what the other filters let through may be among the rest."""
    add(stocked, company="Company old", joined_at=datetime(2019, 5, 1, tzinfo=UTC))
    tag = Tag.objects.create(name="Rare")
    for lead in Lead.objects.order_by("id")[:2]:
        LeadTag.objects.create(
            tag_id=tag.pk,
            lead_id=lead.id,
            added_at=lead.created_at,
            last_activity_at=lead.last_activity_at,
        )
    named = {"Autumn": Campaign.objects.get(name="Autumn").pk, "Rare": tag.pk}
    filters = {name: named.get(value, value) for name, value in filters.items()}
    monkeypatch.setattr(hits, "FOUND", 5)
    assert len(emails(stocked, q="company", **filters)) == count


def test_words_without_a_trigram_are_found_in_old_leads_too(
    stocked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hits, "WALKED", 50)
    old = add(stocked, company="H&M", joined_at=datetime(2019, 5, 1, tzinfo=UTC))
    monkeypatch.setattr(hits, "PARTS", "SELECT id FROM leads_find(%s, %s) LIMIT 0")  # none is new
    assert hits.hits(stocked.pk, "h&m") == hits.Hits([], all=False)
    assert emails(stocked, q="H&M") == {old}


@REUSED
@given(
    moments=st.lists(st.integers(0, 3), max_size=14),
    size=st.integers(1, 5),
    filters=st.sampled_from([Filters(), Filters(status="STARTED"), Filters(q="lead")]),
    in_campaign=st.booleans(),
    tagged=st.booleans(),
    sort=st.sampled_from(Sort),
)
def test_walking_forward_and_back_meets_each_lead_once(
    scoped: Any,
    moments: list[int],
    size: int,
    filters: Filters,
    in_campaign: bool,
    tagged: bool,
    sort: Sort,
) -> None:
    """Many leads of the same moment, pages of any size, from any lead to the one beside it."""
    Lead.objects.all().delete()
    campaign = Campaign.objects.first() or make_campaign()
    rows = [
        lead_row(n * 7 % 31, joined_at=JOINED + timedelta(seconds=at))
        for n, at in enumerate(moments)
    ]
    leads.merge(brand_id=scoped.pk, campaign_id=campaign.pk, rows=rows)
    chosen = Filters(campaign=campaign.pk, status=filters.status) if in_campaign else filters
    there = Lead.objects.filter(status=chosen.status) if chosen.status else Lead.objects.all()
    if tagged:
        tag = Tag.objects.get_or_create(name="every second")[0]
        there = there.filter(id__in=[lead.id for lead in Lead.objects.order_by("email")[::2]])
        for lead in Lead.objects.order_by("email")[::2]:
            at = lead.last_activity_at
            LeadTag.objects.create(tag=tag, lead_id=lead.id, added_at=JOINED, last_activity_at=at)
        chosen = replace(chosen, tag=tag.pk)
    ordered = list(there.order_by(*ORDERS[sort]))
    expected = [lead.email for lead in ordered]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "PAGE", size)
        forward = walk(scoped, chosen, sort)
        backward = back(scoped, chosen, forward[-1], sort)
    assert [row.email for page in forward for row in page.rows] == expected
    assert [page.rows for page in backward] == [page.rows for page in forward]
    assert forward[0].before is None
    assert all(len(page.rows) == size for page in forward[:-1])
    ids = [None, *(lead.id for lead in ordered), None]
    beside = [search.beside(scoped.pk, chosen, sort, lead) for lead in ordered]
    assert beside == list(zip(ids, ids[2:], strict=False))


def test_beside_a_lead_that_the_filter_hides_are_its_neighbours(stocked: Any) -> None:
    hidden = Lead.objects.get(email=lead_row(60).email)
    nearest = [Lead.objects.get(email=lead_row(n).email).id for n in (63, 57)]
    status = Lead.objects.get(email=lead_row(63).email).status
    assert hidden.status == status
    shown = Filters(status=status)
    hidden.status = "OTHER"
    hidden.save(update_fields=["status"])
    assert search.beside(stocked.pk, shown, Sort.ACTIVITY, hidden) == tuple(nearest)
    autumn = Campaign.objects.get(name="Autumn").pk
    elsewhere = search.beside(stocked.pk, Filters(campaign=autumn), Sort.ACTIVITY, hidden)
    assert elsewhere == (None, None)


def test_who_unsubscribed_and_who_is_tagged(stocked: Any) -> None:
    Lead.objects.filter(email__in=numbered(3, 40)).update(unsubscribed=True)
    tag = Tag.objects.create(name="Hot")
    for lead in Lead.objects.filter(email__in=numbered(3, 5, 70)):
        at = lead.last_activity_at
        LeadTag.objects.create(tag=tag, lead_id=lead.id, added_at=JOINED, last_activity_at=at)
    autumn = Campaign.objects.get(name="Autumn").pk
    assert emails(stocked, unsubscribed=True) == numbered(3, 40)
    assert emails(stocked, tag=tag.pk) == numbered(3, 5, 70)
    assert emails(stocked, tag=tag.pk, unsubscribed=True) == numbered(3)
    assert emails(stocked, tag=tag.pk, campaign=autumn) == numbered(3, 5)
    assert emails(stocked, unsubscribed=True, campaign=autumn) == numbered(3)
    assert emails(stocked, tag=tag.pk + 1) == set()
    by_email = search.page(stocked.pk, Filters(campaign=autumn, tag=tag.pk), sort=Sort.EMAIL).rows
    assert [(row.email, row.status) for row in by_email] == [
        (lead_row(3).email, "BLOCKED"), (lead_row(5).email, "BLOCKED"),
    ]  # fmt: skip


def test_a_tag_keeps_the_order_of_activity_whoever_moves_it(stocked: Any) -> None:
    tag, campaign = Tag.objects.create(name="Hot"), Campaign.objects.get(name="Spring")
    for lead in Lead.objects.filter(email__in=numbered(3, 5, 70)):
        at = lead.last_activity_at
        LeadTag.objects.create(tag=tag, lead_id=lead.id, added_at=JOINED, last_activity_at=at)
    tagged = Filters(tag=tag.pk)

    def shown() -> list[str]:
        return [row.email for page in walk(stocked, tagged) for row in page.rows]

    assert shown() == [lead_row(n).email for n in (70, 5, 3)]
    joined = JOINED + timedelta(days=2)
    leads.merge(brand_id=stocked.pk, campaign_id=campaign.pk, rows=[lead_row(3, joined_at=joined)])
    assert shown() == [lead_row(n).email for n in (3, 70, 5)]
    five = Lead.objects.get(email=lead_row(5).email)
    thread = Thread(five.id, (message_row(9),))
    messages.merge(
        brand_id=stocked.pk, campaign_id=campaign.pk, threads=[thread], fetched_at=JOINED
    )
    assert shown() == [lead_row(n).email for n in (5, 3, 70)]
    assert emails(stocked, tag=tag.pk, since=date(2026, 1, 3)) == numbered(5, 3)
    assert emails(stocked, tag=tag.pk, status=five.status) == numbered(5)


@pytest.mark.parametrize(
    ("sort", "text", "key"),
    [
        (Sort.ADDED, "12", 12), (Sort.ADDED, "-1", None), (Sort.ADDED, "9" * 19, None),
        (Sort.ADDED, "1-2", None), (Sort.ADDED, "", None), (Sort.EMAIL, "a@b.c", "a@b.c"),
        (Sort.EMAIL, "", None), (Sort.EMAIL, "a\0b", None), (Sort.ACTIVITY, "12", None),
    ],
)  # fmt: skip
def test_keys_of_each_order(sort: Sort, text: str, key: Any) -> None:
    assert search.parse_key(sort, text) == key


@given(
    st.builds(
        Filters,
        q=st.text(),
        campaign=st.none() | st.integers(1),
        status=st.text(),
        category=st.none() | st.integers(1),
        replied=st.booleans(),
        since=st.none() | st.dates(),
        until=st.none() | st.dates(),
        unsubscribed=st.booleans(),
        tag=st.none() | st.integers(1),
    )
)
def test_filters_come_back_from_their_parameters(filters: Filters) -> None:
    assert Filters.of(json.loads(json.dumps(filters.params()))) == filters


@pytest.mark.parametrize("params", [{"campaign": "x"}, {"since": "soon"}, {"sort": "email"}])
def test_what_are_no_filters_is_not_taken_for_none(params: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Filters.of(params)


@pytest.mark.parametrize("year", [1, 1969, 1970, 2026, 9999])
def test_a_key_comes_back_exact(year: int) -> None:
    key = Key(datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 2**53 + 1)
    assert Key.parse(str(key)) == key


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 10**18 - 1))
def test_any_key_comes_back_exact(at: datetime, number: int) -> None:
    assert Key.parse(str(Key(at, number))) == Key(at, number)


@given(st.text(alphabet="0123456789-x ٣²", max_size=45) | st.text())
def test_no_text_breaks_the_reading_of_keys(text: str) -> None:
    key = Key.parse(text)
    assert key is None or isinstance(key.at, datetime)


@pytest.mark.parametrize(
    "text", ["", "-", "1", "1-", "-1", "a-b", "1-2-3", "--1-2", "1-2 ", "٣-٣", "9" * 18 + "-1",
             "1-" + "9" * 19, "1.5-2"]
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    assert Key.parse(text) is None


def test_filters_stand_in_links_and_nothing_else_does() -> None:
    assert Filters().query() == ""
    full = Filters("a b&c", 3, "STARTED", 4, True, date(2026, 1, 2), date(2026, 2, 3))
    assert full.query() == (
        "q=a+b%26c&campaign=3&status=STARTED&category=4&replied=1&since=2026-01-02&until=2026-02-03"
    )


# --- brands --------------------------------------------------------------------------------------


def test_another_brand_s_leads_are_never_found(brand: Any) -> None:
    stocked, other = brand, make_brand()
    for each, count in ((stocked, 9), (other, 3)):
        with scope(each):
            spring = make_campaign()
            leads.merge(brand_id=each.pk, campaign_id=spring.pk, rows=list(lead_rows(count)))
    with scope(other):
        assert emails(other) == numbered(0, 1, 2)
        assert emails(other, q="first1") == numbered(1)
        assert statuses.counted(other.pk) == {"STARTED": 1, "INPROGRESS": 1, "COMPLETED": 1}
        # even when a query names the wrong brand
        assert emails(stocked) == emails(stocked, q="lead") == set()
        assert statuses.counted(stocked.pk) == {}
        assert statuses.known(stocked.pk) == []


def test_the_search_by_parts_looks_into_the_scope_s_brand_alone(brand: Any) -> None:
    other = make_brand()
    ids = {}
    for each in (brand, other):
        with scope(each):
            campaign = make_campaign()
            leads.merge(brand_id=each.pk, campaign_id=campaign.pk, rows=[lead_row(1)])
            ids[each.pk] = Lead.objects.get().id
    for each in (brand, other):
        with scope(each):
            assert parts("first1") == [ids[each.pk]]
    assert parts("first1") == []  # and without a scope there is nothing


def parts(needle: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(hits.PARTS, [needle, 10])
        return [row[0] for row in cursor.fetchall()]


def test_statuses_are_those_that_leads_have(stocked: Any) -> None:
    add(stocked, status="")
    expected = sorted(set(Lead.objects.values_list("status", flat=True)) - {""})
    assert statuses.known(stocked.pk) == expected
    counts = statuses.counted(stocked.pk)
    assert sum(counts.values()) == 121
    assert all(counts[status] == Lead.objects.filter(status=status).count() for status in counts)
    assert CampaignLead.objects.count() == 151
