-- What a run was forecast to cost when it was started.

create table run_forecasts (
    run_id text primary key,
    forecast text not null
);
