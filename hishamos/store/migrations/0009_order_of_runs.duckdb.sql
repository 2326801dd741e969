-- As the other text, without indexes: DuckDB refuses to change an indexed column often, and reads a column of all runs as fast.

alter table journal_runs add column priority integer default 5;
alter table journal_runs add column inside_of text;
alter table journal_runs add column claimed_at timestamptz;
alter table journal_runs add column deaths integer default 0;
alter table journal_runs add column deaths_done bigint;
alter table journal_runs add column deadline_s double precision;
alter table journal_runs add column deadline_at timestamptz;

create table worker_places (
    owner text primary key,
    kind text not null,
    host text not null,
    pid bigint not null,
    places bigint not null,
    started_at timestamptz not null,
    seen_at timestamptz not null
);
