"""Notes on leads: everybody who works leads writes them, their authors change them.

Call in the brand's scope. All audit, without the text.
"""

from __future__ import annotations

from django.utils import timezone

from accounts.models import User
from leads.models import Lead, Note
from saas import audit
from saas.errors import Refused


def add(*, lead: Lead, text: str, actor: User) -> Note:
    """Write a note on the lead; Refused when it was deleted meanwhile. Locks it, no key."""
    rows = Lead.objects.select_for_update(no_key=True)
    if rows.filter(brand_id=lead.brand_id, id=lead.id).first() is None:
        raise Refused("missing", "This lead was deleted a moment ago.")
    note: Note = Note.objects.create(lead_id=lead.id, author=actor, text=_clean(text))
    audit.record("note.added", note, actor=actor)
    return note


def edit(*, lead_id: int, note_id: int, text: str, actor: User) -> Note:
    """Change one's own note; Refused when it is not there or somebody else's."""
    note = _own(lead_id, note_id, actor)
    note.text, note.edited_at = _clean(text), timezone.now()
    note.save(update_fields=["text", "edited_at"])
    audit.record("note.edited", note, actor=actor)
    return note


def delete(*, lead_id: int, note_id: int, actor: User) -> None:
    """Delete one's own note; Refused when it is not there or somebody else's."""
    note = _own(lead_id, note_id, actor)
    audit.record("note.deleted", note, actor=actor)
    note.delete()


def _own(lead_id: int, note_id: int, actor: User) -> Note:
    rows = Note.objects.select_for_update(no_key=True)
    note: Note | None = rows.filter(pk=note_id, lead_id=lead_id).first()
    if note is None:
        raise Refused("missing", "This note is not there any more.")
    if note.author_id != actor.pk:
        raise Refused("not_yours", "Only its author can change a note.")
    return note


def _clean(text: str) -> str:
    wanted = text.replace("\x00", "").replace("\r\n", "\n").strip()
    if not wanted or len(wanted) > Note.LONGEST:
        raise Refused("bad_note", f"A note has between 1 and {Note.LONGEST} letters.")
    return wanted
