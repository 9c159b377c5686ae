"""Times, amounts of time and browsers in words. Pure: the present moment is an argument."""

from datetime import date, datetime
from functools import lru_cache

from django.utils.formats import date_format

# The first that occurs in a User-Agent names the browser (Edge and Opera also claim to be Chrome).
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Mac OS X", "Mac"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
)
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
YEAR = 365 * 86_400


def duration(seconds: float) -> str:
    """Two neighbouring units at most: "45 s", "2 min 5 s", "4 d 2 h". Under a second is "0 s"."""
    left = max(int(seconds), 0)
    for index, (name, size) in enumerate(UNITS):
        if left >= size:
            whole, rest = divmod(left, size)
            after = UNITS[index + 1 : index + 2]
            smaller = [f"{rest // small} {unit}" for unit, small in after if rest // small]
            return " ".join([f"{whole} {name}", *smaller])
    return "0 s"


def ago(moment: datetime, now: datetime) -> str:
    """How far away a moment is: "just now", "5 min ago", "in 3 h"; beyond a month its date.

    static/js/app.js refreshes what stands on a page by the same rules.
    """
    away = (now - moment).total_seconds()
    size = abs(away)
    if size < 45:
        return "just now" if away >= 0 else "in a moment"
    if size >= 30 * 86_400:
        return day(moment.date(), "j M" if size < YEAR / 2 else "j M Y")
    unit, count = _nearest(size)
    return f"{count} {unit} ago" if away >= 0 else f"in {count} {unit}"


@lru_cache(maxsize=1000)
def day(date: date, form: str) -> str:
    """Write a date as Django's date_format does; kept, because a list says the same day often."""
    return date_format(date, form)


def browser(user_agent: str) -> str:
    """ "Firefox on Windows" out of a User-Agent header; what it doesn't tell is left out."""
    name = next((name for sign, name in BROWSERS if sign in user_agent), "A browser")
    system = next((name for sign, name in SYSTEMS if sign in user_agent), "")
    return f"{name} on {system}" if system else name


def _nearest(size: float) -> tuple[str, int]:
    if size < 3_570:
        return "min", max(round(size / 60), 1)
    if size < 86_400:
        return "h", max(round(size / 3_600), 1)
    days = max(round(size / 86_400), 1)
    return ("day" if days == 1 else "days"), days
