-- Tags that people give. A call's stand in its attempts' tags, under "own"; here is on which days (UTC) a name was used, so that nobody has to look for it.
create table ledger_tags (
    name text not null,
    day text not null,
    primary key (name, day)
);

alter table schedules add column own_tags text;
