"""Which pages there are, who opens each, and what to press before the picture is taken.

A page that only exists once there is something in a list is reached as people do: `follow` is
the first link in the list before it.
"""

from __future__ import annotations

from dataclasses import dataclass

ROW_OR_CARD = "main a[data-row], main .card-head a"
ROW = "a[data-row]"
CHANGE = ("[data-dialog-open='actions']",)
DELETE = "[data-dialog-open='delete-leads']"


@dataclass(frozen=True)
class Shot:
    """`path` may name {brand}. `who` is a role of `camera.Logins`; "" is a stranger.

    `fill` types into fields, then `press` is pressed one after the other; `lands` is a pattern of
    the address where that leads, `answer` the status it has. What that changes, it changes in the
    demo.

    A hero is also kept as hero-NAME: one window, sharp, for the landing page and the README.
    """

    name: str
    path: str
    who: str = ""
    follow: str = ""
    fill: tuple[tuple[str, str], ...] = ()
    press: tuple[str, ...] = ()
    lands: str = ""
    answer: int = 200
    status: int = 200
    dark: bool = False
    hero: bool = False


SMALLER = "?plan=leads_starter&interval=month"
LARGER = "?plan=leads_scale&interval=year"


def shots() -> list[Shot]:
    """All of them, in the order of a visit."""
    return [*_public(), *_doors(), *_brand(), *_states(), *_account(), *_staff(), *_workshop()]


def _public() -> list[Shot]:
    return [
        Shot("landing", "/", dark=True),
        Shot("pricing", "/pricing/", dark=True),
        Shot("pricing-eur", "/pricing/?currency=eur"),
    ]


def _doors() -> list[Shot]:
    stranger = (("[name=login]", "nobody@example.test"), ("[name=password]", "not the password"))
    weak = (
        ("[name=email]", "ada@example.test"),
        ("[name=password1]", "short"),
        ("[name=brand_name]", "Ada"),
    )
    submit = ("main form .button.primary",)
    return [
        Shot("login", "/accounts/login/", dark=True),
        Shot("login-empty", "/accounts/login/", press=submit),
        Shot("login-wrong", "/accounts/login/", fill=stranger, press=submit),
        Shot("signup", "/accounts/signup/", dark=True),
        Shot("signup-wrong", "/accounts/signup/", fill=weak, press=submit),
        Shot("verification-sent", "/accounts/confirm-email/"),
        Shot("confirm-stale", "/accounts/confirm-email/stale:key/"),
        Shot("reset", "/accounts/password/reset/"),
        Shot("reset-done", "/accounts/password/reset/done/"),
        Shot("reset-stale", "/accounts/password/reset/key/1-stale-key/"),
    ]


def _brand() -> list[Shot]:
    here = "/b/{brand}"
    return [
        Shot("overview", f"{here}/", "active", dark=True),
        Shot("overview-menu", f"{here}/", "active", press=(".menu.up > summary, .topbar button",)),
        Shot("leads", f"{here}/leads/", "active", dark=True, hero=True),
        Shot("leads-filters", f"{here}/leads/", "active", press=("details summary",)),
        Shot("leads-none-found", f"{here}/leads/?q=zzzzzzzz", "active"),
        Shot("leads-chips", f"{here}/leads/?replied=1&status=INPROGRESS&sort=email", "active"),
        Shot("leads-change", f"{here}/leads/?replied=1", "active", press=CHANGE),
        Shot("leads-delete", f"{here}/leads/?replied=1", "active", press=(*CHANGE, DELETE)),
        Shot("leads-save-view", f"{here}/leads/?status=BLOCKED", "active",
             press=(_opens("save-view"),)),
        Shot("leads-changes", f"{here}/leads/changes/", "active", dark=True),
        Shot("leads-changed", f"{here}/leads/changes/", "active", follow=ROW),
        Shot("leads-tags", f"{here}/leads/tags/", "active"),
        Shot("lead-replied", f"{here}/leads/?replied=1", "active", follow=ROW, dark=True),
        Shot("lead", f"{here}/leads/", "active", follow=ROW, dark=True, hero=True),
        Shot("backfills", f"{here}/backfills/", "active", dark=True),
        Shot("imports", f"{here}/leads/import/", "active"),
        Shot("import", f"{here}/leads/import/", "active", follow=ROW, dark=True),
        Shot("backfill", f"{here}/backfills/", "active", follow=ROW_OR_CARD),
        Shot("connection", f"{here}/connection/", "active", dark=True),
        Shot("connection-rotate", f"{here}/connection/", "active", press=(_opens("rotate"),)),
        Shot("connection-by-hand", f"{here}/connection/", "active", press=("main summary",)),
        Shot("connection-leave", f"{here}/connection/", "active", press=(_opens("disconnect"),)),
        Shot("billing", f"{here}/billing/", "active", dark=True),
        Shot("change", f"{here}/billing/change/", "active", dark=True),
        Shot("change-less", f"{here}/billing/change/preview/{SMALLER}", "active", dark=True),
        Shot("change-more", f"{here}/billing/change/preview/{LARGER}", "active"),
        Shot("billing-cancel", f"{here}/billing/", "active", press=(_opens("cancel"),)),
        Shot("vpn", f"{here}/vpn/", "active", dark=True),
        Shot("vpn-none-found", f"{here}/vpn/?q=zzzzzzzz", "active"),
        Shot("device", f"{here}/vpn/", "active", follow=ROW, dark=True),
        Shot("device-new", f"{here}/vpn/new/", "active"),
        Shot("device-keys", f"{here}/vpn/", "active", ROW, press=(_opens("keys"),)),
        Shot("team", f"{here}/team/", "active", dark=True),
        Shot("team-invite", f"{here}/team/", "active", press=(_opens("invite"),)),
        Shot("settings", f"{here}/settings/", "active", dark=True),
        Shot("settings-delete", f"{here}/settings/", "active", press=(_opens("delete-brand"),)),
        Shot("brand-new", "/brands/new/", "active"),
        *_made(here),
    ]  # fmt: skip


