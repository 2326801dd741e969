-- name: checked_balances
select
    b.budget, b.scope, b.period, b.committed_nanos, b.reserved_nanos,
    cast(coalesce(sum(case when a.status <> 'sent' then a.cost_nanos end), 0) as bigint) as ledger_committed_nanos,
    cast(coalesce(sum(case when a.status = 'sent' then a.reserved_nanos end), 0) as bigint) as ledger_reserved_nanos,
    cast(coalesce(sum(case when a.status = 'orphaned' and a.usage_source = 'estimated' then a.cost_nanos end), 0) as bigint) as orphaned_nanos
from ledger_balances b
left join (
    select 'workspace' as scope, status, usage_source, cost_nanos, reserved_nanos, started_at from ledger_all
    union all
    select 'project:' || project, status, usage_source, cost_nanos, reserved_nanos, started_at from ledger_all where project is not null
    union all
    select 'user:' || user_name, status, usage_source, cost_nanos, reserved_nanos, started_at from ledger_all where user_name is not null
    union all
    select 'key:' || key_prefix, status, usage_source, cost_nanos, reserved_nanos, started_at from ledger_all where key_prefix is not null
    union all
    select 'workflow:' || workflow, status, usage_source, cost_nanos, reserved_nanos, started_at from ledger_all where workflow is not null
    union all
    select 'run:' || run_id, status, usage_source, cost_nanos, reserved_nanos, started_at from ledger_all where run_id is not null
) a on a.scope = b.scope and a.started_at >= b.starts_at and a.started_at < b.ends_at
group by b.budget, b.scope, b.period, b.committed_nanos, b.reserved_nanos
order by b.budget, b.period, b.scope;
