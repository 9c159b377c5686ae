"""Forms of vpn."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from vpn import validators
from vpn.models import Server


class ServerField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A location, with a word on it when its node does not answer."""

    def label_from_instance(self, obj: Server) -> str:
        return obj.region if obj.is_online(timezone.now()) else f"{obj.region} (not answering now)"


class DeviceForm(forms.Form):
    """A new device. `request_key` makes a second submit of the same form harmless."""

    name = forms.CharField(
        label="Device name",
        max_length=validators.NAME_LENGTH,
        help_text="For you and your team, like “Ada's laptop”.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
        strip=True,
    )
    server = ServerField(
        label="Location",
        queryset=Server.objects.none(),
        empty_label=None,
        error_messages={"invalid_choice": "This location is not available. Choose another one."},
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, servers: QuerySet[Server], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["server"].queryset = servers  # type: ignore[attr-defined]
        self.fields["request_key"].initial = uuid.uuid4

    def clean_name(self) -> str:
        return validators.device_name(self.cleaned_data["name"])
