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

-- name: days_of_models
select
    cast(substr(cast(timezone($timezone, started_at) as text), 1, 10) as date) as day, provider, model,
    cast(count(*) as bigint) as attempts,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
    cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(coalesce(sum(case when usage_source = 'estimated' and status <> 'orphaned' then cost_nanos end), 0) as bigint) as estimated_nanos,
    cast(coalesce(sum(case when usage_source = 'estimated' and status = 'orphaned' then cost_nanos end), 0) as bigint) as orphaned_nanos,
    cast(coalesce(sum(case when cost_nanos is null then 1 else 0 end), 0) as bigint) as unpriced
from ledger_all
where started_at >= $since and started_at < $until and status not in ('sent', 'cached') and provider <> 'offline'
group by 1, 2, 3
order by 1, 3;
