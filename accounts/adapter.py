"""How allauth fits Harbor: mails through the outbox, sealed second factors, one kind of 429."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest
from django.urls import reverse

from accounts import lockout, mail
from saas import crypto

# TOTP secrets and recovery seeds: allauth's hooks know no row, so one context for all of them.
MFA_CONTEXT = "mfa"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth.account in Harbor."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "The e-mail address or the password is not right.",
        "incorrect_password": "This is not your password.",
        "too_many_login_attempts": "Too many tries. Wait five minutes, then try again.",
        "rate_limited": "Too many tries. Wait a minute, then try again.",
    }

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Queue instead of sending: a page never waits for a mail server."""
        message = self.render_mail(template_prefix, email, {"request": self.request} | context)
        html = ""
        if isinstance(message, EmailMultiAlternatives) and message.alternatives:
            html = str(message.alternatives[0][0])
        mail.queue(to=email, subject=message.subject, text=str(message.body), html=html)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:  # noqa: ARG002
        path = reverse("account_confirm_email", args=[emailconfirmation.key])
        return f"{settings.PUBLIC_URL}{path}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse with 429 where allauth would show a form's error: one answer for one thing.

        Who waits for axes already is refused there, and uses up nothing here.
        """
        if not AxesProxyHandler.is_allowed(request, credentials):
            return
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as e:
            raise ImmediateHttpResponse(lockout.too_many(request, seconds=300)) from e


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth.mfa in Harbor: nothing that makes codes is stored in clear."""

    def encrypt(self, text: str) -> str:
        return crypto.seal(text, context=MFA_CONTEXT)

    def decrypt(self, encrypted_text: str) -> str:
        """Open a sealed secret; raise Unopenable when it was altered."""
        return crypto.unseal(encrypted_text, context=MFA_CONTEXT)
