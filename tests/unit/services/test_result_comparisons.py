"""Two results beside each other."""

from __future__ import annotations

import pytest

import hishamos
from hishamos.errors import UnknownName


def test_what_they_say_and_the_runs_that_they_came_out_of() -> None:
    with hishamos.open(":memory:") as ws:
        inputs = {"file": hishamos.sample("bugs.csv"), "publish": "yes"}
        runs = [ws.workflows.start("triage_bugs", inputs | {"project": key}, model="offline/extractive").wait(60) for key in ("ONE", "TWO")]
        one, two = (ws.results.list(run=run.id)[0] for run in runs)
        found = ws.results.compare(two.id, one.id)
        assert (found.before.id, found.after.id) == (one.id, two.id)
        assert {difference.place.partition("[")[0] for difference in found.differences} >= {"action_items"}
        assert found.runs is not None
        assert [difference.place for difference in found.runs.inputs] == ["project"]
        ws.results.rate(two.id, 4)
        assert "rating" in {difference.place for difference in ws.results.compare(two.id, one.id).differences}
        itself = ws.results.compare(one.id, one.id)
        assert itself.same
        assert itself.runs is None
        with pytest.raises(UnknownName):
            ws.results.compare("nothing", one.id)
