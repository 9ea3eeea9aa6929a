"""Reading a JSON object strictly: every key is asked for once, and a key that nobody asked for is refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from tallystick.errors import ManifestInvalid

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class Fields:
    """The keys of one object. Each reader raises ManifestInvalid, naming the field and what it should be."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise ManifestInvalid(f"{path}: should be an object.")
        self._value = value
        self._path = path
        self._unread = set(value)

    def done(self) -> None:
        """Refuses what was not asked for."""
        if self._unread:
            raise ManifestInvalid(f"{self._path}: unknown field {min(self._unread)!r}; remove it.")

    def text(self, key: str, longest: int) -> str:
        """Visible text on one line, of 1 to `longest` characters."""
        return self._text(self._take(key), key, longest)

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self._take(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._wrong(key, f"text of the form {pattern.pattern}")
        return value

    def one_of(self, key: str, known: Sequence[str]) -> str:
        value = self._take(key)
        if value not in known:
            raise self._wrong(key, "one of " + ", ".join(known))
        return str(value)

    def integer(self, key: str, least: int, most: int) -> int:
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(key, f"a whole number from {least} to {most}")
        return value

    def object(self, key: str) -> Fields:
        return Fields(self._take(key), f"{self._path}.{key}")

    def objects(self, key: str, most: int) -> list[Fields]:
        """A list of 1 to `most` objects."""
        value = self._list(key, 1, most)
        return [Fields(item, f"{self._path}.{key}[{index}]") for index, item in enumerate(value)]

    def unique_texts(self, key: str, *, least: int, most: int, longest: int) -> tuple[str, ...]:
        """A list of different texts."""
        values = tuple(self._text(item, key, longest) for item in self._list(key, least, most))
        if len(set(values)) != len(values):
            raise self._wrong(key, "a list in which nothing occurs twice")
        return values

    def mapping(self, key: str, name: re.Pattern[str], value: re.Pattern[str]) -> dict[str, str]:
        """An object from names to texts, at most 100 of them."""
        taken = self._take(key)
        if not isinstance(taken, dict) or len(taken) > 100:
            raise self._wrong(key, "an object")
        for one, other in taken.items():
            if not name.fullmatch(one) or not isinstance(other, str) or not value.fullmatch(other):
                raise self._wrong(key, f"an object from names to text of the form {value.pattern}")
        return dict(taken)

    def _take(self, key: str) -> Any:
        if key not in self._value:
            raise ManifestInvalid(f"{self._path}: the field {key!r} is missing; add it.")
        self._unread.discard(key)
        return self._value[key]

    def _list(self, key: str, least: int, most: int) -> list[Any]:
        value = self._take(key)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise self._wrong(key, f"a list of {least} to {most} entries")
        return value

    def _text(self, value: Any, key: str, longest: int) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.strip():
            raise self._wrong(key, f"text of 1 to {longest} characters")
        if any(unicodedata.category(character) in _INVISIBLE for character in value):
            raise self._wrong(key, "visible text on one line, without control characters")
        return value

    def _wrong(self, key: str, expected: str) -> ManifestInvalid:
        return ManifestInvalid(f"{self._path}.{key}: should be {expected}.")
