-- name: prune_requests
delete from requests
where made_at < $before and id <> $kept
  and (id not like '%/%' or id like 'call/%'
       or exists (select 1 from journal_runs r where r.id = split_part(requests.id, '/', 1) and r.finished_at < $before));

-- name: ended_runs
select id, steps_total from journal_runs where state in ('succeeded', 'failed', 'cancelled') and finished_at < $before order by finished_at, id;

-- name: parents
select id, inside_of from journal_runs where inside_of is not null;

-- name: repeated
select id, repeats from journal_runs where repeats is not null;

-- name: forked
select run_id as id, message from journal_events where kind = 'run' and message like 'forked from run %';

-- name: texts_of_runs
select
    (select count(*) from journal_steps where run_id in (select unnest(cast($ids as text[])))) as steps,
    (select count(*) from journal_events where run_id in (select unnest(cast($ids as text[])))) as events,
    cast(
        (select coalesce(sum(length(definition) + length(inputs) + coalesce(length(outputs), 0)), 0)
         from journal_runs where id in (select unnest(cast($ids as text[]))))
        + (select coalesce(sum(coalesce(length(inputs), 0) + coalesce(length(output), 0) + coalesce(length(error), 0)), 0)
           from journal_steps where run_id in (select unnest(cast($ids as text[]))))
        + (select coalesce(sum(length(message) + length(data)), 0) from journal_events where run_id in (select unnest(cast($ids as text[]))))
        + (select coalesce(sum(length(inputs)), 0) from map_inputs where run_id in (select unnest(cast($ids as text[]))))
    as bigint) as size;

-- name: texts_of_conversations
select cast(coalesce(sum(length(said) + coalesce(length(answer), 0)), 0) as bigint) as size
from conversation_messages where conversation in (select unnest(cast($ids as text[])));

-- name: delete_runs
delete from journal_runs
where id in (select unnest(cast($ids as text[]))) and state in ('succeeded', 'failed', 'cancelled') and finished_at < $before
returning id, kind, name, state, created_at, finished_at;

-- name: delete_steps
delete from journal_steps where run_id in (select unnest(cast($ids as text[])));

-- name: delete_events
delete from journal_events where run_id in (select unnest(cast($ids as text[])));

-- name: delete_inputs
delete from map_inputs where run_id in (select unnest(cast($ids as text[])));

-- name: delete_forecasts
delete from run_forecasts where run_id in (select unnest(cast($ids as text[])));

-- name: insert_pruned
insert into pruned_runs (id, kind, name, state, created_at, finished_at, pruned_by, pruned_at)
values ($id, $kind, $name, $state, $created_at, $finished_at, $pruned_by, $pruned_at);

-- name: pruned_like
select id, name, pruned_at from pruned_runs where id like $pattern order by id limit 20;

-- name: pruned_among
select id from pruned_runs where id in (select unnest(cast($ids as text[])));

-- name: silent_conversations
select c.id
from conversations c left join conversation_messages m on m.conversation = c.id
group by c.id, c.created_at
having coalesce(max(m.asked_at), c.created_at) < $before and coalesce(max(case when m.state = 'open' then 1 else 0 end), 0) = 0
order by c.id;

-- name: is_silent
select c.id
from conversations c left join conversation_messages m on m.conversation = c.id
where c.id = $id
group by c.id, c.created_at
having coalesce(max(m.asked_at), c.created_at) < $before and coalesce(max(case when m.state = 'open' then 1 else 0 end), 0) = 0;

-- name: delete_messages
delete from conversation_messages where conversation = $id;

-- name: delete_conversation
delete from conversations where id = $id;
