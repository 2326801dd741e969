"""Templates: what they give, what stays literal, and what an attacker can't do with them (D22)."""

from __future__ import annotations

import time

import pytest

from hishamos.engine.templates import condition, fill, render, value
from hishamos.errors import TemplateFailed

ROWS = [{"id": 1, "title": "None"}, {"id": 2, "title": "[1]"}, {"id": 3, "title": "{{ 7*7 }}"}]
SCOPE = {"inputs": {"a": 1, "text": "{{ 7 * 7 }}", "nothing": None, "items": [1, 2], "yes": True}, "rows": ROWS, "steps": {}}


def test_text_is_filled_in():
    assert render("a is {{ inputs.a }}, {{ rows | length }} rows\n", SCOPE, "t") == "a is 1, 3 rows"


def test_values_with_template_syntax_stay_literal():
    assert render("{{ inputs.text }} / {{ rows[2].title }}", SCOPE, "t") == "{{ 7 * 7 }} / {{ 7*7 }}"
    assert value("{{ inputs.text }}", SCOPE, "t") == "{{ 7 * 7 }}"


@pytest.mark.parametrize("title", ["None", "123", "[1]", "true", "1e3", "{'a': 1}", "", " x "])
def test_a_title_stays_the_text_it_is(title):
    assert value("{{ t }}", {"t": title}, "w") == title
    assert fill({"x": ["{{ t }}"]}, {"t": title}, "w") == {"x": [title]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ inputs.a }}", 1),
        ("  {{ inputs.a }}\n", 1),
        ("{{ inputs.nothing }}", None),
        ("{{ inputs.items }}", [1, 2]),
        ("{{ inputs.yes }}", True),
        ("{{ rows | map(attribute='id') | list }}", [1, 2, 3]),
        ("{{ rows | map(attribute='id') }}", [1, 2, 3]),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ {'b': (1, 2)} }}", {"b": [1, 2]}),
        ("{{ inputs.a }}{{ inputs.a }}", "11"),
        ("{{ inputs.a }} ", 1),
        ("x {{ inputs.a }}", "x 1"),
        ("no braces", "no braces"),
        ("{ not a template }", "{ not a template }"),
        ("{{ missing | default(5) }}", 5),
        ("{{ inputs.missing | default('x') }}", "x"),
    ],
)
def test_a_lone_expression_keeps_its_value(text, expected):
    assert value(text, SCOPE, "t") == expected


def test_data_inside_a_text_is_json_and_nothing_is_empty():
    assert render("{{ rows[0] }} [{{ inputs.nothing }}] {{ inputs.yes }} {{ 1.5 }}", SCOPE, "t") == '{"id": 1, "title": "None"} [] true 1.5'
    assert render("{{ rows | map(attribute='id') }}", SCOPE, "t") == "[1, 2, 3]"


def test_keys_come_before_methods():
    assert value("{{ inputs.items }}", SCOPE, "t") == [1, 2]
    assert value("{{ d.keys }}", {"d": {"keys": 3}}, "t") == 3
    assert value("{{ d.keys() | list }}", {"d": {"x": 3}}, "t") == ["x"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("5 >= 3", True),
        ("1 == 2 or 1 == 1", True),
        ("not 1 == 2", True),
        ("rows[0].title == 'None'", True),
        ("inputs.missing is defined", False),
        ("inputs.nothing is none", True),
        ("2 in inputs.items and 3 not in inputs.items", True),
        ("inputs.items", True),
        ("''", False),
        ("rows | selectattr('id', 'gt', 1) | list | length == 2", True),
        ("'2026-11-23' > '2026-11-22'", True),
        ("5 / 2 == 2.5", True),
    ],
)
def test_conditions_behave_as_python(expression, expected):
    assert condition(expression, SCOPE, "when") is expected


@pytest.mark.parametrize("expression", ["{{ inputs.a }}", "{% if 1 %}", "inputs.a ==", "inputs.zz == 1", "a b", "1 }} {{ 2"])
def test_a_wrong_condition_is_told(expression):
    with pytest.raises(TemplateFailed, match="step x, when"):
        condition(expression, SCOPE, "step x, when")


