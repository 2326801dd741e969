-- name: units_of_work
select
    max(model) as model, cast(sum(coalesce(input_tokens, 0)) as bigint) as input, cast(sum(coalesce(cached_tokens, 0)) as bigint) as cached,
    cast(sum(coalesce(cache_write_tokens, 0)) as bigint) as cache_write, cast(sum(coalesce(output_tokens, 0)) as bigint) as output,
    cast(sum(coalesce(reasoning_tokens, 0)) as bigint) as reasoning
from ledger_attempts
where started_at < $before and provider <> 'offline' and status not in ('sent', 'cached', 'orphaned')
    and (cast($command as text) is null or command = $command) and (cast($agent as text) is null or agent = $agent)
    and (cast($workflow as text) is null or workflow = $workflow) and (cast($model as text) is null or model = $model)
group by coalesce(run_id || ' ' || step_id, call_id)
having max(case when status = 'succeeded' then 1 else 0 end) = 1
order by max(started_at) desc
limit $limit;

-- name: times_of_work
select cast(sum(coalesce(latency_ms, 0)) as double precision) as ms
from ledger_attempts
where started_at < $before and provider <> 'offline' and status not in ('sent', 'cached', 'orphaned')
    and (cast($command as text) is null or command = $command) and model = $model
group by coalesce(run_id || ' ' || step_id, call_id)
having max(case when status = 'succeeded' then 1 else 0 end) = 1
order by max(started_at) desc
limit $limit;

-- name: insert_forecast
insert into run_forecasts (run_id, forecast) values ($run_id, $forecast) on conflict (run_id) do nothing;

-- name: forecast_of_run
select forecast from run_forecasts where run_id = $run_id;
