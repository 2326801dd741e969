-- Runs, their steps and events, and the rows of maps.

create sequence journal_event_numbers;

create table journal_runs (
    id text primary key,
    kind text not null,
    name text not null,
    version text not null,
    state text not null,
    definition text not null,
    options text,
    inputs text not null,
    files text not null,
    outputs text,
    error text,
    model text,
    project text,
    user_name text,
    place text not null,
    waiting_for text,
    steps_total bigint not null,
    steps_done bigint not null,
    budget_nanos bigint,
    wish text,
    decisions bigint not null,
    lease_number bigint not null,
    lease_owner text,
    lease_until timestamptz,
    created_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz
);

create table journal_steps (
    run_id text not null,
    path text not null,
    attempt bigint not null,
    position text not null,
    parent text,
    item bigint,
    first bigint not null,
    latest boolean not null,
    type text not null,
    state text not null,
    input_hash text,
    inputs text,
    output text,
    error text,
    waiting_for text,
    model text,
    reused boolean not null,
    not_judged text,
    decided text,
    started_at timestamptz,
    finished_at timestamptz,
    primary key (run_id, path, attempt)
);

create table journal_events (
    run_id text not null,
    seq bigint not null,
    kind text not null,
    path text,
    state text,
    message text not null,
    data text not null,
    happened_at timestamptz not null,
    primary key (run_id, seq)
);

create table map_inputs (
    run_id text not null,
    item bigint not null,
    inputs text not null,
    primary key (run_id, item)
);

create table map_rows (
    key text primary key,
    attempt bigint not null,
    state text not null,
    output text,
    model text,
    not_judged text
);

create view runs as
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
    from ledger_attempts
    group by run_id
) s on s.run_id = r.id;

create view steps as
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
    from ledger_attempts
    group by run_id, step_id
) s on s.run_id = j.run_id and s.step_id = j.path
where j.latest;

create view events as
select seq, run_id, kind, path, state, message, data, happened_at from journal_events;
