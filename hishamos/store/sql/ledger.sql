-- name: call_by_key
select id, request_hash, owner, outcome, under_way, sent from ledger_calls where key = $key;

-- name: insert_call
insert into ledger_calls (id, key, request_hash, target, owner, outcome, opened_at, under_way, sent)
values ($id, $key, $request_hash, $target, $owner, $outcome, $opened_at, $under_way, $sent);

-- name: adopt_call
update ledger_calls set owner = $owner, outcome = null where id = $id;

-- name: send_again
update ledger_calls set under_way = $under_way, sent = $sent where id = $id and owner = $owner;

-- name: end_sending
update ledger_calls set under_way = null, sent = null where id = $call_id and under_way = $id;

-- name: end_sendings
update ledger_calls set under_way = null, sent = null
from (select unnest(cast($call_id as text[])) as call_id, unnest(cast($id as text[])) as attempt_id) as settled
where ledger_calls.id = settled.call_id and ledger_calls.under_way = settled.attempt_id;

-- name: end_settled
update ledger_calls set under_way = null, sent = null
where under_way is not null and under_way in (select id from ledger_attempts);

-- name: end_call
update ledger_calls set owner = $owner, outcome = $outcome where id = $id;

-- name: insert_attempt
insert into ledger_attempts (
    id, call_id, idempotency_key, number, run_id, step_id, workflow, command, agent, project, user_name, key_prefix, provider, model, hop,
    status, cause, error, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage_source, price,
    reserved_nanos, cost_nanos, overrun, latency_ms, ttft_ms, started_at, finished_at, tags, outcome
) values (
    $id, $call_id, $idempotency_key, $number, $run_id, $step_id, $workflow, $command, $agent, $project, $user_name, $key_prefix, $provider, $model, $hop,
    $status, $cause, $error, $input_tokens, $cached_tokens, $cache_write_tokens, $output_tokens, $reasoning_tokens, $usage_source, $price,
    $reserved_nanos, $cost_nanos, $overrun, $latency_ms, $ttft_ms, $started_at, $finished_at, $tags, $outcome
);

-- name: attempt_as
select id from ledger_attempts where id = $id and status = $status;

-- name: attempts_of_call
select * from ledger_attempts where call_id = $call_id order by number, started_at;

-- name: made_of_call
select cast(count(*) as bigint) as made from ledger_attempts where call_id = $call_id;

-- name: limits
select name, scope, period, limit_nanos, hard, warn_at from ledger_budgets order by name;

-- name: any_balance
select budget from ledger_balances limit 1;

-- name: balances_in_force
select budget, scope, period, committed_nanos, reserved_nanos, closed, warned from ledger_balances
where scope in ('workspace', $project, $user_name, $key_prefix, $workflow, $run)
  and starts_at <= $moment and ends_at > $moment;

-- name: balance
select committed_nanos, reserved_nanos, closed, warned from ledger_balances where budget = $budget and scope = $scope and period = $period;

-- name: start_balance
insert into ledger_balances (budget, scope, period, starts_at, ends_at, committed_nanos, reserved_nanos, closed)
select
    $budget, $scope, $period, $starts_at, $ends_at,
    cast(coalesce(sum(case when status <> 'sent' then cost_nanos end), 0) as bigint),
    cast(coalesce(sum(case when status = 'sent' then reserved_nanos end), 0) as bigint),
    false
from ledger_all
where started_at >= $starts_at and started_at < $ends_at
  and ($kind = 'workspace' or ($kind = 'project' and project = $subject) or ($kind = 'user' and user_name = $subject)
       or ($kind = 'key' and key_prefix = $subject) or ($kind = 'workflow' and workflow = $subject) or ($kind = 'run' and run_id = $subject));

-- name: reserve
update ledger_balances set reserved_nanos = reserved_nanos + $amount
where scope in ('workspace', $project, $user_name, $key_prefix, $workflow, $run)
  and starts_at <= $moment and ends_at > $moment;

-- name: settle_balances
update ledger_balances
set reserved_nanos = reserved_nanos - $reserved, committed_nanos = committed_nanos + $cost, closed = (closed or $overrun)
where scope in ('workspace', $project, $user_name, $key_prefix, $workflow, $run)
  and starts_at <= $moment and ends_at > $moment;

-- name: all_balances
select budget, scope, period, starts_at, ends_at, committed_nanos, reserved_nanos, closed from ledger_balances order by budget, scope, period;

-- name: all_budgets
select name, scope, period, limit_nanos, hard, warn_at, origin from ledger_budgets order by name;

-- name: budget_by_name
select name, scope, period, limit_nanos, hard, warn_at, origin from ledger_budgets where name = $name;

-- name: put_budget
insert into ledger_budgets (name, scope, period, limit_nanos, hard, warn_at, origin)
values ($name, $scope, $period, $limit_nanos, $hard, $warn_at, $origin)
on conflict (name) do update set
    scope = excluded.scope, period = excluded.period, limit_nanos = excluded.limit_nanos, hard = excluded.hard,
    warn_at = excluded.warn_at, origin = excluded.origin;

-- name: drop_budget
delete from ledger_budgets where name = $name;

-- name: drop_balances
delete from ledger_balances where budget = $name;

-- name: reopen_balances
update ledger_balances set closed = false, warned = null where budget = $name;

-- name: calls_under_way
select id, request_hash, owner, outcome, under_way, sent from ledger_calls where under_way is not null and owner <> $owner;

-- name: release_call
update ledger_calls set owner = '' where id = $id and owner = $owner;

-- name: owner_seen
select count(*) as living from ledger_owners where owner = $owner and seen_at > current_timestamp - interval '10 seconds';

-- name: beat
insert into ledger_owners (owner, seen_at) values ($owner, current_timestamp)
on conflict (owner) do update set seen_at = excluded.seen_at;

-- name: leave
delete from ledger_owners where owner = $owner;

-- name: latest_price
select kinds, source from ledger_prices where model = $model order by noted_at desc limit 1;

-- name: insert_price
insert into ledger_prices (model, since, source, kinds, noted_at) values ($model, $since, $source, $kinds, $noted_at);

-- name: prices_of
select model, since, source, kinds from ledger_prices where model = $model order by noted_at desc;

-- name: open_calls
select cast(count(*) as bigint) as open from ledger_calls where under_way is not null;

-- name: providers_of_late
select
    provider,
    cast(count(*) as bigint) as attempts,
    cast(sum(case when status in ('failed', 'incomplete', 'orphaned') then 1 else 0 end) as bigint) as failed,
    cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(percentile_cont(0.5) within group (order by case when status = 'succeeded' then latency_ms end) as double precision) as p50_ms,
    cast(percentile_cont(0.95) within group (order by case when status = 'succeeded' then latency_ms end) as double precision) as p95_ms,
    cast(percentile_cont(0.5) within group (order by case when status = 'succeeded' then ttft_ms end) as double precision) as ttft_ms
from ledger_all
where started_at >= $since and status <> 'cached'
group by provider;

-- name: last_error
select error, cause from ledger_all
where provider = $provider and cause is not null and started_at >= $since
order by started_at desc limit 1;

-- name: records_of_models
select
    model,
    cast(sum(case when status = 'succeeded' then 1 else 0 end) as bigint) as succeeded,
    cast(sum(case when status in ('failed', 'incomplete', 'orphaned') then 1 else 0 end) as bigint) as failed,
    cast(percentile_cont(0.5) within group (order by case when status = 'succeeded' then latency_ms end) as double precision) as p50_ms
from ledger_attempts
where started_at >= $since and status <> 'cached'
group by model;
