-- name: models_of_execution
select
    model,
    cast(count(*) as bigint) as attempts,
    cast(sum(case when status = 'succeeded' then 1 else 0 end) as bigint) as succeeded,
    cast(sum(case when status = 'cached' then 1 else 0 end) as bigint) as cached,
    cast(sum(case when status = 'orphaned' then 1 else 0 end) as bigint) as orphaned,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
    cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end) as bigint) as unpriced,
    min(started_at) as began_at
from ledger_all
where started_at >= $since and tags like $pattern
group by model
order by model;

-- name: commits_of_execution
select distinct (cast(tags as json) ->> 'notebook') as notebook, (cast(tags as json) ->> 'git_commit') as git_commit
from ledger_all where started_at >= $since and tags like $pattern;

-- name: definitions_of_execution
select distinct command, agent, (cast(tags as json) ->> 'agent_version') as agent_version
from ledger_all where started_at >= $since and tags like $pattern and (command is not null or agent is not null);

-- name: requests_of_execution
select distinct c.id, c.request_hash
from ledger_all a join ledger_calls c on c.id = a.call_id
where a.started_at >= $since and a.tags like $pattern;

-- name: attachments_of_execution
select distinct tags from ledger_all where started_at >= $since and tags like $pattern and tags like '%"files":[%';

-- name: runs_of_execution
select id, kind, name, version, state, inputs, files, origin
from journal_runs
where origin like $pattern or id in (select run_id from ledger_all where started_at >= $since and tags like $pattern and run_id is not null)
order by created_at, id;
