-- The client-made id of each changing call, in the commit of what it changed: a repeat returns the first answer.
create table requests (
    id text primary key,
    verb text not null,
    answer text not null,
    made_at timestamptz not null
);
