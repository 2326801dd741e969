"""A workspace with as many attempts as you like: ``python -m tests.rigs.large_store FOLDER --attempts 200000``.

One real run is made with the offline model; everything else is written beside it by SQL, straight into the file, as a year of work would have left
it: models of four providers, retries, fallback, cut-off and cached answers, unpriced models, offline runs, notebooks, people, projects, tags.
The same number gives the same rows; only the moment that they lead up to is today's. Steps stand for the newest 3,000 runs.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

import hishamos
from hishamos.remote.requests import Requests

EACH = 70
"""Attempts of a run."""
CHUNK = 500_000
STEPS_OF = 3_000
DAYS = 365
STORE = Path("data/local/hishamos.duckdb")
COMMAND = "name: sort_mail\ndescription: Sort a message.\nparameters: {text: {type: text}}\ntemplate: 'Sort this message. {{ text }}'\n"
WORKFLOW = """name: sort_mails
description: Sort messages.
inputs:
  texts: {type: list}
steps:
  - {id: sort, type: map, with: {over: "{{ inputs.texts }}", as: text, step: {type: command, with: {command: sort_mail, inputs: {text: "{{ text }}"}}}}}
"""

MACROS = """
create temp macro sign(x) as substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', cast(x & 31 as integer) + 1, 1);
create temp macro base32(x) as
    sign(x >> 35) || sign(x >> 30) || sign(x >> 25) || sign(x >> 20) || sign(x >> 15) || sign(x >> 10) || sign(x >> 5) || sign(x);
create temp macro run_name(r) as base32(r * 7364826517 % 1099511627776) || right(base32(r), 4);
create temp macro when_of(n) as
    $begin::timestamptz + to_microseconds(cast($span * (n / $attempts + 0.8 / (2 * pi() * 52) * sin(2 * pi() * 52 * n / $attempts)) as bigint));
create temp macro dice(n, salt) as cast(hash(n * 16 + salt) % 1000 as integer);
"""

MODELS = """
create temp table models as select * from (values
    (0, 'openai', 'openai/gpt-4.1-mini', 400, 1600), (1, 'openai', 'openai/gpt-4.1', 2000, 8000), (2, 'anthropic', 'anthropic/claude-haiku-4-5', 1000, 5000),
    (3, 'anthropic', 'anthropic/claude-sonnet-4-5', 3000, 15000), (4, 'gemini', 'gemini/gemini-2.5-flash', 300, 2500),
    (5, 'gemini', 'gemini/gemini-2.5-pro', 1250, 10000), (6, 'ollama', 'ollama/llama3.2', 0, 0), (7, 'house', 'house/tuned-7b', null, null),
    (8, 'offline', 'offline/extractive', 0, 0)
) as m(m, provider, model, input_nanos, output_nanos);
create temp table priced as select *, case when input_nanos is null then null else
    printf('{"model":"%s","since":"2026-01-01","source":"hishamos.toml","input":"%.3f","output":"%.3f","tiers":[]}', model, input_nanos / 1000, output_nanos / 1000)
end as price from models;
"""

# Of 20 attempts one fails and is sent again: to the same model, or, where k is 17, to the next one of its route.
PLAN = """
create or replace temp table plan as
select *, coalesce(case when offline then 8 when k = 18 then 2 end, case
        when d < 340 then 0 when d < 420 then 1 when d < 640 then 2 when d < 720 then 3 when d < 890 then 4 when d < 930 then 5 when d < 970 then 6 else 7
    end) as m,
    case when offline then 'succeeded' when k in (7, 17) then 'failed' when k = 5 and d < 200 then 'cached' when k = 11 and d < 120 then 'incomplete'
        when k = 13 and d < 4 then 'orphaned' else 'succeeded' end as status
