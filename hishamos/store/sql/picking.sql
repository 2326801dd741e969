-- name: track_records
select
    agent,
    cast(sum(case when under_way = 0 then 1 else 0 end) as bigint) as calls,
    cast(sum(case when under_way = 0 then answered else 0 end) as bigint) as answered,
    cast(sum(under_way) as bigint) as under_way,
    percentile_disc(0.5) within group (order by case when answered = 1 and unpriced = 0 then cost_nanos end) as cost_nanos,
    percentile_disc(0.5) within group (order by case when answered = 1 then latency_ms end) as latency_ms
from (
    select
        agent, call_id,
        max(case when status in ('succeeded', 'cached') then 1 else 0 end) as answered,
        max(case when status = 'sent' then 1 else 0 end) as under_way,
        max(case when cost_nanos is null and status <> 'sent' then 1 else 0 end) as unpriced,
        cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
        coalesce(sum(latency_ms), 0) as latency_ms
    from ledger_all
    where agent is not null and provider <> 'offline' and status <> 'cancelled' and started_at >= $since
    group by agent, call_id
) calls
group by agent;

-- name: ratings_of_agents
select worked.agent, cast(count(*) as bigint) as ratings, cast(sum(r.rating) as bigint) as points
from (select distinct agent, run_id from ledger_all where agent is not null and run_id is not null) worked
join work_results r on r.run_id = worked.run_id
where r.rating is not null and r.created_at >= $since
group by worked.agent;
