"""Money in the terminal: books that are held against one another, with a simulated provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from tests.rigs.simulator import Simulator

TOML = """
[providers.openai]
api_key = "env:OPENAI_API_KEY"
api_base = "{url}/v1"
[routes.default]
models = ["openai/gpt-4.1-mini"]
{more}
"""
ECHO = 'name: echo\ndescription: Say it again.\nparameters:\n  text: {type: text}\ntemplate: "{{ text }}"\n'


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.script("gpt-4.1-mini", then={"usage": {"input": 100, "output": 10}})  # 56,000 nano-dollars
        yield running


@pytest.fixture
def paying(own_terminal: Any, simulator: Simulator) -> Any:
    """A terminal in a workspace whose one provider is simulated; ``settings(more)`` writes its file anew."""

    def settings(more: str = "") -> None:
        (own_terminal.folder / "hishamos.toml").write_text(TOML.format(url=simulator.url, more=more))

    own_terminal.environment["OPENAI_API_KEY"] = "sk-money-0123456789abcdef"
    own_terminal.settings = settings
    own_terminal.echo = lambda text, *options: own_terminal.type("command", "echo", "-i", f"text={text}", *options)
    settings()
    (own_terminal.folder / "commands").mkdir()
    (own_terminal.folder / "commands" / "echo.yaml").write_text(ECHO)
    return own_terminal


def by_hand(terminal: Any, statement: str) -> None:
    """Change the store while no server runs."""
    terminal.type("server", "stop")
    with duckdb.connect(str(terminal.folder / "data" / "local" / "hishamos.duckdb")) as store:
        store.execute(statement)


def test_a_balance_that_differs_from_the_ledger_is_named_and_exits_1(paying: Any):
    assert "nothing to compare" in paying.type("reconcile").stdout
    paying.json("budget", "set", "month", "--limit", "5")
    assert paying.echo("one").returncode == 0
    equal = paying.type("reconcile", "--balances")
    assert (equal.returncode, equal.stdout.strip()) == (0, "✓ 1 balance equals the sums over the ledger, to the nano-dollar.")
    by_hand(paying, "update ledger_balances set committed_nanos = committed_nanos + 1")
    differs = paying.type("reconcile", "--balances")
    assert differs.returncode == 1
    assert "month" in differs.stdout
    assert "0.000056001" in differs.stdout
    assert "hishamos budget remove" in differs.stderr
    [check] = paying.json("reconcile", code=1)
    assert (check["budget"], check["committed_nanos"], check["ledger_committed_nanos"], check["equal"]) == ("month", 56_001, 56_000, False)
    paying.json("budget", "remove", "month")
    paying.json("budget", "set", "month", "--limit", "5")
    assert paying.echo("two").returncode == 0
    [again] = paying.json("reconcile")
    assert (again["committed_nanos"], again["equal"]) == (112_000, True)


def test_an_invoice_is_held_against_the_ledger(paying: Any):
    from datetime import UTC, datetime

    assert paying.echo("one").returncode == 0
    assert paying.echo("two").returncode == 0
    day = datetime.now(UTC).date().isoformat()
    paying.file("bill.csv", f'\ufeffDate,Model,Charge\n{day},gpt-4.1-mini-2025-04-14,"$0.000112"\n')
    unnamed = paying.type("reconcile", "bill.csv")
    assert unnamed.returncode == 2
    assert "--columns amount=COLUMN" in unnamed.stderr
    equal = paying.type("reconcile", "bill.csv", "--columns", "amount=Charge", "--timezone", "UTC")
    assert equal.returncode == 0, equal.stdout + equal.stderr
    assert "✓ 1 of 1 days and models are equal" in equal.stdout
    assert "Taken for openai/gpt-4.1-mini: gpt-4.1-mini-2025-04-14" in equal.stdout
    paying.file("more.csv", f"date,model,cost\n{day},gpt-4.1-mini,0.000113\n{day},gpt-9,0.5\n")
    differs = paying.type("reconcile", "more.csv")
    assert differs.returncode == 1
    assert "0.000001" in differs.stdout
    assert "Only on the invoice: gpt-9" in differs.stdout
    paying.file("odd.csv", f"date,model,cost\n{day},gpt-4.1-mini,0.000112\n{day},[/red] [bold]x :warning:,0.5\n")
    odd = paying.type("reconcile", "odd.csv")
    assert odd.returncode == 1, odd.stderr
    assert "Only on the invoice: [/red] [bold]x :warning: (" in odd.stdout
    document = paying.json("reconcile", "more.csv", "--threshold", "0.00001", code=1)
    assert [(row["model"], row["difference_usd"], row["differs"]) for row in document["rows"]] == [
        ("gpt-9", "0.5", True),
        ("openai/gpt-4.1-mini", "0.000001", False),
    ]
    assert (document["ours_usd"], document["theirs_usd"], document["equal"]) == ("0.000112", "0.500113", False)
    assert paying.type("reconcile", "bil.csv").returncode == 2
    assert "bill.csv" in paying.type("reconcile", "bil.csv").stderr
    assert paying.type("reconcile", "bill.csv", "--balances").returncode == 2


LAB = '[providers.lab]\nkind = "openai"\napi_key = "env:OPENAI_API_KEY"\napi_base = "{url}/v1"\n'


def test_unpriced_attempts_get_their_cost_and_the_audit_tells_it(paying: Any, simulator: Simulator):
    lab = LAB.format(url=simulator.url)
    paying.settings(lab)
    assert paying.echo("one", "--model", "lab/gpt-4.1-mini").returncode == 0
    stays = paying.type("reconcile", "--reprice")
    assert stays.returncode == 0
    assert "lab/gpt-4.1-mini: 1 attempts stay unpriced" in stays.stdout
    assert '[prices."lab/gpt-4.1-mini"]' in stays.stderr
    paying.settings(lab + '[prices."lab/gpt-4.1-mini"]\ninput = "3"\noutput = "5"\n')
    done = paying.json("reconcile", "--reprice")
    assert (done["attempts"], done["added_nanos"]) == (1, 350_000)
    assert "nothing changed" in paying.type("reconcile", "--reprice").stdout
    [entry] = paying.json("audit")
    assert (entry["actor"], entry["action"], entry["subject"], entry["added_nanos"]) == ("owner", "ledger.reprice", "lab/gpt-4.1-mini", 350_000)
    assert "0.00035" in paying.type("audit").stdout
    assert paying.json("spend", "--by", "model")[0]["cost_nanos"] == 350_000


def test_an_orphan_is_settled_at_what_a_person_declares(paying: Any):
    paying.json("budget", "set", "all", "--limit", "5", "--period", "total")
    assert paying.echo("one").returncode == 0
    by_hand(paying, "update ledger_attempts set status = 'orphaned', usage_source = 'estimated', cost_nanos = 90000")
    by_hand(paying, "update ledger_balances set committed_nanos = 90000")
    call = paying.json("sql", "select call_id from attempts where status = 'orphaned'")[0]["call_id"]
    assert paying.type("reconcile", "--settle", call).returncode == 2
    settled = paying.type("reconcile", "--settle", f"{call}=0.00001")
    assert settled.returncode == 0, settled.stderr
    assert "0.00001 USD, not 0.00009 USD" in settled.stdout
    assert paying.json("budget")[0]["committed_nanos"] == 10_000
    assert paying.json("reconcile", "--balances")[0]["equal"]
    [entry] = paying.json("audit", "--action", "ledger.settle")
    assert (entry["value_before"], entry["value_after"], entry["added_nanos"]) == ("90000", "10000", -80_000)


def test_a_passed_share_is_told_by_the_call_and_by_the_budget(paying: Any):
    made = paying.json("budget", "set", "month", "--limit", "0.005", "--warn-at", "0.5, 0.9")
    assert (made["warn_at"], made["warnings"]) == (["0.5", "0.9"], [])
    first, second = paying.echo("one"), paying.echo("two")
    assert "! Budget month (workspace, " in first.stderr
    assert "has passed 50 %" in first.stderr
    assert "Budget month" not in first.stdout
    assert "Budget month" not in second.stderr
    [budget] = paying.json("budget")
    [warning] = budget["warnings"]
    assert (warning["share"], warning["budget"], warning["passed_at"][-1]) == ("0.5", "month", "Z")
    assert "50.0 %" in paying.type("budget").stdout
    assert paying.type("budget", "set", "bad", "--limit", "1", "--warn-at", "80").returncode == 2
    [entry] = paying.json("audit", "--action", "budgets.set")
    assert (entry["actor"], entry["subject"], entry["value_before"], "0.005" in entry["value_after"]) == ("owner", "month", None, True)
    assert "month" in paying.type("audit").stdout


def test_a_run_tells_what_it_passed(paying: Any):
    paying.json("budget", "set", "each", "--limit", "0.000001", "--scope", "run", "--soft")
    paying.file("rows.csv", "text\none\ntwo\n")
    done = paying.type("map", "rows.csv", "echo")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has passed 100 %") == 1
    assert "It only warns: calls go on." in done.stderr
    events = paying.json("sql", "select kind, state, message from events where kind = 'budget'")
    assert [(event["kind"], event["state"]) for event in events] == [("budget", "warned")]
