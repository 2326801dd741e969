"""Runs that wait for an event or a time, through the terminal and across the server's end."""

from __future__ import annotations

FLOW = """
name: patient
description: Waits for an event, then for a moment.
steps:
  - {id: paid, type: wait, with: {event: payment}}
  - {id: nap, type: wait, after: [paid], with: {seconds: 1.5}}
outputs: {paid: "{{ steps.paid.output.data }}"}
"""


def test_an_event_and_a_time_across_the_servers_end(own_terminal):
    terminal = own_terminal
    terminal.file("workflows/patient.yaml", FLOW)
    waiting = terminal.json("run", "patient", code=3)
    assert waiting["next"] == [f"hishamos signal {waiting['id']} payment"]
    assert terminal.type("server", "stop").returncode == 0
    refused = terminal.type("signal", waiting["id"], "pay ment")
    assert refused.returncode == 2
    assert "no name of an event" in refused.stderr
    assert terminal.type("signal", waiting["id"], "payment", "--data", "{").returncode == 2
    waits = terminal.json("signal", waiting["id"], "payment", "--data", '{"sum": 12}', code=3)
    assert waits["waiting_for"].startswith("until ")
    terminal.type("server", "stop")
    terminal.until("show", waiting["id"], holds=lambda document: document["state"] == "succeeded")
    ended = terminal.json("show", waiting["id"])
    assert ended["outputs"] == {"paid": {"sum": 12}}
