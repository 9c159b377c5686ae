"""Forms of leads: the API key, the limits, and the filters of the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, cast

from django import forms
from django.db.models.functions import Lower
from django.forms.utils import flatatt
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from leads import statuses, words
from leads.connections import Neighbour
from leads.models import Campaign, Tag
from leads.search import Filters, Sort

CHIPS = {
    "q": "Search", "campaign": "Campaign", "status": "Status", "category": "Category",
    "replied": "Replies", "unsubscribed": "Subscription", "tag": "Tag", "since": "Active since",
    "until": "Active until",
}  # fmt: skip


class KeyForm(forms.Form):
    """A SmartLead API key; `leads.connections.connect` proves it."""

    api_key = forms.CharField(
        label="SmartLead API key",
        max_length=200,
        help_text="In SmartLead: Settings, API keys. We check it with one call and then seal it.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class LimitsForm(forms.Form):
    """What the brand may ask of SmartLead."""

    calls_per_minute = forms.IntegerField(
        label="Calls a minute",
        min_value=1,
        max_value=1000,
        help_text="Keep some of SmartLead's limit for your other tools.",
    )
    in_flight = forms.IntegerField(
        label="Calls at once", min_value=1, max_value=20, help_text="5 suits most accounts."
    )
    shares_with = forms.TypedChoiceField(
        label="Same SmartLead account as",
        required=False,
        coerce=int,
        empty_value=None,
        help_text="SmartLead counts the calls of an account, whichever key makes them. Say so here,"
        " and both brands keep to one limit together.",
    )

    def __init__(self, *args: Any, neighbours: Sequence[Neighbour] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not neighbours:
            del self.fields["shares_with"]
            return
        choices = [(each.brand_id, each.name) for each in neighbours]
        field = self.fields["shares_with"]
        field.choices = [("", "No other brand"), *choices]  # type: ignore[attr-defined]
        field.initial = next((each.brand_id for each in neighbours if each.shares), None)


class ScheduleForm(forms.Form):
    """How often what is new is fetched."""

    sync_every = forms.TypedChoiceField(
        label="How often",
        coerce=int,
        choices=words.PACES.items(),
        help_text="What live updates missed comes in then, too. A few calls for each campaign.",
    )


class SecretForm(forms.Form):
    """The `secret_key` that SmartLead sends with a webhook; empty for none."""

    secret = forms.CharField(
        label="Secret key",
        required=False,
        max_length=200,
        help_text="Optional. From your webhook in SmartLead: events without it are refused then.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class Select(forms.Select):
    """A `<select>` in one piece: Django renders a template for each of a thousand options."""

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: Any = None,  # noqa: ARG002 - Django's signature
    ) -> SafeString:
        chosen = self.format_value(value)
        options = format_html_join(
            "\n",
            "<option{}>{}</option>",
            (
                (flatatt({"value": key, "selected": str(key) in chosen}), label)
                for key, label in self.choices
            ),
        )
        given = self.build_attrs({"name": name, **self.attrs}, attrs)
        return format_html("<select{}>{}</select>", flatatt(given), options)


class FilterForm(forms.Form):
    """The list's filters, from the URL. A value that doesn't fit is ignored, not an error page."""

    q = forms.CharField(required=False, max_length=200, strip=True)
    campaign = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, widget=Select)
    status = forms.ChoiceField(required=False, widget=Select)
    category = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, widget=Select)
    replied = forms.ChoiceField(
        required=False,
        choices=[("", "Replied or not"), ("1", "Replied")],
        label="Replies",
        widget=Select,
    )
    unsubscribed = forms.ChoiceField(
        required=False,
        choices=[("", "Subscribed or not"), ("1", "Unsubscribed")],
        label="Subscription",
        widget=Select,
    )
    tag = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, widget=Select)
    since = forms.DateField(
        required=False, label="Active since", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="Active until", widget=forms.DateInput(attrs={"type": "date"})
    )
    sort = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Newest activity first"),
            (Sort.ADDED, "Newest added first"),
            (Sort.EMAIL, "E-mail, A to Z"),
        ],
        widget=Select,
    )

    def __init__(self, brand_id: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        campaigns = Campaign.objects.order_by("name").values_list("id", "name")[:500]
        self.categories = words.categories()
        self.tags = list(Tag.objects.order_by(Lower("name")).values_list("id", "name"))
        known = [(code, words.status(code)[0]) for code in statuses.known(brand_id)]
        for name, empty, choices in (
            ("campaign", "Every campaign", campaigns),
            ("status", "Every status", known),
            ("category", "Every category", self.categories.items()),
            ("tag", "Every tag", self.tags),
        ):
            field = cast("forms.ChoiceField", self.fields[name])
            field.choices = [("", empty), *choices]

    @property
    def narrows(self) -> bool:
        """Whether a filter beside the search is on; ask after `filters`."""
        return any(value for name, value in self.cleaned_data.items() if name not in ("q", "sort"))

    @property
    def order(self) -> Sort:
        """The order that was chosen; ask after `filters`."""
        return Sort(self.cleaned_data.get("sort") or Sort.ACTIVITY)

    def chips(self) -> list[tuple[str, str, str]]:
        """Return each filter that is on as (its name, its value, the list without it)."""
        filters = self.filters()
        shown = []
        for name, value in filters.params().items():
            rest = {key: kept for key, kept in filters.params().items() if key != name}
            shown.append((CHIPS[name], self._said(name, value), Filters.of(rest).query(self.order)))
        return shown

    def _said(self, name: str, value: str) -> str:
        choices = getattr(self.fields[name], "choices", ())
        said = next((label for key, label in choices if str(key) == value), value)
        return date_format(date.fromisoformat(value)) if name in ("since", "until") else str(said)

    def filters(self) -> Filters:
        """Return what could be understood."""
        self.is_valid()
        good = self.cleaned_data
        return Filters(
            q=good.get("q") or "",
            campaign=good.get("campaign"),
            status=good.get("status") or "",
            category=good.get("category"),
            replied=good.get("replied") == "1",
            since=good.get("since"),
            until=good.get("until"),
            unsubscribed=good.get("unsubscribed") == "1",
            tag=good.get("tag"),
        )
