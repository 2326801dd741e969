-- Results, projects and issues.

create table work_results (
    id text primary key,
    run_id text,
    workflow text,
    project text,
    user_name text,
    title text not null,
    summary text not null,
    body text not null,
    data text,
    action_items text not null,
    offline boolean not null,
    version integer not null,
    rating integer,
    created_at timestamptz not null
);

create index work_results_run on work_results (run_id);

create table work_projects (
    key text primary key,
    name text not null,
    issues_made bigint not null,
    created_at timestamptz not null
);

create table work_issues (
    key text primary key,
    project text not null,
    number bigint not null,
    title text not null,
    body text not null,
    kind text not null,
    priority text not null,
    labels text not null,
    state text not null,
    origin text,
    run_id text,
    version integer not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (project, number),
    unique (project, origin)
);

create view results as
select id, run_id, workflow, project, user_name, title, summary, body, data, action_items, offline, version, rating, created_at
from work_results;

create view issues as
select key, project, number, title, body, kind, priority, labels, state, origin, run_id, version, created_at, updated_at
from work_issues;
