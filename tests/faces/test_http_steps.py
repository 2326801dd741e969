"""An ``http`` step in the real server: its variable comes from the terminal that starts the run, and stands in no file."""

from __future__ import annotations

from tests.rigs.web import serving

FLOW = """
name: tell
description: Tells another program.
steps:
  - {id: told, type: http, with: {url: "URL", method: POST, headers: {Authorization: "Bearer env:NOTES_TOKEN"}, body: hello}}
outputs: {status: "{{ steps.told.output.status }}"}
"""
KEY = "hush-4711-hush"


def test_a_variable_is_handed_over_and_written_nowhere(own_terminal):
    terminal = own_terminal
    with serving() as web:
        terminal.file("workflows/tell.yaml", FLOW.replace("URL", web.root + "/echo"))
        refused = terminal.json("run", "tell", code=1)
        assert f'hosts = ["127.0.0.1:{web.port}"]' in refused["error"]["message"]
        assert web.asked == []
        terminal.file("hishamos.toml", f'[allow]\nhosts = ["127.0.0.1:{web.port}"]\nvariables = ["NOTES_TOKEN"]\n')
        assert "has no value" in terminal.json("run", "tell", code=1)["error"]["message"]
        terminal.environment["NOTES_TOKEN"] = KEY
        assert terminal.json("run", "tell")["outputs"] == {"status": 200}
        assert web.asked[0][2]["authorization"] == f"Bearer {KEY}"
        terminal.file("hishamos.toml", f'[allow]\nhosts = ["127.0.0.1:{web.port}"]\nvariables = ["OPENAI_API_KEY"]\n')
        terminal.file("workflows/tell.yaml", FLOW.replace("URL", web.root + "/echo").replace("NOTES_TOKEN", "OPENAI_API_KEY"))
        terminal.environment["OPENAI_API_KEY"] = "sk-a-models-own-key"
        assert "model provider" in terminal.json("run", "tell", code=1)["error"]["message"]
        assert len(web.asked) == 1
    terminal.type("server", "stop")
    for file in terminal.folder.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
