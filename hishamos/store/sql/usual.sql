-- name: usual_times
select s.run_id, s.path, s.started_at, s.finished_at
from journal_steps s
where s.parent is null and s.latest and not s.reused and s.finished_at is not null and s.run_id in (
    select id from journal_runs where name = $name and kind = 'workflow' and state = 'succeeded' order by created_at desc limit $most
);

-- name: usual_costs
select
    a.run_id, split_part(split_part(a.step_id, '[', 1), '/', 1) as path, cast(coalesce(sum(a.cost_nanos), 0) as bigint) as cost_nanos,
    cast(sum(case when a.cost_nanos is null and a.status <> 'sent' then 1 else 0 end) as bigint) as unpriced
from ledger_costs a
where a.run_id = any(array(
    select id from journal_runs where name = $name and kind = 'workflow' and state = 'succeeded' order by created_at desc limit $most
))
group by a.run_id, split_part(split_part(a.step_id, '[', 1), '/', 1);
