"""Sealing: authenticated encryption for secrets at rest (AES-256-GCM, ADR 1).

A token is `key id:base64(nonce + ciphertext)`. The associated data binds it to its place (table,
column and brand), so a token moved to another brand's row does not open. SEALING_KEYS lists
`id:base64 key` pairs: the first seals, all open; `manage.py rotate_sealing_keys` moves rows to it.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models

from saas.errors import Bug, Misconfigured

NONCE_BYTES = 12
KEY_BYTES = 32


class Unopenable(Exception):
    """The token does not open: wrong key, wrong place, or altered."""


def parse_keys(text: str) -> dict[str, bytes]:
    """Parse `id:base64,id:base64`; raise Misconfigured for anything but 32-byte keys."""
    keys: dict[str, bytes] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = item.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error as e:
            raise Misconfigured(f"SEALING_KEYS: key {key_id!r} is not base64") from e
        if not key_id or len(key) != KEY_BYTES or key_id in keys:
            raise Misconfigured("SEALING_KEYS wants distinct id:base64 pairs of 32 random bytes")
        keys[key_id] = key
    if not keys:
        raise Misconfigured("SEALING_KEYS is empty; make one with `manage.py make_sealing_key`")
    return keys


@lru_cache(maxsize=4)
def _ring(text: str) -> dict[str, AESGCM]:
    return {key_id: AESGCM(key) for key_id, key in parse_keys(text).items()}


def current_key_id() -> str:
    """Return the id of the key that seals."""
    return next(iter(_ring(settings.SEALING_KEYS)))


def seal(plaintext: str, *, context: str) -> str:
    """Encrypt `plaintext` for the place that `context` names. Two calls never give one token."""
    ring = _ring(settings.SEALING_KEYS)
    key_id = next(iter(ring))
    nonce = os.urandom(NONCE_BYTES)
    body = nonce + ring[key_id].encrypt(nonce, plaintext.encode(), context.encode())
    return f"{key_id}:{base64.b64encode(body).decode()}"


def unseal(token: str, *, context: str) -> str:
    """Decrypt a token of `seal`; raise Unopenable when it was not sealed for `context`."""
    key_id, _, encoded = token.partition(":")
    aead = _ring(settings.SEALING_KEYS).get(key_id)
    if aead is None:
        raise Unopenable(f"no key {key_id!r} in SEALING_KEYS")
    try:
        body = base64.b64decode(encoded, validate=True)
        return aead.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], context.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError) as e:
        raise Unopenable("the token was altered, or sealed for another place") from e


class Sealed:
    """A sealed value in memory: opens on `reveal()`, shows nothing otherwise."""

    __slots__ = ("_context", "_plaintext", "token")

    def __init__(self, *, token: str = "", context: str = "", plaintext: str | None = None) -> None:
        self.token = token
        self._context = context
        self._plaintext = plaintext

    def reveal(self) -> str:
        """Return the plaintext; raise Unopenable when the token is not of this row."""
        if self._plaintext is not None:
            return self._plaintext
        return unseal(self.token, context=self._context)

    def __bool__(self) -> bool:
        return bool(self.token or self._plaintext)

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("a sealed value is not serialised")


class _SealedAttribute:
    """Descriptor: the instance holds the token; the plaintext exists only inside `reveal()`.

    Until the first save, an assigned plaintext waits in a redacted `Sealed`, since the brand that
    it will be bound to may not be known yet.
    """

    def __init__(self, field: SealedField) -> None:
        self.field = field

    def __get__(self, instance: models.Model | None, owner: Any = None) -> Any:
        if instance is None:
            return self
        if self.field.attname not in instance.__dict__:  # deferred
            instance.refresh_from_db(fields=[self.field.attname])
        value = instance.__dict__[self.field.attname]
        if isinstance(value, Sealed):
            return value
        return Sealed(token=value or "", context=self.field.context(instance))

    def __set__(self, instance: models.Model, value: str | Sealed | None) -> None:
        # from_db passes tokens marked by from_db_value; a bare str is a plaintext to seal.
        if isinstance(value, _Token):
            instance.__dict__[self.field.attname] = str(value)
        elif isinstance(value, Sealed) or value is None:
            instance.__dict__[self.field.attname] = value
        else:
            instance.__dict__[self.field.attname] = Sealed(plaintext=value) if value else ""


class _Token(str):
    """A token as read from the database, told apart from a plaintext that was assigned."""

    __slots__ = ()


def as_token(token: str) -> str:
    """Mark a token of `seal` as such, for a query on a SealedField."""
    return _Token(token)


class SealedField(models.TextField[Any, Any]):
    """A text column that holds tokens of `seal`, bound to table, column and brand."""

    descriptor_class = _SealedAttribute

    def context(self, instance: models.Model) -> str:
        """Return the associated data for this row: `table.column:brand`."""
        return self.place(getattr(instance, "brand_id", None))

    def place(self, brand_id: int | None) -> str:
        return f"{self.model._meta.db_table}.{self.column}:{brand_id or ''}"

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return None if value is None else _Token(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002
        value = getattr(model_instance, self.attname)
        if value and not value.token:
            token = seal(value.reveal(), context=self.context(model_instance))
            model_instance.__dict__[self.attname] = token
            return _Token(token)
        return _Token(value.token)

    def get_prep_value(self, value: Any) -> Any:
        """Let tokens through alone: `update(key="plaintext")` must not write a plaintext."""
        if isinstance(value, Sealed):
            value = _Token(value.token)
        if value and not isinstance(value, _Token):
            raise Bug(f"{self.model._meta.label}.{self.name} takes no plaintext in a query")
        return super().get_prep_value(value)

    def value_to_string(self, obj: models.Model) -> str:  # noqa: ARG002
        return "<sealed>"
