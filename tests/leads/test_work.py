"""Working one lead and the list over HTTP: tags, notes, timeline, views, changes of many leads."""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.messages import get_messages
from django.db import transaction
from django.db.utils import IntegrityError
from django.test import Client
from django.utils import timezone

from accounts import privacy
from accounts.models import Membership
from accounts.roles import Role
from leads.ingest import leads, messages
from leads.ingest.rows import Thread
from leads.models import (
    BulkJob,
    Campaign,
    Lead,
    LeadChange,
    LeadTag,
    Note,
    SavedView,
    Suppression,
    Tag,
)
from leads.search import Filters
from leads.work import notes, stride, tags, timeline
from leads.work import said as said_of
from saas.errors import Refused
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.leads.factories import JOINED, lead_row, lead_rows, make_campaign, message_row

Login = Callable[[Any], Client]
EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def web(client_for: Login, owner: Any) -> Client:
    return client_for(owner)


@pytest.fixture
def stocked(brand: Any) -> Any:
    """60 leads in Spring, the first three in Autumn too."""
    with scope(brand):
        spring, autumn = make_campaign(name="Spring"), make_campaign(name="Autumn")
        rows = list(lead_rows(60))
        leads.merge(brand_id=brand.pk, campaign_id=spring.pk, rows=rows)
        leads.merge(brand_id=brand.pk, campaign_id=autumn.pk, rows=rows[:3])
        from billing.models import BillingAccount

        assert BillingAccount.objects.get().leads_used == 60
    return brand


@pytest.fixture
def rival(stocked: Any) -> Any:
    """Another brand with a lead, a tag on it, a note, a team view and a finished change."""
    boss = make_user()
    other = make_brand(owner=boss)
    with scope(other):
        leads.merge(brand_id=other.pk, campaign_id=make_campaign().pk, rows=[lead_row(1)])
        lead = Lead.objects.get()
        tags.add(other.pk, lead.id, tags.named(other.pk, "theirs", actor=boss), actor=boss)
        Note.objects.create(lead_id=lead.id, author=boss, text="theirs")
        SavedView.objects.create(number=1, name="theirs", author=boss, team=True)
        BulkJob.objects.create(what="tag", request_key=uuid.uuid4(), state="running")
    return other


def url(brand: Any, path: str) -> str:
    return f"/b/{brand.slug}/{path}"


def said(answer: Any) -> list[str]:
    return [message.message for message in get_messages(answer.wsgi_request)][-1:]


def lead_id(brand: Any, number: int) -> int:
    with scope(brand):
        return int(Lead.objects.get(email=lead_row(number).email).id)


def member(client_for: Login, brand: Any, role: str = Role.MEMBER) -> Client:
    user = make_user(name=f"A {role}")
    with scope(brand):
        Membership.objects.create(user=user, role=role)
    client = client_for(user)
    client.user = user  # type: ignore[attr-defined]
    return client


def told(web: Client, brand: Any, number: int, **query: Any) -> list[str]:
    """The timeline of a lead as words."""
    answer = web.get(url(brand, f"leads/{lead_id(brand, number)}/"), query)
    return [re.sub(r"<[^>]+>", "", title) for title in TITLES.findall(answer.content.decode())]


TITLES = re.compile(r'<div class="timeline-head"><span>(.*?)</span>')


def emails(answer: Any) -> list[str]:
    return [row["lead"].email for row in answer.context["rows"]]


# --- the list: order, chips ----------------------------------------------------------------------


def test_an_order_stays_while_paging_and_filtering(web: Client, stocked: Any) -> None:
    first = web.get(url(stocked, "leads/?sort=email"))
    second = web.get(url(stocked, f"leads/{first.context['next_url']}"))
    assert emails(first) + emails(second) == [lead_row(n).email for n in range(60)]
    back = web.get(url(stocked, f"leads/{second.context['prev_url']}"))
    assert emails(back) == emails(first)
    added = web.get(url(stocked, "leads/?sort=added&status=STARTED"))
    assert emails(added) == [lead_row(n).email for n in range(57, -1, -3)]
    assert "sort=added" in added.content.decode()


