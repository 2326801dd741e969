-- Who is next: priorities, whose turn it is, runs within runs, deadlines, and how often a run's process died.

alter table journal_runs add column priority integer default 5;

-- The run whose step started this one: it is worked on beside that one, and needs no place of its own.
alter table journal_runs add column inside_of text;

alter table journal_runs add column claimed_at timestamptz;

-- Processes that died at work on the run since it last got on, and how many steps had ended at the last death.
alter table journal_runs add column deaths integer default 0;
alter table journal_runs add column deaths_done bigint;

alter table journal_runs add column deadline_s double precision;
alter table journal_runs add column deadline_at timestamptz;

create index journal_runs_by_state on journal_runs (state);
create index journal_runs_by_claim on journal_runs (claimed_at);

create table worker_places (
    owner text primary key,
    kind text not null,
    host text not null,
    pid bigint not null,
    places bigint not null,
    started_at timestamptz not null,
    seen_at timestamptz not null
);
