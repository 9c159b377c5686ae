"""People and brands. The brand is the tenant; a person may belong to many."""

from __future__ import annotations

from typing import Any, ClassVar

import pghistory
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone

from accounts.names import validate_name
from accounts.roles import Role
from saas.crypto import SealedField
from saas.leases import LeasedModel
from saas.tenancy import TenantModel


class UserManager(BaseUserManager["User"]):
    """Creates people by e-mail address, kept in lower case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person, who logs in by e-mail address. Belongs to no tenant."""

    email = models.EmailField(
        "e-mail address",
        max_length=254,
        unique=True,
        error_messages={"unique": "There is already an account with this e-mail address."},
    )
    name = models.CharField(max_length=120, blank=True, default="", validators=[validate_name])
    time_zone = models.CharField(max_length=64, blank=True, default="")
    is_staff = models.BooleanField("staff", default=False)
    is_active = models.BooleanField("active", default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    # Set when what the person may do changes: sessions older than it get a new key at their next
    # request (accounts.middleware.SessionTimeouts).
    privileges_changed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="email_in_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email.split("@")[0]


class PendingSignup(models.Model):
    """What a person wanted when they signed up, kept until their first login settles it.

    Nothing of a tenant exists before the e-mail address is confirmed. `invitation` is the token of
    the invitation that they came by, else they get a brand called `brand_name`. It is sealed, as
    the mail with the same link is.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="+")
    brand_name = models.CharField(max_length=80, blank=True, default="")
    invitation = SealedField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"sign-up of {self.user_id}"


class Mail(LeasedModel):
    """A mail that must leave. Written with the decision that causes it, sent after the commit.

    Bodies carry links that open accounts, so they are sealed, and dropped once sent.
    """

    to = models.EmailField(max_length=254)
    subject = models.CharField(max_length=200)
    text = SealedField(blank=True, default="")
    html = SealedField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    gave_up_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(sent_at=None, gave_up_at=None),
                name="mail_waiting",
            )
        ]
        verbose_name_plural = "mails"

    def __str__(self) -> str:
        return f"{self.subject} to {self.to}"


class Brand(models.Model):
    """The tenant. Its own table is under row-level security by `id`: see accounts.brands."""

    name = models.CharField(max_length=80, validators=[validate_name])
    slug = models.SlugField(max_length=60, unique=True)
    email = models.EmailField("billing e-mail", max_length=254)
    time_zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Of the form and the person that made it (accounts.brands.create).
    request_key = models.UUIDField(unique=True, null=True, blank=True, editable=False)
    # From here on the brand is nobody's, and a task erases it (accounts.privacy).
    erase_requested_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name

    @property
    def brand_id(self) -> int:
        """Its own key: the journal files a brand's decisions under it like all others."""
        return int(self.pk)


@pghistory.track(append_only=True)
class Membership(TenantModel):
    """A person's place in a brand. Every brand keeps an owner (accounts.team)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "user"], name="one_membership_per_person"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="known_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"


class Invitation(TenantModel):
    """An offer of a role to an e-mail address.

    The link carries a signed token that names this row; nothing in the row opens it.
    """

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=12, choices=Role)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "brand",
                Lower("email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_per_email",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"
