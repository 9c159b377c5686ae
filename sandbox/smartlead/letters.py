"""The texts of invented mails; threads.py fills in `{first}` and the like, escaped for HTML."""

from __future__ import annotations

from sandbox.smartlead.profiles import (
    CUSTOM_CATEGORY,
    DO_NOT_CONTACT,
    INFORMATION,
    INTERESTED,
    MEETING,
    NOT_INTERESTED,
    OUT_OF_OFFICE,
    WRONG_PERSON,
)

CASE_STUDY = "https://outreach.example/case-study"
_LINK = f'<a href="{CASE_STUDY}">Two pages on how others solved it</a>.'


def _letter(*paragraphs: str) -> str:
    return f"<div>{'<br><br>'.join((*paragraphs, '{sender}'))}</div>"


SUBJECTS = (
    "Quick question, {first}",
    "{company} and shorter sales cycles",
    "An idea for {company}",
    "{first}, 15 minutes next week?",
)
STEPS = (
    _letter(
        "Hi {first},",
        "I saw that {company} is growing in {city}. Most teams lose a day a week to this. " + _LINK,
        "Worth a short call?",
    ),
    _letter("Hi {first},", "just bringing this up again: is it a topic at {company} this quarter?"),
    _letter(
        "{first}, one figure: a company of your size saved 31 hours a month.",
        "Shall I send the sums?",
    ),
    _letter("Hi {first},", "I assume the timing is wrong and won't write again.", "All the best"),
)
BY_HAND = (
    _letter("Thank you, {first}. Would Tuesday at 10:00 or Thursday at 15:00 suit you?"),
    _letter("Gladly. I attached the two pages and the prices for a team of your size."),
)
REPLIES: dict[int | None, tuple[str, ...]] = {
    INTERESTED: (
        "Hi {sender}, this could be interesting for us. What does it cost?",
        "Klingt spannend, schicken Sie mir gern mehr dazu.",
        "Merci pour votre message. Pouvez-vous m'en dire plus ?",
        "ご連絡ありがとうございます。詳細を送っていただけますか。",
    ),
    MEETING: (
        "Let's talk. Thursday after 14:00 works for me.",
        "¿Le va bien el martes a las 11? Puede llamarme directamente.",
        "Sure, please send an invitation for next week, 20 minutes.",
    ),
    NOT_INTERESTED: (
        "No thanks.",
        "Not a topic for us at the moment.",
        "Kein Bedarf, danke.",
        "We just signed with another vendor.",
    ),
    DO_NOT_CONTACT: (
        "Remove me from your list.",
        "Please never write to anybody at {company} again.",
    ),
    INFORMATION: (
        "Do you integrate with SAP? And where is the data stored?",
        "Which references in {city} can you name?",
    ),
    OUT_OF_OFFICE: (
        "I am out of the office until Monday with no access to e-mail.",
        "Vielen Dank für Ihre Nachricht. Ich bin bis zum 14. nicht im Haus.",
    ),
    WRONG_PERSON: ("You want our purchasing department, not me.", "I left {company} last year."),
    CUSTOM_CATEGORY: ("Ask me again next quarter, our budget opens then.",),
}
OTHER_REPLY = "Please call our main number instead."
HOSTILE = (
    "<script>document.title='owned'</script>",
    '<img src="x" onerror="document.title=\'owned\'">',
    "<a href=\"javascript:document.title='owned'\">our site</a>",
    "<style>body{display:none}</style>",
    '<img src="https://tracker.example/open.gif?u=1" width="1" height="1">',
)
SENDERS = ("Sam Rivera", "Jo Lindgren", "Alex Moreau")
