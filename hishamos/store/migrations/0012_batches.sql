-- What was handed to a provider in one piece, and which attempts are in it.
create table ledger_batches (
    id text primary key,
    model text not null,
    row_count bigint not null,
    remote_id text,
    state text not null,
    owner text not null,
    made_at timestamptz not null
);

create table ledger_batch_rows (
    attempt_id text primary key,
    batch_id text not null
);
