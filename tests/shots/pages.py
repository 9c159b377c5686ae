"""Which pages there are, who opens each, and what to press before the picture is taken.

A page that only exists once there is something in a list is reached as people do: `follow` is
the first link in the list before it.
"""

from __future__ import annotations

from dataclasses import dataclass

ROW_OR_CARD = "main a[data-row], main .card-head a"


@dataclass(frozen=True)
class Shot:
    """`path` may name {brand}. `who` is a role of `camera.Logins`; "" is a stranger.

    A hero is also kept as hero-NAME: one window, sharp, for the landing page and the README.
    """

    name: str
    path: str
    who: str = ""
    follow: str = ""
    press: str = ""
    status: int = 200
    dark: bool = False
    hero: bool = False


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
    return [
        Shot("login", "/accounts/login/", dark=True),
        Shot("login-empty", "/accounts/login/", press="form .button.primary"),
        Shot("signup", "/accounts/signup/"),
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
        Shot("overview-menu", f"{here}/", "active", press=".menu.up > summary, .topbar button"),
        Shot("leads", f"{here}/leads/", "active", dark=True, hero=True),
        Shot("leads-none-found", f"{here}/leads/?q=zzzzzzzz", "active"),
        Shot("import", f"{here}/leads/import/", "active"),
        Shot("lead", f"{here}/leads/", "active", follow="a[data-row]", dark=True, hero=True),
        Shot("backfills", f"{here}/backfills/", "active"),
        Shot("backfill", f"{here}/backfills/", "active", follow=ROW_OR_CARD),
        Shot("connection", f"{here}/connection/", "active"),
        Shot("billing", f"{here}/billing/", "active", dark=True),
        Shot("subscribe", f"{here}/billing/subscribe/", "active"),
        Shot("vpn", f"{here}/vpn/", "active"),
        Shot("device", f"{here}/vpn/", "active", follow="a[data-row]"),
        Shot("team", f"{here}/team/", "active"),
        Shot("team-invite", f"{here}/team/", "active", press="[data-dialog-open='invite']"),
        Shot("settings", f"{here}/settings/", "active"),
        Shot("brand-new", "/brands/new/", "active"),
    ]


def _states() -> list[Shot]:
    """The same pages in a brand on trial, with an import under way, and in one that is past due."""
    here = "/b/{brand}"
    return [
        Shot("trial-overview", f"{here}/", "trial"),
        Shot("trial-leads", f"{here}/leads/", "trial"),
        Shot("trial-backfill", f"{here}/backfills/", "trial", follow=ROW_OR_CARD, dark=True),
        Shot("trial-billing", f"{here}/billing/", "trial"),
        Shot("trial-vpn", f"{here}/vpn/", "trial"),
        Shot("past-due-overview", f"{here}/", "past_due", dark=True),
        Shot("past-due-billing", f"{here}/billing/", "past_due"),
    ]


def _account() -> list[Shot]:
    return [
        Shot("profile", "/accounts/profile/", "active"),
        Shot("email", "/accounts/email/", "active"),
        Shot("password", "/accounts/password/change/", "active"),
        Shot("second-step", "/accounts/2fa/", "active"),
        Shot("second-step-app", "/accounts/2fa/totp/activate/", "active"),
        Shot("second-step-key", "/accounts/2fa/webauthn/add/", "active"),
        Shot("sessions", "/accounts/sessions/", "active"),
        Shot("logout", "/accounts/logout/", "active"),
    ]


def _staff() -> list[Shot]:
    return [
        Shot("admin", "/admin/", "staff", dark=True),
        Shot("admin-brands", "/admin/accounts/brand/", "staff", dark=True),
        Shot("admin-brand", "/admin/accounts/brand/", "staff", follow="#result_list th a"),
        Shot("admin-accounts", "/admin/billing/billingaccount/", "staff"),
        Shot("admin-backfills", "/admin/leads/backfill/", "staff"),
        Shot("admin-inbox", "/admin/billing/stripeinbox/", "staff"),
        Shot("admin-operations", "/admin/billing/stripeoperation/", "staff"),
        Shot("admin-devices", "/admin/vpn/device/", "staff"),
        Shot("admin-audit", "/admin/auditlog/logentry/", "staff"),
    ]


def _workshop() -> list[Shot]:
    codes = ("400", "403", "403_csrf", "404", "429", "500")
    return [
        Shot("styleguide", "/styleguide/?toast", "active", dark=True),
        *(Shot(f"error-{code}", f"/styleguide/{code}/", dark=code == "404") for code in codes),
    ]
