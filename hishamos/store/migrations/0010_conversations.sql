-- Conversations with agents. A message is one row: what was said and what came back; its calls stand in the ledger.

create table conversations (
    id text primary key,
    agent text not null,
    title text not null,
    model text,
    project text,
    user_name text not null,
    summary text,
    summed_up integer not null,
    created_at timestamptz not null
);

create table conversation_messages (
    conversation text not null,
    number integer not null,
    id text not null,
    said text not null,
    data text,
    state text not null,
    answer text,
    error text,
    cost_nanos bigint,
    left_out integer not null,
    holder text not null,
    asked_at timestamptz not null,
    ended_at timestamptz,
    primary key (conversation, number)
);
