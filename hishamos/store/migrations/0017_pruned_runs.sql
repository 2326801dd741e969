-- What is left of a run that was pruned: enough to say so where a result, an attempt or an address names it.
create table pruned_runs (
    id text primary key,
    kind text not null,
    name text not null,
    state text not null,
    created_at timestamptz not null,
    finished_at timestamptz not null,
    pruned_by text not null,
    pruned_at timestamptz not null
);
