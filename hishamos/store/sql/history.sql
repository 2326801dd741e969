-- name: run_by_id
select
    id, kind, name, version, state, inputs, outputs, error, model, project, user_name, place, waiting_for, steps_total, steps_done,
    budget_nanos, priority, key_prefix, options, origin, repeats, created_at, started_at, finished_at
from journal_runs where id = $id;

-- name: runs_found
select
    id, kind, name, version, state, inputs, outputs, error, model, project, user_name, place, waiting_for, steps_total, steps_done,
    budget_nanos, priority, key_prefix, options, origin, repeats, created_at, started_at, finished_at
from journal_runs
where (cast($state as text) is null or state = $state) and (cast($kind as text) is null or kind = $kind)
    and (cast($name as text) is null or name = $name) and (cast($project as text) is null or coalesce(project, '') = $project)
    and (cast($user as text) is null or coalesce(user_name, '') = $user) and (cast($since as timestamptz) is null or created_at >= $since)
order by created_at desc, id desc
limit $limit;

-- name: runs_counted
select coalesce(case cast($by as text) when 'state' then state when 'kind' then kind when 'name' then name when 'project' then project else user_name end, '') as value,
    count(*) as runs
from journal_runs
where (cast($state as text) is null or state = $state) and (cast($kind as text) is null or kind = $kind)
    and (cast($name as text) is null or name = $name) and (cast($project as text) is null or coalesce(project, '') = $project)
    and (cast($user as text) is null or coalesce(user_name, '') = $user) and (cast($since as timestamptz) is null or created_at >= $since)
group by 1
order by 2 desc, 1
limit 1000;

-- name: run_ids_like
select id from journal_runs where id like $pattern order by created_at desc limit 20;

-- name: run_ids
select id from journal_runs order by created_at desc limit 200;

-- name: spend_of_runs
select
    run_id, cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end) as bigint) as unpriced,
    count(distinct call_id) as calls, count(*) as attempts, max(case when provider = 'offline' then 1 else 0 end) as offline
from ledger_costs
where run_id = any(cast($ids as text[]))
group by run_id;

-- name: reused_of_runs
select run_id, count(*) as reused, max(case when model like 'offline/%' then 1 else 0 end) as offline
from journal_steps
where reused and latest and run_id in (select unnest(cast($ids as text[])))
group by run_id;

-- name: spend_of_steps
select
    step_id, cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end) as bigint) as unpriced,
    count(distinct call_id) as calls, count(*) as attempts
from ledger_costs
where run_id = $run and step_id in (select unnest(cast($paths as text[])))
group by step_id;

-- name: spend_below
select
    cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(coalesce(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end), 0) as bigint) as unpriced,
    count(distinct call_id) as calls, count(*) as attempts
from ledger_costs
where run_id = $run and (step_id = $path or step_id like $below escape '\');

-- name: steps_of_run
select * from journal_steps
where run_id = $run and latest and (cast($under as text) is null or coalesce(parent, '') = $under)
    and (cast($state as text) is null or state = $state)
    and (cast($after as text) is null or position > (select max(p.position) from journal_steps p where p.run_id = $run and p.path = $after))
order by position
limit $limit;

-- name: rows_of_map
select
    i.item, s.path, s.state, s.output, s.error, s.model, s.reused, s.not_judged
from map_inputs i
left join journal_steps s on s.run_id = $run and s.latest and s.item = i.item
where i.run_id = $run and i.item > $after and i.item <= $last
order by i.item;

-- name: events_of_run
select seq, run_id, kind, path, state, message, data, happened_at
from journal_events where run_id = $run and seq > $after order by seq limit $limit;

-- name: calls_of_run
select * from ledger_all where run_id = $run and (cast($step as text) is null or step_id = $step)
order by started_at, call_id, number
limit $limit;

-- name: pinned_of_run
select definition from journal_runs where id = $run;

-- name: last_event
select coalesce(max(seq), 0) as seq from journal_events where run_id = $run;

-- name: approvals
select s.run_id, s.path, r.name as workflow, s.waiting_for as message, s.started_at, r.user_name, r.project
from journal_steps s join journal_runs r on r.id = s.run_id
where s.latest and s.state = 'waiting' and s.decided is null and s.type = 'approval' and r.state in ('running', 'waiting', 'paused')
order by s.started_at;

-- name: files_of_run
select files from journal_runs where id = $id;

-- name: states_below
select run_id, path, state from journal_steps
where latest and parent = $parent and run_id in (select unnest(cast($runs as text[])));

-- name: steps_at
select * from journal_steps
where run_id = $run and latest and path in (select unnest(cast($paths as text[])))
order by position;
