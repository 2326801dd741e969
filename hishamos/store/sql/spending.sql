-- name: attempts_found
select id, started_at from attempts
where started_at >= $since and started_at < $until {only}
    and ($after_id = '' or started_at < $after or (started_at = $after and id > $after_id))
order by started_at desc, id
limit $limit;

-- name: attempt_begun
select started_at from attempts where id = $id;

-- name: versions_of_command
select
    command, max(run_id) as run_id, min(started_at) as first_at, max(started_at) as last_at,
    {measures},
    {times}
from attempts
where starts_with(command, $prefix) and started_at >= $since
group by command
order by last_at desc
limit 50;

-- name: outcome_of_attempt
select coalesce(a.outcome, c.outcome) as outcome
from ledger_attempts a left join ledger_calls c on c.id = a.call_id
where a.id = $id;

-- name: attempts_named
select * from ledger_all
where started_at >= $first and started_at <= $last and id in (select unnest(cast($ids as text[])))
order by started_at desc, id;

-- name: version
select
    (select count(*) from ledger_attempts) as attempts, (select count(*) from ledger_corrections) as corrections,
    (select max(made_at) from ledger_corrections) as corrected, (select count(*) from ledger_calls where under_way is not null) as under_way;

-- name: use_tag
insert into ledger_tags (name, day) values ($name, $day) on conflict do nothing;

-- name: tag_names
select distinct name from ledger_tags where day >= $first and day <= $last order by name;

-- name: span
select min(started_at) as first, max(started_at) as last from attempts where started_at >= $since and started_at < $until {only};

-- name: measures
    cast(count(*) as bigint) as attempts,
    cast(coalesce(sum(case when provider <> 'offline' and status = 'succeeded' then 1 else 0 end), 0) as bigint) as succeeded,
    cast(coalesce(sum(case when provider <> 'offline' and status in ('failed', 'incomplete', 'orphaned') then 1 else 0 end), 0) as bigint) as failed,
    cast(coalesce(sum(case when hop > 0 then 1 else 0 end), 0) as bigint) as fell_back,
    cast(coalesce(sum(case when hop = 0 and number > 1 then 1 else 0 end), 0) as bigint) as retried,
    cast(coalesce(sum(case when provider = 'offline' then 1 else 0 end), 0) as bigint) as offline,
    cast(coalesce(sum(case when status = 'cached' then 1 else 0 end), 0) as bigint) as cached,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(cached_tokens), 0) as bigint) as cached_tokens,
    cast(coalesce(sum(cache_write_tokens), 0) as bigint) as cache_write_tokens,
    cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
    cast(coalesce(sum(reasoning_tokens), 0) as bigint) as reasoning_tokens,
    cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(coalesce(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end), 0) as bigint) as unpriced

-- name: calls
    {calls} as calls

-- name: times
    cast(percentile_cont(0.5) within group (order by case when status = 'succeeded' then latency_ms end) as double precision) as p50_ms,
    cast(percentile_cont(0.95) within group (order by case when status = 'succeeded' then latency_ms end) as double precision) as p95_ms,
    cast(percentile_cont(0.5) within group (order by case when status = 'succeeded' then ttft_ms end) as double precision) as ttft_p50_ms,
    cast(percentile_cont(0.95) within group (order by case when status = 'succeeded' then ttft_ms end) as double precision) as ttft_p95_ms

-- name: calls_counted_by_their_first_attempts
cast(count(distinct again) + coalesce(sum(case when again is null then 1 else 0 end), 0) as bigint)

-- name: spend
select {groups}
{measures}
from attempts a {again}
where started_at >= $since and started_at < $until {only}
{grouping}
order by cost_nanos desc {ordering};

-- name: sent_again
left join (select distinct call_id as again from attempts where number > 1 and started_at >= $since and started_at < $until {only}) r on again = call_id

-- name: spend_by_hand
select {groups}
{measures}
from attempts
where started_at >= {since} and started_at < {until} {only}
{grouping}
order by cost_nanos desc {ordering};
