-- name: children_of_run
select parent, state, count(*) as number
from journal_steps
where run_id = $run and latest and parent is not null
group by parent, state
order by parent, state;

-- name: steps_by_state
select state, count(*) as number from journal_steps where run_id = $run and latest group by state order by state;
