-- Calls, attempts and money. A call's outcome stands with the attempt that ended it, else with the call.

create table ledger_calls (
    id text primary key,
    key text not null unique,
    request_hash text not null,
    target text not null,
    owner text not null,
    outcome text,
    opened_at timestamptz not null
);

create table ledger_attempts (
    id text primary key,
    call_id text not null,
    idempotency_key text not null,
    number integer not null,
    run_id text,
    step_id text,
    workflow text,
    command text,
    agent text,
    project text,
    user_name text,
    key_prefix text,
    provider text not null,
    model text not null,
    hop integer not null,
    status text not null,
    cause text,
    error text,
    input_tokens bigint,
    cached_tokens bigint,
    cache_write_tokens bigint,
    output_tokens bigint,
    reasoning_tokens bigint,
    usage_source text,
    price text,
    reserved_nanos bigint,
    cost_nanos bigint,
    overrun boolean not null,
    latency_ms double precision,
    ttft_ms double precision,
    started_at timestamptz not null,
    finished_at timestamptz,
    tags text not null,
    outcome text
);

create index ledger_attempts_call on ledger_attempts (call_id);

create table ledger_budgets (
    name text primary key,
    scope text not null,
    period text not null,
    limit_nanos bigint not null,
    hard boolean not null,
    warn_at text not null,
    origin text not null
);

create table ledger_balances (
    budget text not null,
    scope text not null,
    period text not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    committed_nanos bigint not null,
    reserved_nanos bigint not null,
    closed boolean not null,
    primary key (budget, scope, period)
);

create table ledger_prices (
    model text not null,
    since date not null,
    source text not null,
    kinds text not null,
    noted_at timestamptz not null
);

create table ledger_owners (
    owner text primary key,
    seen_at timestamptz not null
);

create view attempts as
select
    id, call_id, idempotency_key, run_id, step_id, workflow, command, agent, project, user_name, key_prefix, provider, model, status,
    cause, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage_source, cost_nanos, latency_ms,
    ttft_ms, started_at, finished_at, tags, number, hop, error, overrun, reserved_nanos, price
from ledger_attempts;

create view budgets as
select
    b.name, coalesce(l.scope, b.scope) as scope, b.period, l.period as span, b.limit_nanos, b.hard, b.origin,
    coalesce(l.committed_nanos, 0) as committed_nanos, coalesce(l.reserved_nanos, 0) as reserved_nanos,
    coalesce(l.closed, false) as closed
from ledger_budgets b
left join ledger_balances l on l.budget = b.name and l.starts_at <= current_timestamp and l.ends_at > current_timestamp;
