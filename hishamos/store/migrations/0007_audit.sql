-- What an attempt cost when that became known later, who made it known, the shares of budgets that were passed, and whose key a run is.

-- An attempt's row is never changed: a cost that a later price or a person gives stands beside it, and the views show it.
create table ledger_corrections (
    attempt_id text primary key,
    cost_nanos bigint not null,
    price text,
    usage_source text,
    audit_id text not null,
    made_at timestamptz not null
);

create table audit_entries (
    id text primary key,
    request_id text not null,
    actor text not null,
    action text not null,
    subject text not null,
    value_before text,
    value_after text,
    attempts bigint,
    added_nanos bigint,
    happened_at timestamptz not null
);

create table ledger_warnings (
    budget text not null,
    scope text not null,
    period text not null,
    share text not null,
    limit_nanos bigint not null,
    held_nanos bigint not null,
    call_id text,
    run_id text,
    message text not null,
    passed_at timestamptz not null,
    primary key (budget, scope, period, share, limit_nanos)
);

alter table ledger_balances add column warned text;

-- The API key that a run was started with: its calls count for that key's budgets too.
alter table journal_runs add column key_prefix text;

create view audit as
select id, happened_at, actor, action, subject, value_before, value_after, attempts, added_nanos from audit_entries;

create or replace view events as
select seq, run_id, kind, path, state, message, data, happened_at from journal_events
union all
select
    cast(null as bigint), run_id, cast('budget' as text), cast(null as text), cast('warned' as text), message, cast('{}' as text), passed_at
from ledger_warnings;

create or replace view ledger_all as
select
    a.id, a.call_id, a.idempotency_key, a.number, a.run_id, a.step_id, a.workflow, a.command, a.agent, a.project, a.user_name, a.key_prefix,
    a.provider, a.model, a.hop, a.status, a.cause, a.error, a.input_tokens, a.cached_tokens, a.cache_write_tokens, a.output_tokens,
    a.reasoning_tokens, coalesce(c.usage_source, a.usage_source) as usage_source, coalesce(c.price, a.price) as price, a.reserved_nanos,
    coalesce(c.cost_nanos, a.cost_nanos) as cost_nanos, a.overrun, a.latency_ms, a.ttft_ms, a.started_at, a.finished_at, a.tags, a.outcome
from ledger_attempts a
left join ledger_corrections c on c.attempt_id = a.id
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