from (
    select n, k, offline, r, dice(call, 1) as d, dice(n, 2) as e, dice(n, 3) as f, call, case when k in (8, 18) then 2 else 1 end as number
    from (
        select n, n % 20 as k, n // $each as r, (n // $each) % 25 = 3 as offline, case when n % 20 in (8, 18) then n - 1 else n end as call from range($first, $last) t(n)
    )
);
"""

ATTEMPTS = """
insert into ledger_attempts by name
select
    base32(epoch_us(when_of(n)) // 10000) || base32(n) as id, base32(epoch_us(when_of(call)) // 10000) || base32(call) as call_id,
    run_name(r) || '/sort[' || (call % $each) || ']/1/0' as idempotency_key, number, run_name(r) as run_id, 'sort[' || (call % $each) || ']' as step_id,
    ['sort_mails', 'triage_bugs', 'weekly_report', 'review_code', 'watch_prices'][r % 5 + 1] as workflow,
    ['sort_mail@1f0c', 'classify_bug@744468da577d', 'summarise@90aa', 'review@31fe', 'extract@77b2', 'translate@09cd'][r % 6 + 1] as command,
    ['bug-triage', 'analyst', 'code-reviewer', null][r % 4 + 1] as agent, ['DEMO', 'MAIL', 'SHOP', 'OPS', null][r % 7 % 5 + 1] as project,
    ['owner', 'amira', 'jonas', 'li', 'sofia', 'tomas'][r % 11 % 6 + 1] as user_name, case when r % 9 = 0 then 'hk_' || right(base32(r % 3), 4) end as key_prefix,
    provider, model, case when k = 18 then 1 else 0 end as hop, status,
    case status when 'failed' then case when k = 17 then 'rate_limit' when d < 700 then 'server_error' else 'timeout' end when 'incomplete' then 'length'
        when 'orphaned' then 'owner_died' end as cause,
    case status when 'failed' then 'the provider is busy' end as error,
    case when status = 'failed' then 0 when status = 'cached' then 0 else 200 + e * 3 end as input_tokens,
    case when status in ('failed', 'cached') or f < 700 then 0 else 100 + e end as cached_tokens, 0 as cache_write_tokens,
    case when status in ('failed', 'cached') then 0 else 20 + f // 2 end as output_tokens,
    case when m in (3, 5) and status = 'succeeded' then f // 4 else 0 end as reasoning_tokens,
    case when status = 'orphaned' or offline then 'estimated' else 'provider' end as usage_source, price,
    cast((200 + e * 3) * input_nanos + 2048 * output_nanos as bigint) as reserved_nanos,
    case when status in ('failed', 'cached') then 0 else cast((200 + e * 3) * input_nanos + (20 + f // 2) * output_nanos as bigint) end as cost_nanos,
    false as overrun,
    case when status = 'cached' then 0.4 when offline then 20.0 + e / 10 else 250 + m * 90 + e * e / 400.0 + f end as latency_ms,
    case when status in ('failed', 'cached') then null when offline then 10.0 else 120 + m * 30 + e / 4.0 end as ttft_ms,
    when_of(n) as started_at, when_of(n) + to_milliseconds(250 + m * 90 + e * e // 400 + f) as finished_at,
    '{' || concat_ws(',',
        case when r % 3 = 0 then '"cell":"' || (r % 5 + 2) || '","git_commit":"' || right(base32(r // 40), 7) || '","notebook":"reports/'
            || ['mail', 'bugs', 'weekly'][r % 9 // 3 + 1] || '.ipynb"' end,
        case when r % 5 < 3 then '"own":{"customer":"' || ['acme', 'globex', 'initech', 'umbrella', 'hooli'][r % 13 % 5 + 1] || '"'
            || case when r % 4 = 0 then ',"experiment":"' || ['a', 'b'][r % 8 // 4 + 1] || '"' else '' end || '}' end
    ) || '}' as tags,
    case when status = 'succeeded' then '{"call_id":"' || base32(epoch_us(when_of(call)) // 10000) || base32(call) || '","key":"' || run_name(r) || '/sort['
        || (call % $each) || ']/1/0","status":"succeeded","text":"to be answered","model":"' || model || '"}' end as outcome
from plan join priced using (m) order by n;
"""

CALLS = """
insert into ledger_calls by name
select base32(epoch_us(when_of(call)) // 10000) || base32(call) as id, run_name(r) || '/sort[' || (call % $each) || ']/1/0' as key, md5(call::text) as request_hash,
    'default' as target, 'vm:1:AAAAAA' as owner, when_of(call) as opened_at
from plan where number = 1 order by n;
"""

RUNS = """
insert into journal_runs by name
select m.* replace (
    run_name(r) as id, case when r % 41 = 7 then 'failed' else 'succeeded' end as state,
    ['sort_mails', 'triage_bugs', 'weekly_report', 'review_code', 'watch_prices'][r % 5 + 1] as name,
    case when r % 41 = 7 then '{"type":"CallFailed","message":"sort[7]: openai answered 429 four times within 120 s.","facts":{}}' end as error,
    ['DEMO', 'MAIL', 'SHOP', 'OPS', null][r % 7 % 5 + 1] as project, ['owner', 'amira', 'jonas', 'li', 'sofia', 'tomas'][r % 11 % 6 + 1] as user_name,
    $each + 1 as steps_total, $each + 1 as steps_done, null as model,
    when_of(r * $each) as created_at, when_of(r * $each) as started_at, when_of(r * $each + $each - 1) + interval 2 seconds as finished_at,
    when_of(r * $each) as claimed_at)
from (select * from journal_runs where id = $run) m, range($attempts // $each) t(r) order by r;
"""

STEPS = """
insert into journal_steps by name
select s.* replace (run_name(r) as run_id, when_of(r * $each) as started_at, when_of(r * $each + $each - 1) + interval 2 seconds as finished_at)
from (select * from journal_steps where run_id = $run and path = 'sort') s, range(greatest(0, $attempts // $each - $steps_of), $attempts // $each) t(r)
union all by name
select s.* replace (
    run_name(r) as run_id, 'sort[' || i || ']' as path, i as item, '0000' || lpad(i::text, 8, '0') as position,
    when_of(r * $each + i) as started_at, when_of(r * $each + i) + interval 1 second as finished_at)
from (select * from journal_steps where run_id = $run and path = 'sort[0]') s, range(greatest(0, $attempts // $each - $steps_of), $attempts // $each) t(r),
    range($each) u(i);
"""

TAGS = """
insert into ledger_tags by name
select distinct name, strftime(when_of(n), '%Y-%m-%d') as day from range(0, $attempts, $each) t(n), (values ('customer'), ('experiment')) as tags(name);
"""

RESULTS = """
insert into work_results by name
select 'S' || right(base32(r), 7) || 'AAAA' as id, run_name(r) as run_id, ['sort_mails', 'triage_bugs', 'weekly_report', 'review_code', 'watch_prices'][r % 5 + 1] as workflow,
    ['DEMO', 'MAIL', 'SHOP', 'OPS', null][r % 7 % 5 + 1] as project, 'owner' as user_name, 'Report ' || r as title, 'What came of run ' || run_name(r) as summary,
    repeat('Many words. ', 200) as body, '[]' as action_items, false as offline, 1 as version, when_of(r * $each + $each - 1) as created_at
from range(0, $attempts // $each, 10) t(r);
"""


def _workspace(folder: Path) -> str:
    """Make the workspace with one real run in it, and return the run's id; the server has left when this returns."""
    for part, name, text in (("commands", "sort_mail", COMMAND), ("workflows", "sort_mails", WORKFLOW)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / f"{name}.yaml").write_text(text)
    with hishamos.open(folder) as ws:
        run = ws.workflows.start("sort_mails", {"texts": ["one message", "another"]}, model="offline/extractive").wait(60)
    Requests(folder).stop()
    return run.id


def make(folder: Path, attempts: int, *, until: datetime | None = None) -> None:
    """Make a workspace with ``attempts`` attempts over the year before ``until`` (left out: now)."""
    run = _workspace(folder)
    begin = (until or datetime.now(UTC)) - timedelta(days=DAYS)
    values = {"$attempts": str(attempts), "$each": str(EACH), "$steps_of": str(STEPS_OF), "$span": str(DAYS * 86_400_000_000)}
    values |= {"$run": f"'{run}'", "$begin": f"'{begin.isoformat()}'"}

    def filled(sql: str, **more: int) -> str:
        for name, value in (values | {f"${name}": str(value) for name, value in more.items()}).items():
            sql = sql.replace(name, value)
        return sql

    with duckdb.connect(str(folder / STORE)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(filled(MACROS) + MODELS)
        for first in range(0, attempts, CHUNK):
            connection.execute(filled(PLAN, first=first, last=min(attempts, first + CHUNK)))
            connection.execute(filled(ATTEMPTS))
            connection.execute(filled(CALLS))
        for sql in (RUNS, STEPS, TAGS, RESULTS):
            connection.execute(filled(sql))
        connection.execute("checkpoint")


def main() -> None:
    """Read the line and make the workspace."""
    parser = argparse.ArgumentParser(description="Make a workspace with a large ledger.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attempts", type=int, default=200_000)
    given = parser.parse_args()
    if (given.folder / STORE).exists():
        parser.error(f"{given.folder} has a store already: name a new folder")
    begun = time.monotonic()
    make(given.folder, given.attempts)
    size = (given.folder / STORE).stat().st_size
    print(f"{given.attempts:,} attempts in {time.monotonic() - begun:.0f} s, {size / 1e6:,.0f} MB. Next: hishamos --workspace {given.folder} console")


if __name__ == "__main__":
    main()
