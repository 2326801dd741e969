-- Which attempt's answer may be given again, under the hash of everything that can change an answer.
create table cache_entries (
    key text primary key,
    attempt_id text not null,
    made_at timestamptz not null
);
