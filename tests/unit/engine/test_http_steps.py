"""The step type ``http``: the allow-list and its tricks, secrets, bounds, and the same key after a crash."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from hishamos.engine.checking import workflow_problems
from hishamos.engine.outside import Outside, nothing_outside
from hishamos.engine.web import check_addresses, send
from hishamos.errors import InvalidInput, InvalidSettings
from hishamos.gateway.destinations import lent
from hishamos.records.configuration import AllowSettings, Settings
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.runs import RunState
from hishamos.settings import load, wanted_variables
from tests.rigs.run_bench import Bench
from tests.rigs.web import serving
from tests.unit.engine.test_runner import until

KEY = "hush-4711-hush"


@pytest.fixture
def web():
    with serving() as made:
        yield made


@pytest.fixture(params=["duckdb", "postgres"])
def bench(request, web):
    made = Bench(":memory:" if request.param == "duckdb" else request.getfixturevalue("postgres_url"))
    made.allow = AllowSettings(hosts=(f"127.0.0.1:{web.port}",), variables=("TOKEN", "UNSET"))
    made.outside = Outside(lambda: Settings(root="/ws", allow=made.allow), {"TOKEN": KEY}.get, nothing_outside().program)
    yield made
    made.close()


def asked(bench, url, inputs=None, **more):
    step = {"id": "h", "type": "http", "with": {"url": url, **more.pop("request", {})}, **more}
    return bench.run([step], inputs, outputs={"o": "{{ steps.h.output }}"})


def whole(bench):
    """Everything that the store holds, as text."""
    tables = ("journal_runs", "journal_steps", "journal_events")
    return "".join(str(bench.store.fetch(f"select * from {table}")) for table in tables)


def test_the_certificates_that_are_believed_are_read_once(web, monkeypatch):
    read = []
    monkeypatch.setattr(ssl, "create_default_context", lambda *a, real=ssl.create_default_context, **more: read.append(a) or real(*a, **more))
    for _ in range(3):
        send("GET", web.root, headers={}, content=None, timeout_s=5, limit=10_000, check=lambda url: "here")
    assert len(web.asked) == 3
    assert len(read) <= 1


def test_an_answer_is_data(bench, web):
    run = asked(bench, web.root + "/a%20b?q=x@y", request={"method": "POST", "json": {"text": "{{ inputs.t }}"}}, inputs={"t": "ü"})
    assert run.state is RunState.SUCCEEDED, run.error
    output = run.outputs["o"]
    assert (output["status"], output["json"]) == (200, {"ok": True, "n": None})
    ((method, path, headers, body),) = web.asked
    assert (method, path, body) == ("POST", "/a%20b?q=x@y", '{"text": "ü"}'.encode())
    assert headers["idempotency-key"] == f"{run.id}/h/1"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:1",
        "http://localhost:PORT",
        "http://127.1:PORT",
        "http://2130706433:PORT",
        "http://0x7f.0.0.1:PORT",
        "http://0177.0.0.1:PORT",
        "http://[::ffff:127.0.0.1]:PORT",
        "http://user@127.0.0.1:PORT",
        "http://127.0.0.1:PORT@evil.example",
        "http://127.0.0.1:PORT\\@evil.example",
        "http://evil.example#@127.0.0.1:PORT",
        "http://evil.example?@127.0.0.1:PORT",
        "http://127.0.0.1:PORT.evil.example",
        "http://127.0.0.1%00:PORT",
        "http://①②⑦.0.0.2:PORT",
        "http:/127.0.0.1:PORT",
        "//127.0.0.1:PORT",
        "ftp://127.0.0.1:PORT",
        "file:///etc/hosts",
        "http://127.0.0.1:PORT\n.evil.example",
    ],
)
def test_only_the_address_on_the_list_as_it_is_written_there(web, place):
    bench = Bench()
    bench.outside = Outside(lambda: Settings(root="/ws", allow=AllowSettings(hosts=(f"127.0.0.1:{web.port}",))), lambda _: None, nothing_outside().program)
    run = asked(bench, place.replace("PORT", str(web.port)))
    bench.close()
    assert run.state is RunState.FAILED
    assert web.asked == []
    assert "[allow]" in run.error.message or "no plain web address" in run.error.message


def test_a_refusal_says_the_line_and_the_file(bench):
    run = asked(bench, "https://api.example.com/x")
    assert f'hosts = ["{bench.allow.hosts[0]}", "api.example.com"]' in run.error.message
    assert "/ws/hishamos.toml" in run.error.message
    assert 'hosts = ["' + bench.allow.hosts[0] + '", "http://api.example.com"]' in asked(bench, "http://api.example.com/x").error.message


def test_a_name_on_the_list_may_not_lead_to_this_machine(bench, web, monkeypatch):
    def lookup(host, port, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    bench.allow = AllowSettings(hosts=(f"http://rebind.example:{web.port}",))
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    run = asked(bench, f"http://rebind.example:{web.port}/")
    assert "rebind.example leads to 127.0.0.1" in run.error.message
    assert web.asked == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1%eth0", "0.0.0.0", "::", "2002:7f00:1::", "224.0.0.1"])
def test_addresses_that_no_name_may_lead_to(address):
    with pytest.raises(InvalidInput):
        check_addresses("a.example", ["93.184.216.34", address])
    check_addresses("a.example", ["93.184.216.34", "10.1.2.3", "2606:2800:220:1::1"])


def test_a_secret_is_sent_and_stands_nowhere(bench, web):
    run = asked(bench, web.root + "/echo", request={"headers": {"Authorization": "Bearer env:TOKEN"}})
    assert run.state is RunState.SUCCEEDED, run.error
    assert web.asked[0][2]["authorization"] == f"Bearer {KEY}"
    assert run.outputs["o"]["body"] == "Bearer [redacted]"
    assert KEY not in whole(bench)
    assert "Bearer env:TOKEN" in whole(bench)


@pytest.mark.parametrize(("name", "said"), [("OTHER", 'variables = ["TOKEN", "UNSET", "OTHER"]'), ("UNSET", "has no value")])
def test_a_variable_that_is_not_on_the_list_or_has_no_value(bench, web, name, said):
    run = asked(bench, web.root + "/echo", request={"headers": {"Authorization": f"env:{name}"}})
    assert said in run.error.message
    assert web.asked == []


def test_a_models_key_is_never_lent():
    keys = {"env:OPENAI_API_KEY": "sk-of-openai-1", "env:ALIAS": "sk-of-openai-1", "env:OWN": "mine"}.get
    assert lent("OWN", keys) == "mine"
    assert lent("NONE", keys) is None
    for name in ("OPENAI_API_KEY", "ALIAS", "ANTHROPIC_API_KEY"):
        with pytest.raises(InvalidInput, match="model provider"):
            lent(name, keys)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_host_that_is_not_on_the_list_is_not_followed(web, status):
    bench = Bench()
    with serving() as other:
        bench.outside = Outside(lambda: Settings(root="/ws", allow=AllowSettings(hosts=(f"127.0.0.1:{web.port}",))), lambda _: None, nothing_outside().program)
        web.redirect = other.root + "/stolen"
        run = asked(bench, f"{web.root}/redirect{status}", request={"method": "POST", "body": "x"})
        assert run.state is RunState.FAILED
        assert f"127.0.0.1:{other.port}" in run.error.message
        assert other.asked == []
    bench.close()


def test_a_redirect_to_another_host_on_the_list_carries_no_header_of_the_step(bench, web):
    with serving() as other:
        bench.allow = AllowSettings(hosts=(f"127.0.0.1:{web.port}", f"127.0.0.1:{other.port}"), variables=("TOKEN",))
        web.redirect = other.root + "/there"
        run = asked(bench, web.root + "/redirect", request={"headers": {"X-Api-Key": "env:TOKEN"}})
        assert run.outputs["o"]["url"] == other.root + "/there"
        assert KEY not in str(other.asked)
        assert KEY in str(web.asked)
    web.redirect = "/echo"
    assert asked(bench, web.root + "/redirect", request={"headers": {"Authorization": "env:TOKEN"}}).outputs["o"]["body"] == "[redacted]"
    assert "redirects" in asked(bench, web.root + "/loop").error.message


@pytest.mark.parametrize("path", ["/big", "/bomb"])
def test_an_answer_is_not_larger_than_its_limit(bench, web, path):
    assert "larger than 100000 bytes" in asked(bench, web.root + path, request={"limit": 100_000}).error.message


@pytest.mark.parametrize("path", ["/held", "/drip"])
def test_the_whole_request_has_a_time_limit(bench, web, path):
    begun = time.monotonic()
    run = asked(bench, web.root + path, request={"timeout_s": 0.5})
    assert "did not answer within 0.5 s" in run.error.message
    assert time.monotonic() - begun < 5


def test_a_status_is_a_failure_unless_it_is_wanted(bench, web):
    assert "answered 404" in asked(bench, web.root + "/status/404").error.message
    assert asked(bench, web.root + "/status/404", request={"ok": [404]}).outputs["o"]["status"] == 404
    web.asked.clear()
    assert asked(bench, web.root + "/status/503", retry={"attempts": 2}).state is RunState.FAILED
    assert [one[2]["idempotency-key"][-2:] for one in web.asked] == ["/1", "/2"]


def test_a_request_repeated_after_a_crash_has_the_same_key(bench, web):
    identity = bench.insert([{"id": "h", "type": "http", "with": {"url": web.root + "/held", "method": "POST"}}])
    dead = bench.process(lease_s=0.5)
    dead.begin(identity)
    until(lambda: len(web.asked) == 1)
    dead._closed = True
    dead._tools.timers.close()
    dead._tools.pool.shutdown(wait=True, cancel_futures=True)
    time.sleep(0.6)
    web.gate.set()
    following = bench.process()
    until(lambda: following.recover() or bench.get(identity).ended)
    until(lambda: bench.get(identity).state is RunState.SUCCEEDED)
    assert [one[2]["idempotency-key"] for one in web.asked] == [f"{identity}/h/1"] * 2


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"headers": {"Authorization": "Bearer abcdef"}}, "holds a secret"),
        ({"headers": {"X-Api-Key": "abcdef"}}, "holds a secret"),
        ({"headers": {"A": "{{ inputs.x }}"}}, "takes no template"),
        ({"headers": {"A\r\nB": "x"}}, "can't be sent"),
        ({"headers": {"A": "x\r\nB: y"}}, "can't be sent"),
        ({"headers": {"Host": "evil.example"}}, "can't be sent"),
        ({"method": "TRACE"}, "method"),
        ({"json": {}, "body": "x"}, "not both"),
        ({"limit": 10**12}, "limit"),
        ({"hedaers": {}}, "did you mean 'headers'"),
    ],
)
def test_what_is_wrong_is_told_when_the_definition_is_loaded(inputs, said):
    step = {"id": "h", "type": "http", "with": {"url": "https://api.example.com/{{ inputs.x }}", **inputs}}
    flow = {"name": "f", "description": "d", "inputs": {"x": {}}, "steps": [step]}
    problems = workflow_problems(WorkflowDefinition.model_validate(flow), None)
    assert any(said in problem.problem for problem in problems), problems


class TestSettings:
    def test_the_table_is_read_and_names_what_clients_hand_over(self, tmp_path):
        (tmp_path / "hishamos.toml").write_text('[allow]\nhosts = ["api.example.com", "[::1]:80"]\nprograms = ["git", "/usr/bin/env"]\nvariables = ["T"]\n')
        settings = load(tmp_path, lambda _: None)
        assert settings.allow.programs == ("git", "/usr/bin/env")
        assert "T" in wanted_variables(settings)

    @pytest.mark.parametrize(
        "line",
        [
            'hosts = ["*.example.com"]',
            'hosts = ["a/b"]',
            'hosts = ["http://a/b/c"]',
            'hosts = ["user@a"]',
            'hosts = "a"',
            'programs = ["bin/x"]',
            'programs = ["a b"]',
            'programs = ["../x"]',
            'variables = ["a-b"]',
            'host = ["a"]',
        ],
    )
    def test_what_is_no_entry_is_refused_with_its_line(self, tmp_path, line):
        (tmp_path / "hishamos.toml").write_text(f"[allow]\n{line}\n")
        with pytest.raises(InvalidSettings, match="line 2"):
            load(tmp_path, lambda _: None)

    def test_it_is_a_table(self, tmp_path):
        (tmp_path / "hishamos.toml").write_text('allow = ["api.example.com"]\n')
        with pytest.raises(InvalidSettings, match="must be a table"):
            load(tmp_path, lambda _: None)
