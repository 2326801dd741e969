"""Favourites and ratings of commands behave alike on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.composition import Composed, compose
from hishamos.errors import InvalidInput, NotAllowed, UnknownName
from hishamos.records.actors import OWNER, Actor
from hishamos.services.service import request_id
from hishamos.workspace import Workspace

AMAL = Actor(name="amal")
COMMAND = "name: sum_up\ndescription: Sums up.\nparameters: {{text: {{type: text}}}}\ntemplate: '{} {{{{ text }}}}'\n"


@pytest.fixture(params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Composed]:
    address = str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")
    (tmp_path / "hishamos.toml").write_text("")
    made = compose(tmp_path, store=address)
    made.start()
    yield made
    made.close()


@pytest.fixture
def ws(house: Composed) -> Workspace:
    return house.workspace_for(OWNER)


def test_favourites_are_each_persons_own(house: Composed, ws: Workspace):
    assert ws.commands.favourites() == []
    assert ws.commands.favour("classify_bug") == ["classify_bug"]
    assert ws.commands.favour("classify_bug") == ["classify_bug"]
    assert house.workspace_for(AMAL).commands.favourites() == []
    assert ws.commands.favour("classify_bug", on=False) == ws.commands.favourites() == []
    for on in (True, False):
        with pytest.raises(UnknownName, match="did you mean 'classify_bug'"):
            ws.commands.favour("clasify_bug", on=on)


def test_a_favourite_that_is_gone_is_left_out_and_can_be_let_go(house: Composed, ws: Workspace):
    file = house.machinery.root / "commands" / "sum_up.yaml"
    file.parent.mkdir()
    file.write_text(COMMAND.format("Sum up."))
    assert ws.commands.favour("sum_up") == ["sum_up"]
    file.unlink()
    assert ws.commands.favourites() == []
    assert ws.commands.favour("sum_up", on=False) == []
    file.write_text(COMMAND.format("Sum up."))
    assert ws.commands.favourites() == []


def test_a_person_rates_a_version_once_and_may_change_it(house: Composed, ws: Workspace):
    file = house.machinery.root / "commands" / "sum_up.yaml"
    file.parent.mkdir()
    file.write_text(COMMAND.format("Sum up."))
    assert (ws.commands.ratings("sum_up"), ws.commands.versions("sum_up")[0].rating) == ([], None)
    ws.commands.rate("sum_up", 1)
    given = ws.commands.rate("sum_up", 4, comment=" short\x1b ")
    assert (given.rating, given.comment, given.user_name, given.mine) == (4, "short\ufffd", "owner", True)
    hers = house.workspace_for(AMAL).commands.rate("sum_up", 5)
    assert ws.commands.ratings("sum_up") == [hers.model_copy(update={"mine": False}), given]
    (told,) = ws.commands.versions("sum_up")
    assert (told.ratings, told.rating, told.attempts) == (2, 4.5, 0)
    before, _ = told.version, ws.commands.run("sum_up", {"text": "Caches are fast."}, model="offline/extractive")
    file.write_text(COMMAND.format("Sum up in a sentence."))
    now, earlier = ws.commands.versions("sum_up")
    assert [(one.ratings, one.rating) for one in (now, earlier)] == [(0, None), (2, 4.5)]
    ws.commands.rate("sum_up", 2, version=before)
    assert [(one.ratings, one.rating) for one in ws.commands.versions("sum_up")] == [(0, None), (2, 3.5)]


def test_what_is_no_rating_is_refused(house: Composed, ws: Workspace):
    for bad in (0, 6, -1):
        with pytest.raises(InvalidInput, match="from 1 to 5"):
            ws.commands.rate("classify_bug", bad)
    with pytest.raises(InvalidInput, match="at most 400"):
        ws.commands.rate("classify_bug", 3, comment="x" * 401)
    with pytest.raises(UnknownName, match="version of classify_bug"):
        ws.commands.rate("classify_bug", 3, version="never")
    with pytest.raises(UnknownName):
        ws.commands.ratings("nobody")
    stranger = house.workspace_for(Actor(name="stranger", role="nobody"))
    for act in (lambda: stranger.commands.rate("classify_bug", 3), lambda: stranger.commands.favour("classify_bug")):
        with pytest.raises(NotAllowed, match=r"commands\.rate"):
            act()
    assert ws.commands.ratings("classify_bug") == []


def test_a_favourite_repeated_under_its_id_is_answered_as_the_first_time(ws: Workspace):
    token = request_id.set("the-client-made-id")
    try:
        first = ws.commands.favour("classify_bug")
    finally:
        request_id.reset(token)
    ws.commands.favour("classify_bug", on=False)
    token = request_id.set("the-client-made-id")
    try:
        assert ws.commands.favour("classify_bug") == first
    finally:
        request_id.reset(token)
    assert ws.commands.favourites() == []
