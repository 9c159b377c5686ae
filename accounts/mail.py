"""Mails: an outbox in PostgreSQL, emptied by Celery.

A mail is a row written in the transaction of its cause, so neither exists without the other. The
commit wakes `deliver`; the sweep finds what a lost message or a dead worker left behind. A worker
that dies between the server's yes and our commit sends the mail again: the Message-ID is the row's,
so that mail programs can drop the double.
"""

from __future__ import annotations

import smtplib
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import Mail
from saas import leases
from saas.celery import wake

log = structlog.get_logger(__name__)

LEASE_SECONDS = 60.0
# After the n-th failure, wait so many minutes; after the last, give up.
RETRY_MINUTES = (1, 2, 5, 15, 30, 60, 120, 240, 480, 960)
SWEEP_BATCH = 200


def send(*, to: str, template: str, context: dict[str, Any]) -> Mail:
    """Queue the mail `template` (TEMPLATE_subject.txt, _message.txt and _message.html) to `to`.

    It leaves after the caller's commit, or never if the caller rolls back.
    """
    context = {**context, "public_url": settings.PUBLIC_URL, "email": to}
    subject = render_to_string(f"{template}_subject.txt", context)
    return queue(
        to=to,
        subject=subject,
        text=render_to_string(f"{template}_message.txt", context),
        html=render_to_string(f"{template}_message.html", context),
    )


def queue(*, to: str, subject: str, text: str, html: str = "") -> Mail:
    """Write the mail to the outbox and wake its delivery when the transaction commits."""
    mail = Mail.objects.create(
        to=to, subject=" ".join(subject.split())[:200], text=text.strip() + "\n", html=html
    )
    wake("accounts.mail.deliver", mail.pk)
    return mail


def deliver(mail_id: int) -> bool:
    """Send one mail, if it is due and nobody else sends it; tell whether it left.

    Safe to repeat. No transaction is open while the mail server is spoken to.
    """
    now = timezone.now()
    with transaction.atomic():
        claimed = leases.claim(
            Mail.objects.filter(pk=mail_id, sent_at=None, gave_up_at=None, due_at__lte=now),
            seconds=LEASE_SECONDS,
        )
    if not claimed:
        return False
    [mail] = claimed
    try:
        _message(mail).send()
    except (smtplib.SMTPException, OSError) as e:
        _postpone(mail, e)
        return False
    leases.release(mail, sent_at=timezone.now(), text="", html="", last_error="")
    return True


def sweep() -> int:
    """Wake every mail that is due and not being sent; return how many were woken."""
    due = Mail.objects.filter(leases.free(), sent_at=None, gave_up_at=None)
    ids = due.filter(due_at__lte=timezone.now()).order_by("due_at").values_list("pk", flat=True)
    found = list(ids[:SWEEP_BATCH])
    for mail_id in found:
        wake("accounts.mail.deliver", mail_id)
    return len(found)


def _message(mail: Mail) -> EmailMultiAlternatives:
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ")
    message = EmailMultiAlternatives(
        mail.subject,
        mail.text.reveal(),
        to=[mail.to],
        headers={"Message-ID": f"<mail-{mail.pk}@{domain}>", "Auto-Submitted": "auto-generated"},
    )
    if mail.html:
        message.attach_alternative(mail.html.reveal(), "text/html")
    return message


def _postpone(mail: Mail, fault: Exception) -> None:
    now = timezone.now()
    final = mail.attempts > len(RETRY_MINUTES)
    log.warning("mail.failed", mail=mail.pk, attempt=mail.attempts, gave_up=final, exc_info=fault)
    minutes = RETRY_MINUTES[min(mail.attempts, len(RETRY_MINUTES)) - 1]
    leases.release(
        mail,
        last_error=f"{type(fault).__name__}: {fault}"[:500],
        due_at=now + timedelta(minutes=minutes),
        gave_up_at=now if final else None,
    )
