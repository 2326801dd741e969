-- An attempt that is under way stands with its call; it becomes a row of ledger_attempts once it is complete. A row of so many columns is
-- then written once and never changed, which is what a store of columns does best.

-- Whoever migrates has the store for himself: what was under way is orphaned, as after any crash.
update ledger_attempts
set status = 'orphaned', cause = 'owner_died', usage_source = 'estimated', cost_nanos = reserved_nanos, finished_at = current_timestamp
where status = 'sent';

update ledger_balances set committed_nanos = committed_nanos + reserved_nanos, reserved_nanos = 0 where reserved_nanos <> 0;

alter table ledger_calls add column under_way text;
alter table ledger_calls add column sent text;

create view ledger_all as
select
    id, call_id, idempotency_key, number, run_id, step_id, workflow, command, agent, project, user_name, key_prefix, provider, model, hop,
    status, cause, error, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage_source, price,
    reserved_nanos, cost_nanos, overrun, latency_ms, ttft_ms, started_at, finished_at, tags, outcome
from ledger_attempts
union all
select
    under_way, id, key, cast((cast(sent as json) ->> 'number') as integer), (cast(sent as json) ->> 'run_id'), (cast(sent as json) ->> 'step_id'),
    (cast(sent as json) ->> 'workflow'), (cast(sent as json) ->> 'command'), (cast(sent as json) ->> 'agent'),
    (cast(sent as json) ->> 'project'), (cast(sent as json) ->> 'user_name'), (cast(sent as json) ->> 'key_prefix'),
    (cast(sent as json) ->> 'provider'), (cast(sent as json) ->> 'model'), cast((cast(sent as json) ->> 'hop') as integer),
    'sent', null, null, null, null, null, null, null, null, (cast(sent as json) ->> 'price'),
    cast((cast(sent as json) ->> 'reserved_nanos') as bigint), null, false, null, null,
    cast((cast(sent as json) ->> 'started_at') as timestamptz), null, (cast(sent as json) ->> 'tags'), null
from ledger_calls
where under_way is not null;

create or replace view attempts as
select
    id, call_id, idempotency_key, run_id, step_id, workflow, command, agent, project, user_name, key_prefix, provider, model, status,
    cause, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage_source, cost_nanos, latency_ms,
    ttft_ms, started_at, finished_at, tags, number, hop, error, overrun, reserved_nanos, price
from ledger_all;

create or replace view runs as
select
    r.id, r.name, r.kind, r.state, r.project, r.user_name, r.version, r.model, r.inputs, r.outputs, r.error, r.waiting_for,
    r.steps_total, r.steps_done, coalesce(s.cost_nanos, 0) as cost_nanos, coalesce(s.unpriced, 0) as unpriced,
    coalesce(s.calls, 0) as calls, coalesce(s.attempts, 0) as attempts, coalesce(s.offline, false) as offline,
    r.budget_nanos, r.created_at, r.started_at, r.finished_at
from journal_runs r
left join (
    select
        run_id, cast(sum(cost_nanos) as bigint) as cost_nanos,
        cast(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end) as bigint) as unpriced,
        count(distinct call_id) as calls, count(*) as attempts, max(case when provider = 'offline' then 1 else 0 end) = 1 as offline
    from ledger_all
    group by run_id
) s on s.run_id = r.id;

create or replace view steps as
select
    j.run_id, j.path, j.type, j.state, j.attempt, j.position, j.parent, j.item, j.model, j.reused, j.inputs, j.output, j.error,
    j.waiting_for,
    case when coalesce(s.unpriced, 0) > 0 then null else coalesce(s.cost_nanos, 0) end as cost_nanos,
    coalesce(s.calls, 0) as calls, coalesce(s.attempts, 0) as attempts, j.started_at, j.finished_at
from journal_steps j
left join (
    select
        run_id, step_id, cast(sum(cost_nanos) as bigint) as cost_nanos,
        cast(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end) as bigint) as unpriced,
        count(distinct call_id) as calls, count(*) as attempts
    from ledger_all
    group by run_id, step_id
) s on s.run_id = j.run_id and s.step_id = j.path
where j.latest;
