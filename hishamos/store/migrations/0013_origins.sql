-- Where a run was started from, and which run it repeats. What its calls carry of it stands in their tags, and the views show it.
alter table journal_runs add column origin text;
alter table journal_runs add column repeats text;

create or replace view attempts as
select
    id, call_id, idempotency_key, run_id, step_id, workflow, command, agent, project, user_name, key_prefix, provider, model, status,
    cause, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage_source, cost_nanos, latency_ms,
    ttft_ms, started_at, finished_at, tags, number, hop, error, overrun, reserved_nanos, price,
    (cast(tags as json) ->> 'notebook') as notebook, (cast(tags as json) ->> 'cell') as cell,
    (cast(tags as json) ->> 'git_commit') as git_commit, (cast(tags as json) ->> 'execution') as execution
from ledger_all;

create or replace view runs as
select
    r.id, r.name, r.kind, r.state, r.project, r.user_name, r.version, r.model, r.inputs, r.outputs, r.error, r.waiting_for,
    r.steps_total, r.steps_done, coalesce(s.cost_nanos, 0) as cost_nanos, coalesce(s.unpriced, 0) as unpriced,
    coalesce(s.calls, 0) as calls, coalesce(s.attempts, 0) as attempts, coalesce(s.offline, false) as offline,
    r.budget_nanos, r.created_at, r.started_at, r.finished_at,
    (cast(r.origin as json) ->> 'notebook') as notebook, (cast(r.origin as json) ->> 'cell') as cell,
    (cast(r.origin as json) ->> 'git_commit') as git_commit, (cast(r.origin as json) ->> 'execution') as execution, r.repeats
from journal_runs r
left join (
    select
        run_id, cast(sum(cost_nanos) as bigint) as cost_nanos,
        cast(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end) as bigint) as unpriced,
        count(distinct call_id) as calls, count(*) as attempts, max(case when provider = 'offline' then 1 else 0 end) = 1 as offline
    from ledger_all
    group by run_id
) s on s.run_id = r.id;
