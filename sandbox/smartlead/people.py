"""People invented from a seed: the n-th person of an account, at once, for any n, without storing
anyone.

`Crowd(seed).person(n)` always gives the same person; e-mail addresses are unique within a seed, and
`find(email)` goes back to n. Four colleagues share a company. Companies are dealt out block by
block, so that growing an account changes nobody in it. Addresses end in `.example`, which nobody
can own.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

from sandbox.smartlead.places import PLACES, Place
from sandbox.smartlead.words import ENDINGS, INDUSTRIES, SIZES, STEMS, STYLES, TITLES

_MASK = (1 << 64) - 1
_BLOCK = 4096
_STAFF = 4
_COMPANIES_PER_BLOCK = _BLOCK // _STAFF
_STEP = 1237  # odd, so that stepping through a block of 4096 meets every place once
_UNSTEP = pow(_STEP, -1, _BLOCK)
_STEMS = tuple(stem.lower() for stem in STEMS)
_STYLES = tuple(style for style, _ in STYLES)
_SPACE = len(STEMS) * len(ENDINGS) * len(STYLES)
_STRIDE = 7_368_787  # prime and no factor of the space: walks all names before it repeats one
_UNSTRIDE = pow(_STRIDE, -1, _SPACE)
_JOINS = (".", "_", "", "-")  # one per colleague: keeps local parts in one company apart


def mix(value: int) -> int:
    """64 well-scattered bits from an integer (the finisher of splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def seed_number(seed: str) -> int:
    """The same 64 bits for the same text, in every process."""
    raw = seed.encode()
    return mix(zlib.crc32(raw) << 32 | zlib.adler32(raw))


@dataclass(frozen=True, slots=True)
class Company:
    name: str
    domain: str
    place: Place
    city: str
    industry: str
    size: str


@dataclass(frozen=True, slots=True)
class Person:
    first_name: str
    last_name: str
    email: str
    title: str
    phone: str
    handle: str
    company: Company
    bits: int


class Crowd:
    """The people of one seed: same seed and number, same person, in every process."""

    def __init__(self, seed: str) -> None:
        self.root = seed_number(seed)
        self._turn = self.root % _SPACE
        self._company = lru_cache(maxsize=2048)(self._make_company)

    def person(self, number: int) -> Person:
        company_number, colleague = self._employer(number)
        company = self._company(company_number)
        bits = mix(self.root ^ number)
        place = company.place
        if bits & 7 == 0:
            place = PLACES[(bits >> 8) % len(PLACES)]
        first = place.first[(bits >> 16) % len(place.first)]
        last = place.last[(bits >> 24) % len(place.last)]
        join = _JOINS[colleague]
        given = first.ascii if join else first.ascii[0]
        return Person(
            first_name=first.written,
            last_name=last.written,
            email=f"{given}{join}{last.ascii}@{company.domain}",
            title=TITLES[(bits >> 32) % len(TITLES)],
            phone=f"+{place.dial} {100 + (bits >> 40) % 900} {1000000 + (bits >> 20) % 9000000}",
            handle=f"{first.ascii}-{last.ascii}-{bits & 0xFFFFFF:06x}",
            company=company,
            bits=bits,
        )

    def find(self, email: str) -> int | None:
        """The number of the person with this address; None when nobody below infinity has it."""
        domain = email.lower().partition("@")[2]
        company_number = self._company_of(domain)
        if company_number is None:
            return None
        block, desk = divmod(company_number, _COMPANIES_PER_BLOCK)
        for colleague in range(_STAFF):
            place = desk * _STAFF + colleague
            number = block * _BLOCK + (place - self._shift(block)) * _UNSTEP % _BLOCK
            if self.person(number).email == email.lower():
                return number
        return None

    def _shift(self, block: int) -> int:
        return mix(self.root + block) % _BLOCK

    def _employer(self, number: int) -> tuple[int, int]:
        block, offset = divmod(number, _BLOCK)
        place = (offset * _STEP + self._shift(block)) % _BLOCK
        return block * _COMPANIES_PER_BLOCK + place // _STAFF, place % _STAFF

    def _make_company(self, number: int) -> Company:
        edition, rest = divmod(number, _SPACE)
        code = (rest * _STRIDE + self._turn) % _SPACE
        code, style = divmod(code, len(STYLES))
        stem, ending = divmod(code, len(ENDINGS))
        again = str(edition + 1) if edition else ""
        bits = mix(self.root ^ (number << 20))
        place = PLACES[bits % len(PLACES)]
        title = f"{STEMS[stem]}{ENDINGS[ending]}{STYLES[style][1]}{again and ' ' + again}"
        return Company(
            name=f"{title} {place.legal}" if bits & 0x300 else title,
            domain=f"{_STEMS[stem]}{ENDINGS[ending]}{_STYLES[style]}{again}.example",
            place=place,
            city=place.cities[(bits >> 12) % len(place.cities)],
            industry=INDUSTRIES[(bits >> 24) % len(INDUSTRIES)],
            size=SIZES[(bits >> 32) % len(SIZES)],
        )

    def _company_of(self, domain: str) -> int | None:
        name, dot, rest = domain.partition(".")
        if not dot or rest != "example":
            return None
        label = name.rstrip("0123456789")
        again = name[len(label) :]
        edition = int(again[:6]) - 1 if again else 0
        for code in _codes(label):
            number = edition * _SPACE + (code - self._turn) * _UNSTRIDE % _SPACE
            if number >= 0 and self._company(number).domain == domain:
                return number
        return None


def _codes(label: str) -> list[int]:
    """Every way to read a domain label as stem, ending and style."""
    found = []
    for stem, first in enumerate(_STEMS):
        if not label.startswith(first):
            continue
        tail = label[len(first) :]
        for ending, second in enumerate(ENDINGS):
            if tail.startswith(second) and tail[len(second) :] in _STYLES:
                style = _STYLES.index(tail[len(second) :])
                found.append((stem * len(ENDINGS) + ending) * len(STYLES) + style)
    return found