ATTACKS = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [0] * 10**9 }}",
    "{{ (1,) * 10**9 }}",
    "{{ 9**(9**9) }}",
    "{{ (10**1000)**1000 }}",
    "{{ 1.5**100000 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "{% for a in range(10) recursive %}{{ loop(range(10)) }}{% endfor %}",
    "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = {1: ns.x, 2: ns.x} %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}",
    "{% set ns = namespace(x=2) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% set x0 = 'aaaaaaaa' %}" + "".join(f"{{% set x{n + 1} %}}{{{{ x{n} }}}}{{{{ x{n} }}}}{{% endset %}}" for n in range(60)),
    "{{ '%1000000000d' % 1 }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '%*d' | format(1000000000, 1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a\t'.expandtabs(1000000000) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a' | indent(1000000000) }}",
    "{{ 'a' | wordwrap(1) }}",
    "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "{{ ('b' * 1000).join(range(99999) | map('string')) }}",
    "{{ range(99999) | join('b' * 1000) }}",
    "{{ range(10**9) }}",
    "{{ rows | batch(1000000000, 'x') }}",
    "{{ lipsum(n=100000) }}",
    "{{ rows | random }}",
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ rows.__class__.__mro__ }}",
    "{{ inputs | attr('__class__') }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner.__init__.__globals__.os }}",
    "{{ namespace.__init__ }}",
    "{{ range.__self__ }}",
    "{{ rows.append(1) }}",
    "{{ inputs.update({'a': 2}) }}",
    "{{ inputs.pop('a') }}",
    "{{ self.__init__ }}",
    "{{ self }}",
    "{{ dict }}",
    "{% include 'x' %}",
    "{% import 'x' as x %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block a %}{% endblock %}",
    "{{ url_for.__globals__ }}",
    "{{ config }}",
    "{{ ' ' | pprint }}",
    "{{ '<a>' | urlize }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ 1 ",
    "{% if %}",
    "x" * 300_000,
]


@pytest.mark.parametrize("template", ATTACKS, ids=[text[:60] for text in ATTACKS])
def test_attacks_are_refused_in_bounded_time(template):
    begun = time.monotonic()
    with pytest.raises(TemplateFailed, match="step x"):
        render(template, {**SCOPE, "rows": [dict(row) for row in ROWS], "inputs": dict(SCOPE["inputs"])}, "step x")
    assert time.monotonic() - begun < 6


@pytest.mark.parametrize("template", ATTACKS[:60])
def test_attacks_in_values_are_text(template):
    assert value("{{ x }}", {"x": template}, "t") == template
    assert render("<{{ x }}>", {"x": template}, "t") == f"<{template}>"


def test_scope_is_not_changed():
    scope = {"inputs": {"a": [1]}}
    with pytest.raises(TemplateFailed):
        render("{{ inputs.a.append(2) }}", scope, "t")
    assert scope == {"inputs": {"a": [1]}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 'abc'.replace('b', 'x') }}", "axc"),
        ("{{ 'abc' | replace('b', 'x', 1) }}", "axc"),
        ("{{ '-'.join(['a', 'b']) }}", "a-b"),
        ("{{ rows | join(', ', attribute='id') }}", "1, 2, 3"),
        ("{{ rows | sum(attribute='id') }}", "6"),
        ("{{ [[1, 2], [3, 4]] | sum(attribute='1') }}", "6"),
        ("{{ 'ab' ~ 1 ~ none }}", "ab1"),
        ("{{ 'ab' + 'c' }}{{ 2 * 3 }}{{ 7 % 4 }}{{ 2 ** 10 }}{{ 'a' * 3 }}", "abc631024aaa"),
        ("{{ rows | batch(2) | list | length }}", "2"),
        ("{{ [1, 2, 3] | batch(2, 0) }}", "[[1, 2], [3, 0]]"),
        ("{{ '%04d' | format(7) }} {{ '%(a)s' | format(a=1) }}", "0007 1"),
        ("{{ {'a': 1} | tojson }}{{ [1] | tojson(indent=2) | length }}", '{"a": 1}7'),
        ("{{ range(3) | tojson }}", "[0, 1, 2]"),
        ("{% for r in rows %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}", "1a2b3a"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}", "<1>"),
        ("{% set x %}a{% endset %}{{ x }}", "a"),
        ("{{ rows | groupby('id') | length }}", "3"),
        ("{{ 'A,B'.lower().split(',') }}", '["a", "b"]'),
        ("{{ (1, 2) }}", "[1, 2]"),
        ("{{ 5 | string }}", "5"),
    ],
)
def test_what_templates_need_works(template, expected):
    assert render(template, SCOPE, "t") == expected


@pytest.mark.parametrize("template", ["{{ rows | sum }}", "{{ [true] | sum }}", "{{ rows | join(attribute='zz') }}", "{{ 1 + 'a' }}", "{{ inputs.zz }}"])
def test_wrong_use_is_told(template):
    with pytest.raises(TemplateFailed):
        render(template, SCOPE, "t")


def test_the_error_says_what_where_and_what_next():
    with pytest.raises(TemplateFailed) as caught:
        render("Dear {{ inputs.nam }}", SCOPE, "command greet")
    assert "command greet" in str(caught.value)
    assert "nam" in str(caught.value)
    assert "default" in str(caught.value)
