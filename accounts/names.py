"""Names of people and brands: they stand in mails to others, so they hold what can be read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError


def validate_name(name: str) -> None:
    """Raise ValidationError for control, direction and other characters that nobody sees."""
    if not name.isprintable():
        raise ValidationError("Use letters, digits and ordinary signs.")


class NameField(forms.CharField):
    """A name in one line, with single spaces."""

    default_validators = [validate_name]

    def to_python(self, value: Any) -> str:
        return " ".join(str(super().to_python(value)).split())
