-- name: checked_balances
select
    b.budget, b.scope, b.period, b.committed_nanos, b.reserved_nanos,
    cast(coalesce(sum(case when a.status <> 'sent' then a.cost_nanos end), 0) as bigint) as ledger_committed_nanos,
    cast(coalesce(sum(case when a.status = 'sent' then a.reserved_nanos end), 0) as bigint) as ledger_reserved_nanos,
    cast(coalesce(sum(case when a.status = 'orphaned' and a.usage_source = 'estimated' then a.cost_nanos end), 0) as bigint) as orphaned_nanos
from ledger_balances b
left join (
    select
        unnest(array['workspace', 'project:' || project, 'user:' || user_name, 'key:' || key_prefix, 'workflow:' || workflow, 'run:' || run_id]) as scope,
        status, usage_source, cost_nanos, reserved_nanos, started_at
    from ledger_all
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

-- name: unpriced_models
select
    model,
    cast(sum(case when input_tokens is null then 0 else 1 end) as bigint) as known_usage,
    cast(sum(case when input_tokens is null then 1 else 0 end) as bigint) as unknown_usage
from ledger_all
where cost_nanos is null and status <> 'sent' and (cast($model as text) is null or model = $model)
group by model
order by model;

-- name: unpriced_attempts
select a.* from ledger_attempts a
where a.model = $model and a.cost_nanos is null and a.input_tokens is not null
  and not exists (select 1 from ledger_corrections c where c.attempt_id = a.id)
order by a.started_at, a.id
limit $limit;

-- name: attempts_named
select * from ledger_all where call_id = $name or id = $name order by number;

-- name: corrections_of_call
select c.attempt_id, c.cost_nanos, c.usage_source
from ledger_corrections c join ledger_attempts a on a.id = c.attempt_id
where a.call_id = $call_id;

-- name: insert_correction
insert into ledger_corrections (attempt_id, cost_nanos, price, usage_source, audit_id, made_at)
values ($attempt_id, $cost_nanos, $price, $usage_source, $audit_id, $made_at);

-- name: declare_cost
insert into ledger_corrections (attempt_id, cost_nanos, price, usage_source, audit_id, made_at)
values ($attempt_id, $cost_nanos, null, 'declared', $audit_id, $made_at)
on conflict (attempt_id) do update set
    cost_nanos = excluded.cost_nanos, usage_source = excluded.usage_source, audit_id = excluded.audit_id, made_at = excluded.made_at;

-- name: balances_of_scopes
select budget, scope, period, starts_at, ends_at, committed_nanos, reserved_nanos, warned from ledger_balances
where scope in (select unnest(cast($scopes as text[])))
order by budget, scope, period;

-- name: add_committed
update ledger_balances set committed_nanos = committed_nanos + $added where budget = $budget and scope = $scope and period = $period;

-- name: insert_audit
insert into audit_entries (id, request_id, actor, action, subject, value_before, value_after, attempts, added_nanos, happened_at)
values ($id, $request_id, $actor, $action, $subject, $value_before, $value_after, $attempts, $added_nanos, $happened_at);

-- name: audit_entries
select id, happened_at, actor, action, subject, value_before, value_after, attempts, added_nanos from audit_entries
where (cast($id as text) is null or id = $id) and (cast($request_id as text) is null or request_id = $request_id)
  and (cast($action as text) is null or action = $action) and (cast($subject as text) is null or subject = $subject)
order by happened_at desc, id
limit $limit;

-- name: insert_warning
insert into ledger_warnings (budget, scope, period, share, limit_nanos, held_nanos, call_id, run_id, message, passed_at)
values ($budget, $scope, $period, $share, $limit_nanos, $held_nanos, $call_id, $run_id, $message, $passed_at)
on conflict (budget, scope, period, share, limit_nanos) do nothing;

-- name: mark_warned
update ledger_balances set warned = $warned where budget = $budget and scope = $scope and period = $period;

-- name: warnings_found
select budget, scope, period, share, limit_nanos, held_nanos, call_id, run_id, message, passed_at from ledger_warnings
where (cast($run as text) is null or run_id = $run) and (cast($budget as text) is null or budget = $budget)
order by passed_at desc, cast(share as double precision) desc
limit $limit;

-- name: warnings_in_periods
select w.budget, w.scope, w.period, w.share, w.limit_nanos, w.held_nanos, w.call_id, w.run_id, w.message, w.passed_at
from ledger_warnings w join ledger_budgets b on b.name = w.budget and b.limit_nanos = w.limit_nanos
where w.period in (select unnest(cast($periods as text[])))
order by w.passed_at, cast(w.share as double precision);