@pytest.mark.parametrize(
    "query",
    ["sort=nonsense", "sort=added&after=x", "sort=email&before=%00", "sort=added&before=-1"],
)
def test_an_order_or_place_that_is_none_is_the_first_page(
    web: Client, stocked: Any, query: str
) -> None:
    assert len(web.get(url(stocked, f"leads/?{query}")).context["rows"]) == 50


def test_each_filter_is_a_chip_that_takes_it_off(web: Client, stocked: Any) -> None:
    answer = web.get(url(stocked, "leads/?status=STARTED&q=lead&since=2026-01-01&sort=email"))
    chips = answer.context["form"].chips()
    assert [(name, value) for name, value, _ in chips] == [
        ("Search", "lead"), ("Status", "Not mailed yet"), ("Active since", "1 Jan 2026"),
    ]  # fmt: skip
    assert chips[1][2] == "q=lead&since=2026-01-01&sort=email"
    assert 'href="?q=lead&amp;since=2026-01-01&amp;sort=email"' in answer.content.decode()
    assert "Filters that are on" not in web.get(url(stocked, "leads/")).content.decode()


# --- tags ----------------------------------------------------------------------------------------


def test_a_tag_is_added_shown_filtered_and_removed(web: Client, stocked: Any) -> None:
    five = lead_id(stocked, 5)
    for name in ("Hot lead", "  hot   LEAD "):
        assert web.post(url(stocked, f"leads/{five}/tags/"), {"name": name}).status_code == 302
    with scope(stocked):
        tag = Tag.objects.get()
        assert (tag.name, LeadTag.objects.count()) == ("Hot lead", 1)
    answer = web.get(url(stocked, f"leads/?tag={tag.pk}"))
    assert emails(answer) == [lead_row(5).email]
    assert f'href="?tag={tag.pk}">Hot lead</a>' in answer.content.decode()
    assert "Tag: Hot lead" in answer.content.decode()
    assert "Remove the tag Hot lead" in web.get(url(stocked, f"leads/{five}/")).content.decode()
    web.post(url(stocked, f"leads/{five}/tags/{tag.pk}/remove/"))
    assert emails(web.get(url(stocked, f"leads/?tag={tag.pk}"))) == []
    assert told(web, stocked, 5)[:2] == ["Tag removed: Hot lead", "Tag added: Hot lead"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "a\nb\x07", "\u202eevil"])
def test_what_is_no_tag_says_so(web: Client, stocked: Any, name: str) -> None:
    answer = web.post(url(stocked, f"leads/{lead_id(stocked, 5)}/tags/"), {"name": name})
    assert said(answer) == ["A tag is a name of up to 40 letters."]
    with scope(stocked):
        assert not Tag.objects.exists()


def test_hostile_names_are_text_everywhere(web: Client, stocked: Any) -> None:
    five = lead_id(stocked, 5)
    web.post(url(stocked, f"leads/{five}/tags/"), {"name": EVIL})
    web.post(url(stocked, f"leads/{five}/notes/"), {"text": f"{EVIL}\n\nsecond\x00 line"})
    web.post(url(stocked, "leads/views/"), {"name": EVIL, "filters": '{"replied": "1"}'})
    answer = begin(web, stocked, what="tag", which="all", tag=f"{EVIL}2", filters={"q": EVIL})
    pages = ["leads/", f"leads/{five}/", "leads/tags/", "leads/changes/", "leads/?replied=1"]
    for path in [url(stocked, page) for page in pages] + [answer.headers["Location"]]:
        page = web.get(path).content.decode()
        assert "<script>alert" not in page, path
        assert '"><script' not in page, path
    assert "&lt;script&gt;" in web.get(url(stocked, "leads/tags/")).content.decode()


