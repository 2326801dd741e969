"""A value for a schema: each field judged by classical methods where that can be done, told as not judged where not, always valid."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from hishamos.gateway.offline import judgement, selection
from hishamos.gateway.offline.glosses import asks_for, glosses
from hishamos.gateway.offline.material import Material, record_lists
from hishamos.gateway.offline.shapes import alternatives, constants, described, implied_types, merged, shape
from hishamos.gateway.offline.specimens import matching, numbers, texts
from hishamos.gateway.offline.validity import Schema, problem, same, schemas_of, valid
from hishamos.text.nonsense import LIMIT
from hishamos.text.words import name_words, stem

_DEEP = 8
"""Below this depth optional parts that hold parts are left out, so that a schema that refers to itself comes to an end."""
_DEEPEST = 40
_TRIES = 400
_MOST_ITEMS = 50
_MOST_OUTLINED = 12


class Unsatisfiable(Exception):
    """No value was found for a part of the schema; the text says where and why."""


@dataclass(frozen=True)
class Filled:
    """A value and which paths of it were not judged."""

    value: Any
    not_judged: tuple[str, ...] = ()
    judged: bool = False
    """Whether anything in it was judged by the material."""


@dataclass(frozen=True)
class Field:
    """A place in the answer."""

    name: str
    path: str
    material: Material
    depth: int = 0

    def child(self, name: str, material: Material | None = None) -> Field:
        """Return the place of a property."""
        return Field(name, f"{self.path}.{name}" if self.path else name, material or self.material, self.depth + 1)

    def item(self, index: int, material: Material | None = None) -> Field:
        """Return the place of an array's item."""
        return Field(self.name, f"{self.path}[{index}]", material or self.material, self.depth + 1)


