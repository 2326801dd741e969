-- What one store holds and another does not. DuckDB alone reads these, on a connection to one of the two; "other" is a table of the other's.

-- name: attempts
select id, cost_nanos, status from ledger_all

-- name: attempts_only_there
select
    cast(coalesce(sum(case when h.id is null then 1 else 0 end), 0) as bigint) as attempts,
    cast(coalesce(sum(coalesce(o.cost_nanos, 0) - coalesce(h.cost_nanos, 0)), 0) as bigint) as cost_nanos,
    cast(coalesce(sum(case when h.id is null and o.cost_nanos is null then 1 else 0 end), 0) as bigint) as unpriced
from other o left join ledger_all h on h.id = o.id

-- name: attempts_only_here
select count(*) as attempts, cast(coalesce(sum(h.cost_nanos), 0) as bigint) as cost_nanos,
    cast(coalesce(sum(case when h.cost_nanos is null then 1 else 0 end), 0) as bigint) as unpriced
from ledger_all h where h.id not in (select id from other)

-- name: runs
select id from journal_runs

-- name: results
select id from work_results

-- name: issues
select key as id from work_issues

-- name: messages
select id from conversation_messages

-- name: not_ended
select id, name from journal_runs where state in ('queued', 'running', 'waiting', 'paused') order by created_at, id

-- name: at_work
select id, name from journal_runs where state in ('queued', 'running') order by created_at, id

-- name: last_change
select greatest(
    (select max(created_at) from journal_runs), (select max(finished_at) from journal_runs), (select max(started_at) from ledger_attempts),
    (select max(finished_at) from ledger_attempts), (select max(created_at) from work_results)
) as moment