def test_tags_are_renamed_and_deleted(web: Client, stocked: Any, monkeypatch: Any) -> None:
    five = lead_id(stocked, 5)
    for name in ("one", "two"):
        web.post(url(stocked, f"leads/{five}/tags/"), {"name": name})
    with scope(stocked):
        one, two = Tag.objects.order_by("name")
    taken = web.post(url(stocked, f"leads/tags/{one.pk}/rename/"), {"name": "TWO"})
    assert said(taken) == ["There is a tag “TWO” already."]
    web.post(url(stocked, f"leads/tags/{one.pk}/rename/"), {"name": "ONE"})
    monkeypatch.setattr(tags, "HELD", 0)
    assert "more than 0 leads" in said(web.post(url(stocked, f"leads/tags/{two.pk}/delete/")))[0]
    monkeypatch.undo()
    web.post(url(stocked, f"leads/tags/{two.pk}/delete/"))
    with scope(stocked):
        assert list(Tag.objects.values_list("name", flat=True)) == ["ONE"]
        assert LeadTag.objects.count() == 1
    assert told(web, stocked, 5)[0] == "Tag added: that was deleted since"


def test_there_are_only_so_many_tags(web: Client, stocked: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(Tag, "MOST", 1)
    five = lead_id(stocked, 5)
    web.post(url(stocked, f"leads/{five}/tags/"), {"name": "one"})
    answer = web.post(url(stocked, f"leads/{five}/tags/"), {"name": "two"})
    assert said(answer) == ["There are 1 tags already. Delete one first."]


# --- category, notes, timeline -------------------------------------------------------------------


def test_a_person_sets_a_category_and_a_sync_leaves_it(web: Client, stocked: Any) -> None:
    five = lead_id(stocked, 5)
    web.post(url(stocked, f"leads/{five}/category/"), {"category": "2"})
    assert told(web, stocked, 5)[0] == "Category: Meeting Request"
    assert "Chosen here" in web.get(url(stocked, f"leads/{five}/")).content.decode()
    with scope(stocked):
        spring = Campaign.objects.get(name="Spring").pk
        row = lead_row(5, category=4, joined_at=JOINED + timedelta(days=3))
        leads.merge(brand_id=stocked.pk, campaign_id=spring, rows=[row])
        assert Lead.objects.get(id=five).category == 2
    for wrong in ("99", "x", "-1", "9" * 30):
        answer = web.post(url(stocked, f"leads/{five}/category/"), {"category": wrong})
        assert said(answer) == ["Choose a category."]
    web.post(url(stocked, f"leads/{five}/category/"), {"category": ""})
    assert told(web, stocked, 5)[0] == "Category: No category"


def test_notes_are_their_author_s(web: Client, client_for: Login, stocked: Any) -> None:
    five = lead_id(stocked, 5)
    colleague = member(client_for, stocked)
    web.post(url(stocked, f"leads/{five}/notes/"), {"text": " Call on Monday \r\n"})
    with scope(stocked):
        note = Note.objects.get()
        assert (note.text, note.edited_at) == ("Call on Monday", None)
    path = url(stocked, f"leads/{five}/notes/{note.pk}/")
    theirs = colleague.get(url(stocked, f"leads/{five}/")).content.decode()
    assert "Call on Monday" in theirs
    assert path not in theirs
    for action in (path, f"{path}delete/"):
        answer = colleague.post(action, {"text": "mine"})
        assert said(answer) == ["Only its author can change a note."]
    web.post(path, {"text": "Call on Tuesday"})
    page = web.get(url(stocked, f"leads/{five}/")).content.decode()
    assert "Call on Tuesday" in page
    assert "Edited" in page
    web.post(f"{path}delete/")
    with scope(stocked):
        assert not Note.objects.exists()
    events = LogEntry.objects.filter(additional_data__event__startswith="note.").order_by("id")
    assert [row.additional_data["event"] for row in events] == [
        "note.added", "note.edited", "note.deleted",
    ]  # fmt: skip
    assert "Call on" not in "".join(f"{row.changes}{row.object_repr}" for row in events)


@pytest.mark.parametrize("text", ["", "  \r\n ", "x" * 5001, "\x00"])
def test_what_is_no_note_says_so(web: Client, stocked: Any, text: str) -> None:
    answer = web.post(url(stocked, f"leads/{lead_id(stocked, 5)}/notes/"), {"text": text})
    assert said(answer) == ["A note has between 1 and 5000 letters."]


def test_the_timeline_is_in_order_and_paged(
    web: Client, stocked: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lead_id(stocked, 1)
    with scope(stocked):
        spring = Campaign.objects.get(name="Spring")
        rows = (message_row(1), message_row(1, key="<other>", direction="reply", subject="Re"))
        messages.merge(
            brand_id=stocked.pk, campaign_id=spring.pk, threads=[Thread(one, rows)],
            fetched_at=JOINED,
        )  # fmt: skip
    web.post(url(stocked, f"leads/{one}/notes/"), {"text": "noted"})
    web.post(url(stocked, f"leads/{one}/tags/"), {"name": "hot"})
    whole = told(web, stocked, 1)
    assert whole[:2] == ["Tag added: hot", "Olive Owner"]
    assert sorted(whole[2:4]) == ["A question", "Re"]
    assert sorted(whole[4:]) == ["Joined Autumn", "Joined Spring"]
    for size in (1, 2, 3, 5):
        monkeypatch.setattr(timeline, "PAGE", size)
        found, place = [], ""
        while True:
            answer = web.get(url(stocked, f"leads/{one}/"), {"until_entry": place})
            found += TITLES.findall(answer.content.decode())
            place = answer.context["older"]
            if not place:
                break
        assert found == whole


@pytest.mark.parametrize(
    "place", ["x", "1-2", "1-9-3", "9" * 18 + "-1-1", "1-1-" + "9" * 19, "%00"]
)
def test_a_place_in_the_timeline_that_is_none_is_its_top(
    web: Client, stocked: Any, place: str
) -> None:
    assert told(web, stocked, 5, until_entry=place) == ["Joined Spring"]


def test_the_leads_beside_one_are_those_of_the_list(web: Client, stocked: Any) -> None:
    query = "?status=STARTED&sort=email"
    page = web.get(url(stocked, f"leads/{lead_id(stocked, 6)}/{query}"))
    assert page.context["previous"] == lead_id(stocked, 3)
    assert page.context["following"] == lead_id(stocked, 9)
    text = page.content.decode()
    assert f"/leads/{lead_id(stocked, 9)}/?status=STARTED&amp;sort=email" in text
    first = web.get(url(stocked, f"leads/{lead_id(stocked, 0)}/{query}"))
    assert (first.context["previous"], "data-next" in first.content.decode()) == (None, True)


# --- saved views ---------------------------------------------------------------------------------


def test_a_view_is_saved_shown_renamed_and_deleted(
    web: Client, client_for: Login, stocked: Any
) -> None:
    colleague = member(client_for, stocked)
    filters = json.dumps({"status": "STARTED"})
    for name, team in (("Mine", ""), ("Ours", "1")):
        answer = web.post(
            url(stocked, "leads/views/"),
            {"name": name, "filters": filters, "sort": "email", "team": team},
        )
        assert answer.headers["Location"] == url(stocked, "leads/?status=STARTED&sort=email")
    page = web.get(url(stocked, "leads/"))
    assert [(view.name, link) for view, link in page.context["views"]] == [
        ("Mine", "sort=email&status=STARTED"), ("Ours", "sort=email&status=STARTED"),
    ]  # fmt: skip
    theirs = colleague.get(url(stocked, "leads/")).context["views"]
    assert [view.name for view, _ in theirs] == ["Ours"]
    with scope(stocked):
        mine, ours = SavedView.objects.order_by("name")
    assert colleague.post(url(stocked, f"leads/views/{mine.pk}/delete/")).status_code == 404
    assert colleague.post(url(stocked, f"leads/views/{mine.pk}/rename/")).status_code == 404
    colleague.post(url(stocked, f"leads/views/{ours.pk}/rename/"), {"name": " Everybody's "})
    web.post(url(stocked, f"leads/views/{mine.pk}/delete/"))
    with scope(stocked):
        assert list(SavedView.objects.values_list("name", flat=True)) == ["Everybody's"]
    shown = web.get(url(stocked, "leads/?status=STARTED&sort=email"))
    assert shown.context["view"].name == "Everybody's"


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\x00b"])
def test_what_is_no_name_of_a_view_says_so(web: Client, stocked: Any, name: str) -> None:
    answer = web.post(url(stocked, "leads/views/"), {"name": name, "filters": "{}"})
    assert said(answer) == ["A view's name has between 1 and 60 letters."]


def test_a_brand_has_fifty_views(web: Client, stocked: Any, owner: Any) -> None:
    with scope(stocked):
        for number in range(1, 51):
            SavedView.objects.create(number=number, name=f"v{number}", author=owner)
        with pytest.raises(IntegrityError), transaction.atomic():
            SavedView.objects.create(number=51, name="one more", author=owner)
    answer = web.post(url(stocked, "leads/views/"), {"name": "one more", "filters": "{}"})
    assert said(answer) == ["There are 50 views. Delete one first."]
    with scope(stocked):
        SavedView.objects.filter(number=7).delete()
    web.post(url(stocked, "leads/views/"), {"name": "one more", "filters": "{}"})
    with scope(stocked):
        assert SavedView.objects.get(name="one more").number == 7


# --- changes of many leads -----------------------------------------------------------------------


def begin(web: Client, brand: Any, filters: Any = None, **fields: Any) -> Any:
    fields.setdefault("request_key", str(uuid.uuid4()))
    return web.post(
        url(brand, "leads/changes/begin/"), {"filters": json.dumps(filters or {}), **fields}
    )


def finish(brand: Any) -> BulkJob:
    with scope(brand):
        job: BulkJob = BulkJob.objects.latest("id")
        while job.live:
            stride.stride(brand.pk, job.pk)
            job.refresh_from_db()
        return job


def test_a_change_of_all_from_the_list_to_its_undo(web: Client, stocked: Any) -> None:
    answer = begin(web, stocked, {"status": "STARTED"}, what="category", which="all", category="3")
    page = answer.headers["Location"]
    live = web.get(page, headers={"HX-Request": "true"}).content.decode()
    assert "Counting the leads" in live
    assert 'hx-trigger="every 2s"' in live
    assert "<html" not in live
    assert "A change is under way" in web.get(url(stocked, "leads/")).content.decode()
    job = finish(stocked)
    assert (job.state, job.total, job.changed) == ("finished", 20, 20)
    done = web.get(page).content.decode()
    assert "20 leads got the category." in done
    assert "hx-trigger" not in done
    assert "Status: Not mailed yet" in done
    assert told(web, stocked, 3)[0] == "Category: Not Interested"
    web.post(f"{page}undo/")
    assert finish(stocked).state == "undone"
    assert "Taken back for 20 leads" in web.get(page).content.decode()
    assert told(web, stocked, 3) == ["Joined Spring"]


def test_a_change_of_the_ticked_ones(web: Client, stocked: Any) -> None:
    ticked = [lead_id(stocked, n) for n in (3, 4)]
    begin(web, stocked, {"status": "STARTED"}, what="tag", which="ticked", tag="Hot", lead=ticked)
    assert finish(stocked).changed == 2
    with scope(stocked):
        assert set(LeadTag.objects.values_list("lead_id", flat=True)) == set(ticked)
        tag = Tag.objects.get()
    begin(web, stocked, what="untag", which="all", tag="hot", filters={"tag": str(tag.pk)})
    assert finish(stocked).changed == 2


def test_deleted_leads_leave_the_list_and_its_count(web: Client, stocked: Any) -> None:
    begin(web, stocked, {"q": "lead000000"}, what="delete", which="all")
    job = finish(stocked)
    assert (job.changed, job.total) == (10, 10)
    assert web.get(url(stocked, "leads/")).context["count"] == "50 leads"
    with scope(stocked):
        assert (Lead.objects.count(), Suppression.objects.count()) == (50, 10)
    page = web.get(url(stocked, f"leads/changes/{job.pk}/")).content.decode()
    assert "10 leads deleted, with their messages." in page
    assert "Let them come back" in page


def test_a_change_under_way_says_how_far_how_fast_and_how_long(web: Client, stocked: Any) -> None:
    with scope(stocked):
        job = BulkJob.objects.create(
            what="tag", label="Hot", request_key=uuid.uuid4(), total=3000, seen=1000, changed=900
        )
        job.refresh_from_db()
        later = job.created_at + timedelta(seconds=40)
        assert said_of.pace(job, later) == "25 leads a second, about 1 min 20 s left"
    page = web.get(url(stocked, f"leads/changes/{job.pk}/")).content.decode()
    assert "Going through the leads." in page
    assert "left</p>" in page
    with scope(stocked):
        BulkJob.objects.update(state="finished", ended_at=timezone.now())
    page = web.get(url(stocked, f"leads/changes/{job.pk}/")).content.decode()
    assert "900 leads got the tag. The others had it already." in page


def test_cancelling_over_http(web: Client, stocked: Any) -> None:
    page = begin(web, stocked, what="tag", which="all", tag="x").headers["Location"]
    web.post(f"{page}cancel/")
    assert finish(stocked).state == "cancelled"
    assert said(web.post(f"{page}cancel/")) == ["This change is cancelled already."]
    assert said(web.post(f"{page}undo/")) == ["This can't be undone any more."]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"what": "delete"}, "Tick the leads that you mean, or choose all of them."),
        ({"what": "delete", "lead": ["x", "-1"]}, "Tick the leads that you mean"),
        ({"what": "", "which": "all"}, "Choose what to do"),
        ({"what": "category", "which": "all", "category": "x"}, "Choose a category."),
        ({"what": "delete", "which": "all", "filters": ""}, "We couldn't read your filters"),
        ({"what": "delete", "which": "all", "filters": "[]"}, "We couldn't read your filters"),
        ({"what": "delete", "which": "all", "filters": '{"status2": "x"}'}, "We couldn't read"),
        ({"what": "delete", "which": "all", "filters": '{"campaign": "x"}'}, "We couldn't read"),
        ({"what": "delete", "which": "all", "sort": "sideways"}, "We couldn't read your filters"),
    ],
)
def test_what_can_t_be_meant_changes_nothing(
    web: Client, stocked: Any, fields: dict[str, Any], words: str
) -> None:
    answer = web.post(url(stocked, "leads/changes/begin/"), {"filters": "{}", **fields})
    assert said(answer)[0].startswith(words)
    with scope(stocked):
        assert not BulkJob.objects.exists()


