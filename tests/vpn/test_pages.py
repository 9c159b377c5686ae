"""The VPN's pages over HTTP, as each kind of person meets them."""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership
from accounts.roles import Role
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.vpn import words
from vpn.models import Device


@pytest.fixture
def url(roomy):
    return lambda path="": f"/b/{roomy.slug}/vpn/{path}"


@pytest.fixture
def mine(client_for, owner):
    return client_for(owner)


@pytest.fixture
def colleague(roomy, client_for):
    def join(role):
        user = make_user()
        with scope(roomy):
            Membership.objects.create(user=user, brand=roomy, role=role)
        return user, client_for(user)

    return join


def form(node, name="Laptop", **fields):
    return {"name": name, "server": node.server.pk, "request_key": str(uuid.uuid4())} | fields


def the_device(brand):
    with scope(brand):
        return Device.objects.get()


def text_of(response):
    return response.content.decode()


def test_a_new_brand_is_told_what_to_do(mine, url, node):
    page = text_of(mine.get(url()))
    assert "No devices yet" in page
    assert url("new/") in page


@pytest.mark.parametrize(("role", "told"), [(Role.VIEWER, False), (Role.MEMBER, True)])
def test_the_overview_speaks_of_room_to_those_who_may_use_it(colleague, roomy, role, told):
    page = text_of(colleague(role)[1].get(f"/b/{roomy.slug}/"))
    assert "No devices yet." in page
    assert ("Your plan has room for 5" in page) is told


def test_creating_a_device_shows_its_configuration_once(mine, url, node, roomy, caplog):
    response = mine.post(url("new/"), form(node))
    page = text_of(response)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store, private"
    private = re.search(r"PrivateKey = (\S{44})", page.replace("&#x3D;", "="))[1]
    assert 'download="laptop.conf"' in page
    assert '<svg class="qr' in page
    assert "style=" not in page
    device = the_device(roomy)
    for again in (url(), url(f"{device.pk}/"), url(f"{device.pk}/status/")):
        assert private not in text_of(mine.get(again))
    assert private not in caplog.text


def test_sending_the_form_again_says_that_it_was_shown(mine, url, node, roomy):
    data = form(node)
    mine.post(url("new/"), data)
    again = mine.post(url("new/"), data, follow=True)
    assert again.redirect_chain == [(url(f"{the_device(roomy).pk}/"), 302)]
    assert "shown then" in text_of(again)
    assert "PrivateKey" not in text_of(again)


def replacing(client, page):
    """Fill in the form behind “Replace the keys” as the device's page offers it."""
    return {"replaces": re.search(r'name="replaces" value="(\d+)"', text_of(client.get(page)))[1]}


def test_replaced_keys_are_shown_once_too(mine, url, node, roomy):
    mine.post(url("new/"), form(node))
    page = url(f"{the_device(roomy).pk}/")
    response = mine.post(f"{page}keys/", replacing(mine, page))
    assert response["Cache-Control"] == "no-store, private"
    assert "PrivateKey" in text_of(response)


def test_replacing_again_kills_no_configuration_that_was_just_shown(mine, url, node, roomy):
    mine.post(url("new/"), form(node))
    page = url(f"{the_device(roomy).pk}/")
    data = replacing(mine, page)
    mine.post(f"{page}keys/", data)
    shown = node.peers()
    for repeat in (data, {}, {"replaces": "x\x00"}, {"replaces": "9" * 18}):
        again = mine.post(f"{page}keys/", repeat, follow=True)
        assert again.redirect_chain == [(page, 302)]
        assert "replaced already" in text_of(again)
        assert "PrivateKey" not in text_of(again)
    assert node.peers() == shown
    assert "PrivateKey" in text_of(mine.post(f"{page}keys/", replacing(mine, page)))


def test_a_wrong_form_says_what_is_wrong_and_keeps_what_was_typed(mine, url, node, roomy):
    response = mine.post(url("new/"), form(node, name="a\nPostUp = reboot"))
    assert response.status_code == 422
    assert "Use letters, digits, spaces" in text_of(response)
    for bad in ({"server": "x"}, {"server": "99999"}, {"request_key": "1"}, {"name": ""}):
        assert mine.post(url("new/"), form(node, **bad)).status_code == 422
    with scope(roomy):
        assert not Device.objects.exists()


def test_a_name_with_markup_is_text_everywhere(mine, url, node, roomy):
    mine.post(url("new/"), form(node, name="Ada's (new) one"))
    page = text_of(mine.get(url()))
    assert "Ada&#x27;s (new) one" in page


def test_revoking_cuts_off_and_stays_in_the_list_of_the_revoked(mine, url, node, roomy):
    mine.post(url("new/"), form(node))
    device = the_device(roomy)
    assert len(node.peers()) == 1
    response = mine.post(url(f"{device.pk}/revoke/"), follow=True)
    assert "Laptop is revoked" in text_of(response)
    assert node.peers() == []
    assert "Laptop" in text_of(mine.get(url("?status=revoked")))
    assert mine.get(url(f"{device.pk}/revoke/")).status_code == 405
    assert mine.post(url(f"{device.pk}/keys/"), follow=True).status_code == 200


