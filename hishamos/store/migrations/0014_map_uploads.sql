-- Rows of maps that are handed in page by page before their run is started; what is never started is let go.

create table map_uploads (
    id text primary key,
    made_at timestamptz not null
);