# --- who -----------------------------------------------------------------------------------------


def test_a_viewer_sees_all_of_it_and_changes_nothing(
    web: Client, client_for: Login, stocked: Any
) -> None:
    five = lead_id(stocked, 5)
    web.post(url(stocked, f"leads/{five}/tags/"), {"name": "hot"})
    web.post(url(stocked, f"leads/{five}/notes/"), {"text": "noted"})
    begin(web, stocked, what="tag", which="all", tag="x")
    job = finish(stocked)
    viewer = member(client_for, stocked, Role.VIEWER)
    pages = (
        "leads/",
        f"leads/{five}/",
        "leads/tags/",
        "leads/changes/",
        f"leads/changes/{job.pk}/",
    )
    for path in pages:
        page = viewer.get(url(stocked, path)).content.decode()
        forms = [f for f in re.findall(r'<form[^>]*method="post"[^>]*>', page) if "/leads/" in f]
        assert forms == [], path
        assert 'type="checkbox"' not in page
    assert "hot" in viewer.get(url(stocked, f"leads/{five}/")).content.decode()
    posts = [f"{five}/tags/", f"{five}/category/", f"{five}/notes/", "views/", "changes/begin/",
             f"changes/{job.pk}/undo/", f"changes/{job.pk}/cancel/"]  # fmt: skip
    for path in posts:
        assert viewer.post(url(stocked, f"leads/{path}"), {"name": "x"}).status_code == 403, path


