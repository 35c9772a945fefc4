"""Where the keys of a TOML document stand: tomllib gives values, an error needs lines.

The text has been read by tomllib before, so it is valid TOML; the scanner relies on that and only
tells strings, brackets and keys apart.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'  # a multi-line string may end in up to two quotes of its own
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([btnfr"\\]))')
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def key_lines(text: str) -> dict[KeyPath, int]:
    """1-based line of every key and array element of a valid TOML document.

    Args:
        text: the document.

    Returns:
        line by path; elements of arrays (of tables, too) are addressed by index:
        ``("expect", 0, "point")``.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(key: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """1-based line of a key, or of the nearest table around it that is written out."""
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._newlines = [i for i, char in enumerate(text) if char == "\n"]
        self._table_counts: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip_blank()
        while self.at < len(self.text):
            if self._take("[["):
                table = self._array_of_tables_header()
            elif self._take("["):
                table = self._header()
            else:
                self._key_value(table)
            self._skip_blank()

    def _header(self) -> KeyPath:
        start = self.at
        path = self._resolve(self._key(), start)
        self._expect("]")
        return path

    def _array_of_tables_header(self) -> KeyPath:
        start = self.at
        keys = self._key()
        array = (*self._resolve(keys[:-1], start), keys[-1])
        index = self._table_counts.get(array, 0)
        self._table_counts[array] = index + 1
        self._record(array, start)
        self._record((*array, index), start)
        self._expect("]]")
        return (*array, index)

    def _resolve(self, keys: tuple[str, ...], start: int) -> KeyPath:
        """Add the index of the last element wherever a key names an array of tables."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            self._record(path, start)  # `[a.b]` may be the only place that names `a`
            if path in self._table_counts:
                path = (*path, self._table_counts[path] - 1)
        return path

    def _key_value(self, parent: KeyPath) -> None:
        start = self.at
        path = parent
        for key in self._key():
            path = (*path, key)
            self._record(path, start)
        self._expect("=")
        self._skip_blank()
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        keys = [self._simple_key()]
        while self._take("."):
            keys.append(self._simple_key())
        return tuple(keys)

    def _simple_key(self) -> str:
        self._skip_blank()
        if quoted := _STRING.match(self.text, self.at):
            self.at = quoted.end()
            inner = quoted.group()[1:-1]
            key = _ESCAPE.sub(_unescape, inner) if quoted.group()[0] == '"' else inner
        else:
            key = self._match(_BARE_KEY)
        self._skip_blank()
        return key

    def _value(self, path: KeyPath) -> None:
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._inline_table(path)
        elif string := _STRING.match(self.text, self.at):
            self.at = string.end()
        else:
            self._match(_BARE_VALUE)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while True:
            self._skip_blank()
            if self._take("]"):
                return
            self._record((*path, index), self.at)
            self._value((*path, index))
            self._skip_blank()
            self._take(",")
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        while True:
            self._skip_blank()
            if self._take("}"):
                return
            self._key_value(path)
            self._skip_blank()
            self._take(",")

    def _record(self, path: KeyPath, at: int) -> None:
        self.lines.setdefault(path, bisect.bisect_left(self._newlines, at) + 1)

    def _skip_blank(self) -> None:
        self._match(_BLANK)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise ValueError(f"not TOML at character {self.at}")
        self.at = found.end()
        return found.group()

    def _take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise ValueError(f"not TOML at character {self.at}: no {token!r}")


def _unescape(found: re.Match[str]) -> str:
    short, long, char = found.groups()
    return _ESCAPES[char] if char else chr(int(short or long, 16))
