-- What people say of results; it stays as long as they do.
create table work_result_comments (
    id text primary key,
    result_id text not null,
    user_name text not null,
    text text not null,
    created_at timestamptz not null
);

create index work_result_comments_result on work_result_comments (result_id);
