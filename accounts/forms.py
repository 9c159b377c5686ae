"""Forms of accounts. They check shape and words; the services check rights."""

from __future__ import annotations

import uuid
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django import forms
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from accounts import signup
from accounts.models import Brand, User
from accounts.roles import Role

ROLE_WORDS = {
    Role.VIEWER: "Viewer: sees leads and backfills",
    Role.MEMBER: "Member: works leads, runs backfills, uses the VPN",
    Role.ADMIN: "Admin: manages connections, devices and the team",
    Role.OWNER: "Owner: everything, billing included",
}


def role_choices(*, owners: bool) -> list[tuple[str, str]]:
    """Return the roles that may be given; only an owner gives ownership."""
    return [(r.value, words) for r, words in ROLE_WORDS.items() if owners or r != Role.OWNER]


def zone_choices() -> list[tuple[str, str]]:
    names = sorted(n for n in available_timezones() if "/" in n and not n.startswith("Etc/"))
    return [("UTC", "UTC"), *((n, n.replace("_", " ")) for n in names)]


class BrandNameField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TextInput(attrs={"autocomplete": "organization"})
        super().__init__(**{"label": "Brand name", "max_length": 80, "widget": widget, **kwargs})

    def clean(self, value: Any) -> str:
        name = " ".join(str(super().clean(value)).split())
        if not all(character.isprintable() for character in name):
            raise forms.ValidationError("Use letters, digits and ordinary signs.")
        return name


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """E-mail address, password and the brand's name; who comes by invitation needs no brand.

    Answers alike whether the address has an account or not, and takes as long.
    """

    brand_name = BrandNameField(help_text="Your company, or what you sell. You can change it.")
    account_already_exists: bool
    field_order = ("email", "password1", "brand_name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "E-mail address"
        self.fields["email"].widget.attrs.pop("placeholder", None)
        self.fields["password1"].widget.attrs.pop("placeholder", None)
        self.fields["password1"].help_text = "At least 10 characters."
        self.invited_as = signup.invited_address(context.request)
        if self.invited_as:
            # The link proved this address, and no other one may take the invitation.
            self.fields["email"].initial = self.invited_as
            self.fields["email"].disabled = True
            del self.fields["brand_name"]

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])  # as slow as a real sign-up
            return super().try_save(request)  # type: ignore[no-any-return]
        try:
            with transaction.atomic():
                return super().try_save(request)  # type: ignore[no-any-return]
        except IntegrityError:  # somebody else took the address a moment ago
            self.account_already_exists = True
            return super().try_save(request)  # type: ignore[no-any-return]

    def custom_signup(self, request: HttpRequest, user: User) -> None:
        super().custom_signup(request, user)
        signup.remember(
            user=user,
            brand_name=self.cleaned_data.get("brand_name", ""),
            invitation=signup.invitation_of(request) if self.invited_as else "",
        )


class NewBrandForm(forms.Form):
    """A new brand. `request_key` makes a second submit harmless; a page of old has none."""

    name = BrandNameField()
    request_key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4, required=False)


class BrandForm(forms.ModelForm[Brand]):
    name = BrandNameField()
    email = forms.EmailField(label="Billing e-mail", help_text="Invoices and notices go here.")
    time_zone = forms.ChoiceField(label="Time zone", choices=zone_choices)

    class Meta:
        model = Brand
        fields = ("name", "email", "time_zone")


class ProfileForm(forms.ModelForm[User]):
    name = forms.CharField(
        label="Your name",
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=lambda: [("", "The brand's"), *zone_choices()],
        required=False,
    )

    class Meta:
        model = User
        fields = ("name", "time_zone")

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        if zone:
            ZoneInfo(zone)
        return zone


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail address", max_length=254)
    role = forms.ChoiceField(label="Role", choices=[])

    def __init__(self, *args: Any, owners: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices(owners=owners)  # type: ignore[attr-defined]
        self.fields["role"].initial = Role.MEMBER

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        return email.lower()


class RoleForm(forms.Form):
    role = forms.ChoiceField(label="Role", choices=Role.choices)


class DeleteBrandForm(forms.Form):
    """The name, typed again: the one thing that a slip of the finger does not do."""

    name = forms.CharField(label="Type the brand's name to confirm", max_length=80)

    def __init__(self, *args: Any, brand: Brand, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.brand = brand
        attrs = {"autocomplete": "off", "data-not-kept": True}  # typed anew, each time
        self.fields["name"].widget.attrs.update(attrs)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if name != self.brand.name:
            raise forms.ValidationError(f"This is not the name. Type “{self.brand.name}”.")
        return name