def test_the_limit_is_told_with_the_way_out(mine, url, node, roomy):
    words.put_on_plan(roomy, "trial", standing="trialing")
    mine.post(url("new/"), form(node))
    page = text_of(mine.get(url()))
    assert "The one device of Free trial is in use." in page
    assert f"/b/{roomy.slug}/billing/" in page
    response = mine.post(url("new/"), form(node, name="Second"))
    assert response.status_code == 422
    with scope(roomy):
        assert Device.objects.count() == 1


def test_who_can_revoke_nothing_is_not_told_to(mine, url, node, roomy, client_for):
    words.put_on_plan(roomy, "trial", standing="trialing")
    mine.post(url("new/"), form(node))
    assert "Revoke one to make room." in text_of(mine.get(url()))
    for role, told in (("member", True), ("viewer", False)):
        user = make_user()
        with scope(roomy):
            Membership.objects.create(user=user, role=role)
        page = text_of(client_for(user).get(url()))
        assert "The one device of Free trial is in use." in page
        assert ("Revoke one of yours to make room." in page) == told
        assert "Revoke one to make room." not in page
        assert f"Ask an owner of {roomy.name} to choose a larger plan." in page


def test_a_brand_without_the_vpn_reads_why(mine, url, node, roomy):
    words.put_on_plan(roomy, "leads_growth", standing="downgraded")
    assert "The VPN is paused." in text_of(mine.get(url()))


def test_without_a_server_the_page_says_so(mine, url):
    assert "No location is ready" in text_of(mine.get(url("new/")))


def test_members_see_their_own_devices_and_managers_all(mine, url, node, roomy, colleague):
    mine.post(url("new/"), form(node, name="Olives own"))
    olives = the_device(roomy)
    _, theirs = colleague(Role.MEMBER)
    theirs.post(url("new/"), form(node, name="Members own"))
    listed = text_of(theirs.get(url()))
    assert "Members own" in listed
    assert "Olives own" not in listed
    for path in ("", "status/"):
        assert theirs.get(url(f"{olives.pk}/{path}")).status_code == 404
    for path in ("keys/", "revoke/"):
        assert theirs.post(url(f"{olives.pk}/{path}")).status_code == 404
    everyones = text_of(mine.get(url()))
    assert "Members own" in everyones
    assert "Olives own" in everyones


def test_a_viewer_looks_and_changes_nothing(url, node, colleague):
    _, viewer = colleague(Role.VIEWER)
    assert "Add a device" not in text_of(viewer.get(url()))
    assert viewer.get(url("new/")).status_code == 403
    assert viewer.post(url("new/"), form(node)).status_code == 403


def test_another_brands_device_does_not_exist(mine, url, node, roomy, client_for):
    mine.post(url("new/"), form(node))
    device = the_device(roomy)
    stranger = make_user()
    other = make_brand(owner=stranger)
    client = client_for(stranger)
    for path in ("", "status/"):
        assert client.get(f"/b/{other.slug}/vpn/{device.pk}/{path}").status_code == 404
        assert client.get(url(f"{device.pk}/{path}")).status_code == 404
    for path in ("keys/", "revoke/"):
        assert client.post(f"/b/{other.slug}/vpn/{device.pk}/{path}").status_code == 404
    assert the_device(roomy).is_live


def test_search_and_filters_narrow_the_list(mine, url, node):
    for name in ("Laptop", "Phone"):
        mine.post(url("new/"), form(node, name=name))
    page = text_of(mine.get(url("?q=pho")))
    assert "Phone" in page
    assert "Laptop</a>" not in page
    assert "Nothing found" in text_of(mine.get(url("?q=%25")))
    assert "Nothing found" in text_of(mine.get(url("?status=suspended")))
    assert mine.get(url("?status=x&before=y&after=999999999999999999999")).status_code == 200


def test_the_list_pages_by_key(mine, url, node, roomy, owner, monkeypatch):
    from vpn import selectors

    monkeypatch.setattr(selectors, "PAGE", 2)
    for name in "abcde":
        mine.post(url("new/"), form(node, name=f"device {name}"))

    def names(path):
        return re.findall(r"device ([a-e])</a>", text_of(mine.get(url(path))))

    with scope(roomy):
        ids = dict(Device.objects.values_list("name", "pk"))
    assert names("") == ["e", "d"]
    assert names(f"?after={ids['device d']}") == ["c", "b"]
    assert names(f"?after={ids['device b']}") == ["a"]
    assert names(f"?before={ids['device c']}") == ["e", "d"]


def test_usage_reaches_the_pages(mine, url, node, roomy):
    mine.post(url("new/"), form(node))
    key = node.peers()[0]["public_key"]
    node.report(words.reading(key, 1_500_000, 38_000_000))
    for path in ("", f"{the_device(roomy).pk}/"):
        page = text_of(mine.get(url(path))).replace("\u202f", " ")
        assert "38.0 MB" in page
        assert "1.5 MB" in page
    overview = text_of(mine.get(f"/b/{roomy.slug}/")).replace("\u202f", " ")
    assert "39.5 MB" in overview


def test_the_live_part_is_a_fragment(mine, url, node):
    mine.post(url("new/"), form(node))
    fragment = text_of(mine.get(url(), headers={"HX-Request": "true"}))
    assert fragment.lstrip().startswith('<div class="table-wrap">')


def test_the_number_of_queries_does_not_grow_with_the_devices(mine, url, node):
    counts = []
    for name in "abc":
        mine.post(url("new/"), form(node, name=name))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            mine.get(url())
        counts.append(len(queries))
    assert counts[1] == counts[2]