@dataclass(frozen=True)
class Filling:
    """Fills the schema ``root``. ``room``: characters that a long text may take."""

    root: Schema
    room: int

    def fill(self, schema: Schema, field: Field) -> Filled:
        """Return a value that satisfies the schema; raises :class:`Unsatisfiable`."""
        if field.depth > _DEEPEST:
            raise Unsatisfiable(f"{field.path}: it goes deeper than {_DEEPEST} levels")
        wrong: str | None = "nothing satisfies it"
        for filled in islice(self._candidates(schema, field), _TRIES):
            wrong = problem(schema, filled.value, self.root)
            if wrong is None:
                return filled
        raise Unsatisfiable(f"{field.path or 'answer'}: {wrong}")

    def _candidates(self, schema: Schema, field: Field) -> Iterator[Filled]:
        form = shape(schema, self.root)
        if form is None:
            return
        for branch in [form, *_conditions(form)]:
            yield from self._of_form(branch, field)

    def _of_form(self, form: Mapping[str, Any], field: Field) -> Iterator[Filled]:
        path = (field.path or "answer",)
        if "const" in form:
            yield Filled(form["const"])
            return
        yield from self._copied(form, field)
        values, told = constants(form)
        if values:
            yield from self._enumerated(form, values, told, field)
            return
        branches = alternatives(form)
        kinds = [form] if len(implied_types(form)) < 2 else [{**form, "type": kind} for kind in implied_types(form)]
        parts = self._sorted(branches, field) if branches else kinds
        unjudged: list[Filled] = []
        for part in parts:
            for filled in islice(self._alternative(part, field, whole=not branches), _TRIES):
                if filled.judged:
                    yield filled
                elif valid(form, filled.value, self.root):
                    unjudged.append(filled)
                    break
        yield from (filled for filled in unjudged if isinstance(filled.value, str))
        if "default" in form:
            yield Filled(form["default"], path)
        if valid(form, None, self.root):
            yield Filled(None, path)
        yield from unjudged
        if branches:
            yield from (filled for part in parts for filled in self._varied(part, field))
        else:
            yield from (filled for part in parts for filled in self._plain(part, field))

    def _alternative(self, part: Schema, field: Field, *, whole: bool) -> Iterator[Filled]:
        """Yield fillings of one alternative: a branch of a union, or one of the form's types (``whole``)."""
        if whole and isinstance(part, Mapping):
            yield from self._judged(part, field)
            yield from self._plain(part, field)
            return
        try:
            yield self.fill(part, replace(field, depth=field.depth + 1))
        except Unsatisfiable:
            return

    def _sorted(self, branches: list[Any], field: Field) -> list[Any]:
        """Return the branches of a union, those whose words fit the material best first, null last."""
        told = {}
        for place, branch in enumerate(branches):
            form = shape(branch, self.root) or {}
            tags = [str(part["const"]) for part in (form.get("properties") or {}).values() if isinstance(part, Mapping) and "const" in part]
            told[str(place)] = f"{described(form)} {' '.join(tags)}".strip()
        scores = judgement.fits([*told], told, field.material) if any(told.values()) else {}
        return [branch for _, branch in sorted(enumerate(branches), key=lambda item: (_is_null(item[1]), -scores.get(str(item[0]), 0.0), item[0]))]

    def _copied(self, form: Mapping[str, Any], field: Field) -> Iterator[Filled]:
        """Yield what the record or the data says under the field's name."""
        data = field.material.data
        if not field.name or not isinstance(data, Mapping) or (key := selection.key_for(field.name, data)) is None:
            return
        raw = data[key]
        if raw is not None:
            yield Filled(raw, judged=True)
        if isinstance(raw, Mapping):
            yield from self._object(form, replace(field, material=field.material.record(raw)))
        if (text := selection.as_text(raw)) is not None:
            yield Filled(selection.shortened(text, form.get("maxLength")), judged=True)
        if isinstance(raw, str):
            for convert in (int, float):
                try:
                    yield Filled(convert(raw), judged=True)
                except ValueError:
                    continue

    def _enumerated(self, form: Mapping[str, Any], values: list[Any], told: Mapping[str, str], field: Field) -> Iterator[Filled]:
        names = [value for value in values if isinstance(value, str)]
        meanings = glosses(names, described(form), field.material.guidance) | {value: text for value, text in told.items() if text}
        best = judgement.choose(values, meanings, field.name, field.material)
        if best is not None:
            yield Filled(best, judged=True)
        path = (field.path or "answer",)
        if "default" in form:
            yield Filled(form["default"], path)
        if any(value is None for value in values):
            yield Filled(None, path)
        for value in values:
            yield Filled(value, path if len(values) > 1 else ())

    def _judged(self, form: Mapping[str, Any], field: Field) -> Iterator[Filled]:
        """Yield what the material says for a form of one type; objects also come where little of them is judged."""
        material, told = field.material, described(form)
        kind = next(iter(implied_types(form)), "")
        if kind == "boolean":
            held = judgement.holds(field.name, told, material)
            if held is not None:
                yield Filled(held, judged=True)
        elif kind in ("integer", "number"):
            number = judgement.count_of(field.name, told, material)
            if number is not None:
                yield Filled(int(number) if number.is_integer() else number, judged=True)
        elif kind == "string":
            for text in self._texts(form, told, field):
                yield Filled(selection.shortened(text, form.get("maxLength")), judged=True)
        elif kind == "array":
            yield from self._array(form, told, field)
        elif kind == "object":
            yield from self._object(form, field)

    def _plain(self, form: Schema, field: Field) -> Iterator[Filled]:
        """Yield values that fit and say nothing."""
        if not isinstance(form, Mapping):
            return
        path = (field.path or "answer",)
        kind = next(iter(implied_types(form)), "null")
        if kind == "boolean":
            yield from (Filled(value, path) for value in (False, True))
        elif kind in ("integer", "number"):
            yield from (Filled(value, path) for value in numbers(form, integral=kind == "integer"))
        elif kind == "string":
            yield from (Filled(value, path) for value in texts(form))
        elif kind == "array":
            yield self._padded(form, [], field)
        elif kind == "null":
            yield Filled(None, path)

    def _texts(self, form: Mapping[str, Any], told: str, field: Field) -> Iterator[str]:
        material = field.material
        if "format" in form:
            yield from selection.formatted(form["format"], material)
            return
        if (found := selection.labelled(field.name, material.text)) is not None:
            yield found
        if "pattern" in form:
            yield from selection.matched(form["pattern"], material)
        role = selection.roles(field.name) or selection.roles(told)
        short, long = min(200, self.room), max(16, self.room // 2)
        if "short" in role and (gist := selection.gist(material)):
            yield selection.shortened(gist, short)
        if "long" in role:
            lists = [records for _, records in record_lists(material.data)]
            longest = max(lists, key=len, default=[])
            yield selection.outline(selection.in_order(longest)[:_MOST_OUTLINED], long) if longest else selection.selected(material, long)
        if role & {"quote", "why"} and (sentence := selection.closest(f"{' '.join(name_words(field.name))} {told}", material)):
            yield selection.shortened(sentence, short)

    def _array(self, form: Mapping[str, Any], told: str, field: Field) -> Iterator[Filled]:
        limit = int(min(form.get("maxItems", _MOST_ITEMS), asks_for(f"{field.name.replace('_', ' ')} {told}") or _MOST_ITEMS, max(1, self.room // 24)))
        limit = max(limit, int(form.get("minItems", 0)))
        item = shape(form.get("items", True), self.root)
        picked: list[Filled] = []
        if item is not None and "prefixItems" not in form:
            picked.extend(islice(self._items(form, item, limit, field), limit))
        if picked:
            yield self._padded(form, picked, field)

    def _items(self, form: Mapping[str, Any], item: Mapping[str, Any], limit: int, field: Field) -> Iterator[Filled]:
        """Yield an array's items as the material gives them: records, values of an enumeration, terms, dates, lines, numbers."""
        material, values = field.material, constants(item)[0]
        kinds = implied_types(item)
        if values:
            names = [value for value in values if isinstance(value, str)]
            meanings = glosses(names, described(item), described(form), material.guidance) | constants(item)[1]
            scores = judgement.fits(names, meanings, material) if material.nonsense < LIMIT else {}
            best = max(scores.values(), default=0.0)
            yield from (Filled(value, judged=True) for value in names if scores.get(value, 0.0) > 0 and scores[value] >= best / 2)
        elif "object" in kinds or "properties" in item:
            yield from self._objects(form, item, limit, field)
        elif "string" in kinds:
            yield from (Filled(selection.shortened(text, item.get("maxLength")), judged=True) for text in self._lines(item, limit, field))
        elif kinds and kinds[0] in ("integer", "number"):
            yield from (Filled(int(n) if n.is_integer() else n, judged=True) for n in judgement.all_numbers(material))

    def _objects(self, form: Mapping[str, Any], item: Mapping[str, Any], limit: int, field: Field) -> Iterator[Filled]:
        material = field.material
        records = selection.records_for(field.name, [*item.get("properties", {})], material)
        if records:
            parts = [material.record(record) for record in selection.in_order(records)[:limit]]
        else:
            rows = material.bullets or [material.sentences[index] for index in material.order[: form.get("minItems", 0)]]
            parts = [material.part(row) for row in rows[:limit]]
        for index, part in enumerate(parts):
            try:
                filled = self.fill(form["items"], Field("", f"{field.path}[{index}]", part, field.depth + 1))
            except Unsatisfiable:
                continue
            yield replace(filled, judged=True)

    def _lines(self, item: Mapping[str, Any], limit: int, field: Field) -> Iterator[str]:
        material = field.material
        if "format" in item or "pattern" in item:
            found = selection.formatted(item["format"], material) if "format" in item else selection.matched(item["pattern"], material)
            yield from found
            return
        role = selection.roles(field.name)
        if "terms" in role:
            yield from selection.key_terms(material, min(limit, 5))
            return
        for records in (records for _, records in record_lists(material.data)):
            key = selection.key_for(stem(name_words(field.name)[-1]) if name_words(field.name) else "", records[0])
            if key is not None:
                yield from (text for record in selection.in_order(records) if (text := selection.as_text(record.get(key))) is not None)
                return
        chosen = material.bullets or [material.sentences[index] for index in material.order[:3]]
        yield from chosen[:limit]

    def _padded(self, form: Mapping[str, Any], picked: list[Filled], field: Field) -> Filled:
        """Return an array of the picked items that fit, filled up to what the form needs."""
        items: list[Filled] = []
        for place, part in enumerate(form.get("prefixItems", ())):
            if place < form.get("maxItems", _MOST_ITEMS):
                items.append(self.fill(part, field.item(place)))
        schema = form.get("items", True)
        unique = bool(form.get("uniqueItems"))
        for filled in picked:
            repeated = unique and any(same(filled.value, other.value) for other in items)
            if not repeated and valid(schema, filled.value, self.root):
                items.append(filled)
        if "contains" in form:
            while sum(valid(form["contains"], item.value, self.root) for item in items) < form.get("minContains", 1):
                items.append(self._another(_both_hold(form["contains"], schema), items, unique, field))
        while len(items) < form.get("minItems", 0):
            items.append(self._another(schema, items, unique, field))
        judged = any(item.judged for item in items)
        names = tuple(path for item in items for path in item.not_judged)
        return Filled([item.value for item in items], names if items else (field.path or "answer",), judged=judged)

    def _another(self, schema: Schema, items: list[Filled], unique: bool, field: Field) -> Filled:
        place = field.item(len(items))
        if not unique:
            return self.fill(schema, place)
        for candidate in islice(self._varied(schema, place), _TRIES):
            if valid(schema, candidate.value, self.root) and not any(same(candidate.value, item.value) for item in items):
                return candidate
        raise Unsatisfiable(f"{field.path or 'answer'}: no further different item can be made")

    def _varied(self, schema: Schema, field: Field) -> Iterator[Filled]:
        """Yield many different values, most of them saying nothing."""
        yield from self._candidates(schema, field)
        form = shape(schema, self.root) or {}
        for part in [*alternatives(form), *({**form, "type": kind} for kind in implied_types(form) or ("integer",))]:
            yield from self._plain(part, field)
        try:
            base = self.fill(schema, field).value
        except Unsatisfiable:
            return
        for name, part in form.get("properties", {}).items():
            if isinstance(base, dict) and name in base:
                for varied in self._varied(part, field.child(name)):
                    yield Filled({**base, name: varied.value}, (field.path,))

    def _object(self, form: Mapping[str, Any], field: Field) -> Iterator[Filled]:
        needed = list(form.get("required", ()))
        for name in needed:
            needed.extend(other for other in form.get("dependentRequired", {}).get(name, ()) if other not in needed)
        names = list(dict.fromkeys([*form.get("properties", {}), *needed]))
        most = form.get("maxProperties", len(names))
        spare = most - len(set(needed))
        values: dict[str, Filled] = {}
        for name in names:
            schema = _whole(schemas_of(form, name))
            if name not in needed:
                if spare <= 0 or (field.depth >= _DEEP and self._holds_parts(schema)):
                    continue
                spare -= 1
            try:
                values[name] = self.fill(schema, field.child(name))
            except Unsatisfiable:
                if name in needed:
                    raise
        for name in self._further_names(form, values):
            if len(values) >= form.get("minProperties", 0):
                break
            if name not in values and valid(form.get("propertyNames", True), name, self.root):
                with contextlib.suppress(Unsatisfiable):  # a name that is not allowed; the next one may be
                    values[name] = self.fill(_whole(schemas_of(form, name)), field.child(name))
        ways = tuple(path for filled in values.values() for path in filled.not_judged)
        yield Filled({name: filled.value for name, filled in values.items()}, ways, judged=any(f.judged for f in values.values()) or not ways)
        fewer = {name: filled for name, filled in values.items() if name in needed}
        yield Filled({name: f.value for name, f in fewer.items()}, tuple(p for f in fewer.values() for p in f.not_judged), judged=True)

    def _holds_parts(self, schema: Schema) -> bool:
        form = shape(schema, self.root) or {}
        return bool(alternatives(form)) or bool({"object", "array"} & set(implied_types(form)))

    def _further_names(self, form: Mapping[str, Any], values: Mapping[str, Filled]) -> Iterator[str]:
        for pattern in form.get("patternProperties", {}):
            yield from (matching(pattern, extra) for extra in range(6))
            yield from (f"{matching(pattern)}{number}" for number in range(1, 64))
        names = form.get("propertyNames")
        if isinstance(names, Mapping):
            yield from (filled.value for filled in islice(self._varied({"type": "string", **names}, Field("", "", Material(""))), 64))
        yield from (f"item{number}" for number in range(1, 64 + len(values)))


def _whole(parts: Sequence[Schema]) -> Schema:
    return parts[0] if len(parts) == 1 else {"allOf": list(parts)} if parts else True


def _both_hold(first: Schema, second: Schema) -> Schema:
    """Return one schema that asks for what both ask for."""
    return first if second is True else {"allOf": [first, second]}


def _conditions(form: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the form with each branch of its ``if`` folded in."""
    rest = {key: value for key, value in form.items() if key not in ("if", "then", "else")}
    if "if" not in form:
        return []
    then = [part for part in (form["if"], form.get("then")) if isinstance(part, Mapping)]
    otherwise = [part for part in (form.get("else"),) if isinstance(part, Mapping)]
    folded = []
    for parts in (then, otherwise):
        whole = dict(rest)
        for part in parts:
            whole = merged(whole, part)
        folded.append(whole)
    return folded


def _is_null(branch: Any) -> bool:
    return isinstance(branch, Mapping) and branch.get("type") == "null"
