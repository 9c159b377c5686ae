"""Tasks of accounts: deliver mails, and repair what stopped in between."""

from __future__ import annotations

from celery import shared_task

from accounts import mail, privacy, sessions


@shared_task(name="accounts.mail.deliver")
def deliver(mail_id: int) -> None:
    """Send one mail. Safe to repeat: a mail leaves once (see accounts.mail)."""
    mail.deliver(mail_id)


@shared_task(name="accounts.mail.sweep")
def sweep_mails() -> None:
    """Wake mails that a lost message or a dead worker left behind. Safe to repeat."""
    mail.sweep()


@shared_task(name="accounts.brand.erase")
def erase_brand(brand_id: int) -> None:
    """Erase a brand that its owner deleted, for a while. Safe to repeat."""
    privacy.erase(brand_id)


@shared_task(name="accounts.brand.sweep")
def sweep_erasures() -> None:
    """Go on with erasures that stopped. Safe to repeat."""
    privacy.sweep()


@shared_task(name="accounts.sessions.sweep")
def sweep_sessions() -> None:
    """Delete sessions that expired. Safe to repeat."""
    sessions.sweep()
