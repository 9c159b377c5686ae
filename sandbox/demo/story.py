"""Who is in the demo, and what happened to them so far."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.conf import settings

from accounts import brands as brand_service
from accounts.models import Brand, Membership, User
from accounts.roles import Role
from saas.errors import Bug
from saas.tenancy import scope
from sandbox.demo import devices, inbound, leads, money, work

PASSWORD = "harbor-demo-2026"
STAFF = "staff@harbor.example"


@dataclass(frozen=True)
class Login:
    email: str
    about: str


def tell(*, brands: int, leads: int) -> str:
    """Make the demo and return the logins as text. Refuses to run outside DEBUG."""
    if not settings.DEBUG:
        raise Bug("the demo belongs to DEBUG")
    staff = _person(STAFF, "Sam Staff", is_staff=True, is_superuser=True)
    logins = [Login(staff.email, "staff: the console at /admin/")]
    for number in range(brands):
        chapter = CHAPTERS[number] if number < len(CHAPTERS) else _another
        logins.append(chapter(number, leads))
    width = max(len(login.email) for login in logins)
    lines = [f"  {login.email:<{width}}  {login.about}" for login in logins]
    return "\n".join(["Demo logins, password " + PASSWORD, *lines]) + "\n"


def _on_trial(_: int, __: int) -> Login:
    """A trial whose first backfill is under way."""
    owner = _person("tess@fjord.example", "Tess Lindqvist")
    brand = brand_service.create(name="Fjord Outreach", owner=owner)
    leads.connect_and_start(brand, owner, key="sl_fjord_840_4")
    return Login(owner.email, "Fjord Outreach: on trial, a backfill under way")


def _active(_: int, count: int) -> Login:
    """A subscriber with a team, many leads and devices in use."""
    owner = _person("ada@northwind.example", "Ada Keller")
    brand = brand_service.create(name="Northwind Outbound", owner=owner)
    money.subscribe(brand, plan="leads_growth", card="pm_card_visa")
    for email, name, role in (
        ("ben@northwind.example", "Ben Osei", Role.MEMBER),
        ("vera@northwind.example", "Vera Novak", Role.VIEWER),
    ):
        with scope(brand):
            Membership.objects.create(user=_person(email, name), role=role)
    leads.fill(brand, owner, key=f"sl_northwind_{max(count, 6)}_6", count=count)
    inbound.import_file(brand, owner)
    inbound.hear(brand)
    work.do(brand, owner)
    devices.make(brand, owner)
    return Login(owner.email, f"Northwind Outbound: active, {count:,} leads (also ben@, vera@)")


def _past_due(_: int, __: int) -> Login:
    """A subscriber whose last payment failed."""
    owner = _person("kim@kestrel.example", "Kim Tanaka")
    brand = brand_service.create(name="Kestrel Labs", owner=owner)
    money.fall_behind(brand, plan="leads_starter")
    leads.fill(brand, owner, key="sl_kestrel_400_3", count=400)
    return Login(owner.email, "Kestrel Labs: the last payment failed")


def _another(number: int, _: int) -> Login:
    """One of many, for trying out how Harbor behaves with more tenants."""
    owner = _person(f"owner{number}@brand{number}.example", f"Owner {number}")
    brand: Brand = brand_service.create(name=f"Brand {number}", owner=owner)
    leads.fill(brand, owner, key=f"sl_brand{number}_200_2", count=200)
    return Login(owner.email, f"{brand.name}: on trial, 200 leads")


CHAPTERS = (_on_trial, _active, _past_due)


def _person(email: str, name: str, **fields: bool) -> User:
    user = User.objects.create_user(email, PASSWORD, name=name, **fields)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user