def _made(here: str) -> list[Shot]:
    """Pages that only a press of a button brings."""
    keys = (_opens("keys"), "#keys .button.primary")
    bad_name, send = (("[name=name]", "a;b"),), ("main form .button.primary",)
    plan, started = (".page-actions .button.primary",), r"/backfills/\d+/"
    return [
        Shot("plan", f"{here}/backfills/", "active", press=plan, lands=started, dark=True),
        Shot("device-wrong", f"{here}/vpn/new/", "active", fill=bad_name, press=send, answer=422),
        Shot("device-config", f"{here}/vpn/", "active", ROW, press=keys, lands="/keys/", dark=True),
    ]


def _states() -> list[Shot]:
    """The same pages in a brand on trial, with an import under way, and in one that is past due."""
    here = "/b/{brand}"
    buy = (".plan.highlighted button",)
    return [
        Shot("trial-overview", f"{here}/", "trial"),
        Shot("trial-leads", f"{here}/leads/", "trial"),
        Shot("trial-backfills", f"{here}/backfills/", "trial"),
        Shot("trial-backfill", f"{here}/backfills/", "trial", follow=ROW_OR_CARD, dark=True),
        Shot("trial-billing", f"{here}/billing/", "trial"),
        Shot("subscribe", f"{here}/billing/subscribe/", "trial", dark=True),
        Shot("checkout", f"{here}/billing/subscribe/", "trial", press=buy, lands="cs_"),
        Shot("return-unknown", f"{here}/billing/return/?session=cs_none", "trial"),
        Shot("trial-vpn", f"{here}/vpn/", "trial"),
        Shot("past-due-overview", f"{here}/", "past_due", dark=True),
        Shot("past-due-billing", f"{here}/billing/", "past_due"),
        Shot("limited-backfill", f"{here}/backfills/", "past_due", follow=ROW_OR_CARD),
        Shot(
            "limited-plan",
            f"{here}/backfills/",
            "past_due",
            press=(".page-actions .button.primary",),
            lands=r"/backfills/\d+/",
        ),
        Shot("limited-lead", f"{here}/leads/?until=2025-06-01", "past_due", follow=ROW),
    ]


def _account() -> list[Shot]:
    return [
        Shot("profile", "/accounts/profile/", "active", dark=True),
        Shot("email", "/accounts/email/", "active"),
        Shot("password", "/accounts/password/change/", "active"),
        Shot("second-step", "/accounts/2fa/", "active"),
        Shot("second-step-app", "/accounts/2fa/totp/activate/", "active"),
        Shot("second-step-key", "/accounts/2fa/webauthn/add/", "active"),
        Shot("sessions", "/accounts/sessions/", "active"),
        Shot("logout", "/accounts/logout/", "active"),
    ]


# Each list of the console, and the page of its first row where it has one.
CONSOLE = {
    "brands": "accounts/brand",
    "users": "accounts/user",
    "memberships": "accounts/membership",
    "accounts": "billing/billingaccount",
    "subscriptions": "billing/subscription",
    "invoices": "billing/invoice",
    "inbox": "billing/stripeinbox",
    "operations": "billing/stripeoperation",
    "backfills": "leads/backfill",
    "connections": "leads/connection",
    "bulk-changes": "leads/bulkjob",
    "events": "leads/delivery",
    "servers": "vpn/server",
    "devices": "vpn/device",
    "audit": "auditlog/logentry",
}


def _staff() -> list[Shot]:
    row = "#result_list tbody th a"
    return [
        Shot("admin", "/admin/", "staff", dark=True),
        *(
            Shot(f"admin-{name}", f"/admin/{path}/", "staff", dark=name == "brands")
            for name, path in CONSOLE.items()
        ),
        *(
            Shot(f"admin-{name}-one", f"/admin/{path}/", "staff", row, dark=name == "brands")
            for name, path in CONSOLE.items()
        ),
        Shot("admin-server-new", "/admin/vpn/server/add/", "staff"),
        Shot("admin-group-new", "/admin/auth/group/add/", "staff"),
    ]


def _workshop() -> list[Shot]:
    codes = ("400", "403", "403_csrf", "404", "429", "500")
    return [
        Shot("styleguide", "/styleguide/?toast", "active", dark=True),
        *(Shot(f"error-{code}", f"/styleguide/{code}/", dark=code == "404") for code in codes),
    ]


def _opens(dialog: str) -> str:
    return f"[data-dialog-open='{dialog}']"
