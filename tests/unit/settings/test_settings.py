"""The settings: what is found where, and a clear word about everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from hishamos.errors import InvalidSettings
from hishamos.records.configuration import AllowSettings, BudgetSettings, LimitSettings, PriceSettings, ProviderSettings, RouteSettings, WorkspaceSettings
from hishamos.records.mcp import McpSettings
from hishamos.settings import Keys, SettingsSource, find_root, load


def written(folder: Path, text: str) -> Path:
    (folder / "hishamos.toml").write_text(text, encoding="utf-8")
    return folder


def refusal(folder: Path, text: str) -> InvalidSettings | None:
    try:
        load(written(folder, text), {}.get)
    except InvalidSettings as error:
        return error
    return None


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    found = load(tmp_path, {}.get)
    assert (found.workspace.step_timeout_s, found.workspace.max_retries, found.workspace.route) == (300, 3, "default")
    assert found.providers == {}
    assert found.routes == {}
    written(tmp_path, '[providers.openai]\n[routes.default]\nmodels = ["openai/x"]\n[budgets.b]\nlimit_usd = "1"\n')
    found = load(tmp_path, {}.get)
    provider, route, budget = found.providers["openai"], found.routes["default"], found.budgets["b"]
    assert (provider.kind, provider.api_key, provider.concurrency, provider.timeout_s, provider.idle_timeout_s) == ("openai", "env:OPENAI_API_KEY", 32, 60, 15)
    assert (route.attempts, route.deadline_s, route.max_output_tokens, route.orphans, route.on_broken_stream) == (4, 120, 2048, "retry", "restart")
    assert (budget.hard, budget.warn_at, budget.period, budget.scope) == (True, (), "month", "workspace")


def test_providers_are_found_in_the_environment_and_make_the_default_route(tmp_path: Path) -> None:
    environment = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "", "OLLAMA_HOST": "127.0.0.1:11434"}
    found = load(tmp_path, lambda name: environment.get(name) or None)
    assert set(found.providers) == {"anthropic", "ollama"}
    assert found.providers["ollama"].api_base == "http://127.0.0.1:11434"
    assert found.routes["default"].models == ("anthropic/claude-haiku-4-5",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[workspce]\n", r"unknown table \[workspce\]; did you mean 'workspace'.*line 1"),
        ("[workspace]\nstroe = 'x'\n", r"unknown key 'stroe'.*did you mean 'store'.*line 2"),
        ("[providers.openai]\napi_key = 'sk-1'\n", r"literal key.*line 2.*env:OPENAI_API_KEY"),
        ("[providers.openai]\nrpm = -1\n", r"rpm: Input should be greater than 0.*line 2"),
        ("[routes.default]\nmodels = ['opnai/gpt-4']\n", r"unknown provider 'opnai'; did you mean 'openai'"),
        ("[routes.default]\nmodels = ['gpt-4']\n", r"'gpt-4' is no model"),
        ("[routes.default]\norphans = 'maybe'\nmodels = ['openai/x']\n", r"orphans: Input should be 'retry', 'fail' or 'ask'"),
        ("[workspace]\ntimezone = 'Mars/Olympus'\n", r"no time zone 'Mars/Olympus'"),
        ("[budgets.m]\nlimit_usd = 'much'\n", r"limit_usd: Input should be a valid decimal"),
        ("[prices.'openai/x']\nprice = 'cheap'\n", r"price: Input should be 'free'"),
        ("[workspace\n", r"no valid TOML"),
        ("[workspace]\nstore = 'mysql://me:secret@host/db'\n", r"store: nothing here speaks mysql://.*line 2.*postgresql://"),
        ("[workspace]\nbroker = 'amqp://host'\n", r"broker: nothing here speaks amqp://.*line 2"),
        ("[budgets.m]\nlimit_usd = '-1'\n", r"limit_usd: Input should be greater than or equal to 0.*line 2"),
        ("[budgets.m]\nlimit_usd = '1'\nwarn_at = ['80']\n", r"warn_at.*less than or equal to 10"),
        ("[budgets.m]\nscope = 'projet:X'\nlimit_usd = '1'\n", r"'projet:X' is no scope.*line 2.*project:KEY"),
        ("[prices.'openai/x']\ninput = '-0.1'\n", r"input: Input should be greater than or equal to 0.*line 2"),
        ("[providers.openai]\ntimeout_s = -1\n", r"timeout_s: Input should be greater than 0.*line 2"),
        ('[providers.openai]\nhide = ["email", "name"]\n', r"hide: Input should be 'email', 'phone' or 'card'.*line 2"),
        ("[providers.openai]\nidle_timeout_s = inf\n", r"idle_timeout_s: Input should be a finite number.*line 2"),
        ("[providers.openai]\nconcurrency = 0\n", r"concurrency: Input should be greater than 0.*line 2"),
        ("[routes.default]\nmodels = ['openai/x']\nattempts = -1\n", r"attempts: Input should be greater than 0.*line 3"),
        ("[routes.default]\nmodels = ['openai/x']\ndeadline_s = inf\n", r"deadline_s: Input should be a finite number.*line 3"),
        ("[routes.default]\nmodels = ['openai/x']\nmax_output_tokens = -7\n", r"max_output_tokens: Input should be greater than 0.*line 3"),
        ("[routes.default]\nmodels = ['openai/x']\nweights = {'openai/x' = -1}\n", r"weights: Input should be greater than or equal to 0.*line 3"),
        ("[routes.default]\nmodels = []\n", r"models: Tuple should have at least 1 item.*line 2"),
        ("[routes.default]\nmodels = ['openai/']\n", r"'openai/' is no model.*line 2"),
        ("[routes.cheapest]\nmodels = ['openai/x']\n", r"\[routes.cheapest\] is the name of a policy.*line 1"),
        ("[routes.'a/b']\nmodels = ['openai/x']\n", r"is how a model is named.*line 1"),
        ("[budgets.m]\nlimit_usd = '1'\nwarn_at = ['0.5', '-0.5']\n", r"warn_at: Input should be greater than 0.*line 3"),
        ("[workspace]\nstep_timeout_s = -1\n", r"step_timeout_s: Input should be greater than 0.*line 2"),
        ("[workspace]\nmax_retries = -1\n", r"max_retries: Input should be greater than or equal to 0.*line 2"),
        ("[providers.a]\napi_key = 'env:A'\n[providers.b]\n# api_key\napi_key = 'sk-1'\n", r"\[providers.b\].*literal key.*line 5"),
        ("[prices.\"o/x\"]\ninput = '1'\n[prices.\"o/y\"]\ninput = 'x'\n", r"valid decimal.*line 4"),
        ("[providers]\nopenai = {api_key = 'sk-1'}\n", r"literal key.*line 2"),
        ("routes = 3\n", r"must be a table of tables"),
        ("[routes]\ndefault = 3\n", r"has the value 'default' where a table belongs"),
        (
            "[providers.a]\nkind = 'openai'\n[providers.b]\nkind = 'opnai'\n",
            r"\[providers.b\] 'opnai' is no kind of provider; did you mean 'openai'\?.*line 4\)\. Write kind = \"openai\"",
        ),
        ("[providers.mistrl]\nrpm = 3\n", r"'mistrl' is no kind of provider; did you mean 'mistral'.*line 1"),
        ("[providers.a]\nkind = ''\n", r"'' is no kind of provider.*line 2\)\. Write kind = \"openai\""),
        (
            "[providers.openai]\napi_base = 'https://llm.example/v1?api_key=sk-1'\n",
            r"api_base holds a literal key \(.*line 2\)\. Take it out .*env:OPENAI_API_KEY",
        ),
        ("[providers.a]\nkind = 'openai'\napi_base = 'https://x.example/v1?v=2&Token=sk-1'\n", r"api_base holds a literal key.*line 3.*env:A_API_KEY"),
        ("[providers.openai]\napi_base = 'https://llm.example/v1#subscription-key=sk-1'\n", "api_base holds a literal key"),
        ("[workspace]\nroute = 'defualt'\n", r"there is no route 'defualt'; did you mean 'default'\?.*line 2"),
        ("[workspace]\nroute = 'chepest'\n", r"there is no route 'chepest'; did you mean 'cheapest'"),
        ("[workspace]\nroute = 'gpt-4.1'\n[routes.r]\nmodels = ['openai/gpt-4.1']\n", r"no route 'gpt-4.1'; did you mean 'openai/gpt-4.1'.*line 2"),
        ("[workspace]\nroute = 'opnai/gpt-4.1'\n", r"\[workspace\] unknown provider 'opnai'; did you mean 'openai'.*line 2"),
        ("[workspace]\nroute = ''\n", r"there is no route ''.*line 2"),
        ("[workspace]\nstore = ''\n", r"\[workspace\] store is empty \(.*line 2\)\. Write a file"),
        ("[workspace]\nbroker = ' '\n", r"\[workspace\] broker is empty \(.*line 2\)\. Write \"local\""),
        ("# none\nworkspace = 3\n", r"\[workspace\] must be a table \(.*line 2\)\. Write \[workspace\], and its keys under it"),
        ("[[workspace]]\nroute = 'x'\n", r"\[workspace\] must be a table \(.*line 1\)"),
        ("allow = []\n", r"\[allow\] must be a table \(.*line 1\)"),
        ("[providers]\nopenai = 3\n", r"\[providers\] has the value 'openai' where a table belongs \(.*line 2\)\. Write \[providers.openai\]"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidSettings, match=words) as caught:
        load(written(tmp_path, text), {}.get)
    assert "hishamos.toml" in str(caught.value)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize("kind", ["offline", "mistral", "openai_like", "azure_ai", "lm_studio", "housegpt"])
def test_another_kind_of_provider_may_be_there(tmp_path: Path, kind: str) -> None:
    assert load(written(tmp_path, f"[providers.own]\nkind = '{kind}'\n"), {}.get).providers["own"].kind == kind


@pytest.mark.parametrize("usual", ["default", "best value", "quick", "openai/gpt-4.1", "own/large"])
def test_the_usual_route_is_a_route_a_policy_or_a_model(tmp_path: Path, usual: str) -> None:
    text = f"[workspace]\nroute = '{usual}'\n[providers.own]\nkind = 'openai'\napi_base = 'https://x.example/v1?api-version=2'\n[routes.quick]\nmodels = ['own/x']\n"
    assert load(written(tmp_path, text), {}.get).workspace.route == usual


@pytest.mark.parametrize("asked", ["api-version=2024-10-21", "tokenizer=o200k", "author=us", "keyspace=main", "max_tokens=9"])
def test_an_address_may_hold_what_is_no_secret(tmp_path: Path, asked: str) -> None:
    address = f"https://x.example/v1?{asked}"
    assert load(written(tmp_path, f"[providers.openai]\napi_base = '{address}'\n"), {}.get).providers["openai"].api_base == address


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "hishamos.toml").write_bytes(b"\xef\xbb\xbf[workspace]\nroute = 'cheapest'\n")
    assert load(tmp_path, {}.get).workspace.route == "cheapest"
    (tmp_path / "hishamos.toml").write_bytes(b"\xef\xbb\xbf[workspace]\nrout = 'cheapest'\n")
    with pytest.raises(InvalidSettings, match="line 2"):
        load(tmp_path, {}.get)


WRONG = ("3", "0", '""', '"x"', "[]", "[3]", "true", "false", "1.5", "inf", "1979-05-27", "{}", "{x = {}}", "[{}]")
SINGLE: dict[str, type[BaseModel]] = {"workspace": WorkspaceSettings, "allow": AllowSettings}
NAMED: dict[str, type[BaseModel]] = {
    "providers": ProviderSettings, "routes": RouteSettings, "prices": PriceSettings, "limits": LimitSettings, "budgets": BudgetSettings, "mcp": McpSettings,
}  # fmt: skip


@pytest.mark.parametrize("table", [*SINGLE, *NAMED])
def test_a_value_of_any_wrong_kind_is_told_and_never_a_crash(tmp_path: Path, table: str) -> None:
    heading, model = (table, SINGLE[table]) if table in SINGLE else (f'{table}."a/b"', NAMED[table])
    lines = [f"{table} = {value}" for value in WRONG]
    lines += [f"[{table}]\n'a/b' = {value}" for value in WRONG]
    lines += [f"[{heading}]\n{name} = {value}" for name in model.model_fields for value in WRONG]
    refused = {text: error for text in lines if (error := refusal(tmp_path, f"{text}\n")) is not None}
    assert len(refused) > len(lines) // 2
    assert [text for text, error in refused.items() if not error.next] == []
    # What lacks in a table that is written in one line has no line.
    assert [text for text, error in refused.items() if "{" not in text and error.line not in {1, 2}] == []


def test_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "hishamos.toml").write_bytes("# für\n".encode("latin-1"))
    with pytest.raises(InvalidSettings, match="not UTF-8"):
        load(tmp_path, {}.get)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "hishamos.toml").mkdir()
    with pytest.raises(InvalidSettings, match=r"can't be read: Is a directory \(.*hishamos.toml"):
        load(tmp_path, {}.get)


def test_a_broken_edit_keeps_the_last_good_settings(tmp_path: Path) -> None:
    source = SettingsSource(written(tmp_path, "[workspace]\nroute = 'cheapest'\n"), Keys())
    heard: list[str] = []
    source.on_change(lambda settings: heard.append(settings.workspace.route))
    written(tmp_path, "[workspace\nbroken = 'more text than before'\n")
    assert source().workspace.route == "cheapest"
    assert "no valid TOML" in (source.error or "")
    written(tmp_path, "workspace = 3\n")
    assert source().workspace.route == "cheapest"
    assert "[workspace] must be a table" in (source.error or "")
    assert heard == []
    written(tmp_path, "[workspace]\nroute = 'best value'\n")
    assert source().workspace.route == "best value"
    assert source.error is None
    assert heard == ["best value"]


def test_keys_are_resolved_and_the_latest_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys()
    assert keys.resolve("env:OPENAI_API_KEY") is None
    monkeypatch.setenv("OPENAI_API_KEY", "of the process")
    assert keys.resolve("env:OPENAI_API_KEY") == "of the process"
    assert keys.hand_over({"OPENAI_API_KEY": "handed"}) == ["OPENAI_API_KEY"]
    assert keys.hand_over({"OPENAI_API_KEY": "handed"}) == []
    assert keys.resolve("env:OPENAI_API_KEY") == "handed"
    (tmp_path / "key").write_text("  in a file\n")
    assert keys.resolve(f"file:{tmp_path / 'key'}") == "in a file"
    assert keys.resolve(f"file:{tmp_path / 'none'}") is None
    (tmp_path / "key").write_text("another one\n")
    assert keys.resolve(f"file:{tmp_path / 'key'}") == "another one"
    (tmp_path / "none").write_text("there now")
    assert keys.resolve(f"file:{tmp_path / 'none'}") == "there now"
    (tmp_path / "key").unlink()
    assert keys.resolve(f"file:{tmp_path / 'key'}") is None


def test_a_keyring_is_not_asked_by_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    held, asked = {"TEAM": "first"}, []

    def look(service: str, name: str) -> str | None:
        asked.append((service, name))
        return held.get(name)

    monkeypatch.setattr("keyring.get_password", look)
    keys = Keys()
    assert [keys.resolve("keyring:TEAM") for _ in range(100)] == ["first"] * 100
    assert asked == [("hishamos", "TEAM")]
    assert keys.resolve("keyring:NOBODY") is None
    held["TEAM"] = "second"
    monkeypatch.setattr("hishamos.settings.RING_S", 0.0)
    assert keys.resolve("keyring:TEAM") == "second"


def test_the_workspace_is_found_in_the_order_of_the_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "project" / "notebooks"
    inner.mkdir(parents=True)
    assert find_root(start=inner) == inner
    (tmp_path / "project" / ".git").mkdir()
    assert find_root(start=inner) == tmp_path / "project"
    (tmp_path / "hishamos.toml").touch()
    assert find_root(start=inner) == tmp_path, "a workspace further up comes before a project nearby"
    (tmp_path / "project" / "data" / "local").mkdir(parents=True)
    (tmp_path / "project" / "data" / "local" / "hishamos.duckdb").touch()
    assert find_root(start=inner) == tmp_path / "project"
    monkeypatch.setenv("HISHAMOS_WORKSPACE", str(tmp_path / "named"))
    assert find_root(start=inner) == tmp_path / "named"
    assert find_root(tmp_path / "explicit", inner) == tmp_path / "explicit"
