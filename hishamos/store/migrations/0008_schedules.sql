-- Workflows started by the clock, and what came of each time: one row a time, so that none starts twice.

create table schedules (
    name text primary key,
    id text not null,
    workflow text not null,
    cron text not null,
    timezone text not null,
    inputs text not null,
    model text,
    project text,
    budget_nanos bigint,
    missed text not null,
    overlap text not null,
    enabled boolean not null,
    user_name text,
    key_prefix text,
    next_at timestamptz,
    waiting text not null,
    created_at timestamptz not null
);

create table schedule_times (
    schedule_id text not null,
    due_at timestamptz not null,
    outcome text not null,
    run_id text,
    note text not null,
    decided_at timestamptz not null,
    primary key (schedule_id, due_at)
);
