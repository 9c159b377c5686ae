"""Rows for tests, made through the same services as in life. Every value may be overridden."""

from __future__ import annotations

import itertools
from typing import Any

PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)


def make_user(**fields: Any) -> Any:
    """A person with a verified e-mail address and the password PASSWORD."""
    from allauth.account.models import EmailAddress

    from accounts.models import User

    email = fields.pop("email", f"person{next(_numbers)}@example.test")
    user = User.objects.create_user(email, fields.pop("password", PASSWORD), **fields)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


def make_brand(**fields: Any) -> Any:
    """A brand on its trial, as sign-up makes it; an owner is made when none is given."""
    from accounts import brands

    owner = fields.pop("owner", None) or make_user()
    name = fields.pop("name", f"Brand {next(_numbers)}")
    brand = brands.create(name=name, owner=owner)
    if fields:
        type(brand).objects.filter(pk=brand.pk).update(**fields)
        brand.refresh_from_db()
    return brand