def test_another_brand_s_keys_are_keys_of_nothing(web: Client, stocked: Any, rival: Any) -> None:
    with scope(rival):
        lead, tag, note = Lead.objects.get().id, Tag.objects.get().pk, Note.objects.get().pk
        view, job = SavedView.objects.get().pk, BulkJob.objects.get().pk
    ours = lead_id(stocked, 5)
    for path in (
        f"leads/{lead}/tags/", f"leads/{lead}/category/", f"leads/{lead}/notes/",
        f"leads/{ours}/tags/{tag}/remove/", f"leads/tags/{tag}/rename/",
        f"leads/tags/{tag}/delete/",
        f"leads/views/{view}/rename/", f"leads/views/{view}/delete/",
        f"leads/changes/{job}/cancel/", f"leads/changes/{job}/undo/",
        f"leads/{lead}/notes/{note}/", f"leads/{lead}/notes/{note}/delete/",
    ):  # fmt: skip
        assert web.post(url(stocked, path), {"name": "x", "text": "x"}).status_code == 404, path
    assert web.get(url(stocked, f"leads/changes/{job}/")).status_code == 404
    answer = web.post(url(stocked, f"leads/{ours}/notes/{note}/"), {"text": "x"})
    assert said(answer) == ["This note is not there any more."]
    assert web.get(url(stocked, f"leads/?tag={tag}")).context["filters"] == Filters()
    begin(web, stocked, what="delete", which="ticked", lead=[lead])
    assert finish(stocked).changed == 0
    begin(web, stocked, {"tag": str(tag)}, what="delete", which="all")
    assert finish(stocked).changed == 0
    with scope(rival):
        assert Lead.objects.count() == LeadTag.objects.count() == Note.objects.count() == 1
        assert SavedView.objects.get().name == "theirs"
        assert BulkJob.objects.get().state == "running"
    with scope(stocked):
        assert Lead.objects.count() == 60


