-- name: runs_by_state
select state, count(*) as runs from journal_runs where state in ('queued', 'running', 'waiting', 'paused') group by state

-- name: spend_since
select cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
       cast(coalesce(sum(case when cost_nanos is null and status not in ('sent', 'cancelled') then 1 else 0 end), 0) as bigint) as unpriced
from attempts where started_at >= $since

-- name: steps_to_approve
select count(*) as steps from journal_steps s join journal_runs r on r.id = s.run_id
where s.latest and s.state = 'waiting' and s.decided is null and s.type = 'approval' and r.state in ('running', 'waiting', 'paused')
