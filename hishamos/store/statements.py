"""Named SQL: each statement has a name and lives in a ``.sql`` file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

from hishamos.errors import nearest_hint

_NAME = re.compile(r"^--\s*name:\s*(\w+)\s*$", re.MULTILINE)


class Statements(Mapping[str, str]):
    """The statements of one file by name."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        heads = list(_NAME.finditer(text))
        ends = [head.start() for head in heads[1:]] + [len(text)]
        self._texts = {head[1]: text[head.end() : end].strip().rstrip(";") for head, end in zip(heads, ends, strict=True)}
        if len(self._texts) != len(heads):
            raise ValueError(f"{file}.sql names a statement twice")

    def __getitem__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise KeyError(f"{self._file}.sql has no statement {name!r}{nearest_hint(name, list(self._texts))}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


@cache
def statements(file: str) -> Statements:
    """Return the statements of ``hishamos/store/sql/<file>.sql``."""
    text = (resources.files("hishamos.store") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    return Statements(file, text)