# --- taking along, erasing -----------------------------------------------------------------------


def test_the_export_takes_the_work_along_and_the_erasure_leaves_none(
    web: Client, stocked: Any, owner: Any
) -> None:
    five = lead_id(stocked, 5)
    web.post(url(stocked, f"leads/{five}/tags/"), {"name": "hot"})
    web.post(url(stocked, f"leads/{five}/notes/"), {"text": "noted"})
    web.post(url(stocked, "leads/views/"), {"name": "mine", "filters": '{"replied": "1"}'})
    begin(web, stocked, what="delete", which="ticked", lead=[lead_id(stocked, 6)])
    finish(stocked)
    packed = zipfile.ZipFile(io.BytesIO(b"".join(privacy.export(stocked.pk))))

    def held(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in packed.read(f"{name}.jsonl").splitlines()]

    assert [row["name"] for row in held("tags")] == ["hot"]
    assert [row["lead_id"] for row in held("lead_tags")] == [five]
    assert [(row["text"], row["author__email"]) for row in held("notes")] == [
        ("noted", owner.email)
    ]
    assert [row["kind"] for row in held("lead_changes")] == ["tag"]
    assert [row["what"] for row in held("bulk_changes")] == ["delete"]
    assert [row["query"] for row in held("saved_views")] == [{"replied": "1"}]
    with scope(stocked):
        privacy.request_erasure(stocked, actor=owner)
    assert privacy.erase(stocked.pk)
    with scope(stocked):
        for model in (Tag, LeadTag, Note, LeadChange, BulkJob, SavedView, Suppression):
            assert model.objects.count() == 0, model


def test_a_note_on_a_lead_that_is_deleted_meanwhile_is_refused(stocked: Any, owner: Any) -> None:
    with scope(stocked):
        lead = Lead.objects.filter(brand_id=stocked.pk).order_by("id").first()
        Lead.objects.filter(brand_id=stocked.pk, id=lead.id).delete()
        with pytest.raises(Refused, match="missing"):
            notes.add(lead=lead, text="Too late", actor=owner)
        assert not Note.objects.exists()
