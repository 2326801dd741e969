-- name: insert_conversation
insert into conversations (id, agent, title, model, project, user_name, summary, summed_up, created_at)
values ($id, $agent, $title, $model, $project, $user_name, null, 0, $created_at);

-- name: conversation_by_id
select id, agent, title, model, project, user_name, summary, summed_up, created_at from conversations where id = $id and user_name = $user;

-- name: conversations_like
select id from conversations where id like $pattern and user_name = $user order by id limit 20;

-- name: conversations_found
select
    c.id, c.agent, c.title, c.model, c.project, c.user_name, c.summary, c.summed_up, c.created_at,
    cast(count(m.number) as bigint) as messages,
    cast(coalesce(sum(m.cost_nanos), 0) as bigint) as cost_nanos,
    cast(coalesce(sum(case when m.ended_at is not null and m.cost_nanos is null then 1 else 0 end), 0) as bigint) as unpriced,
    max(m.asked_at) as asked_at
from conversations c
left join conversation_messages m on m.conversation = c.id
where c.user_name = $user and (cast($id as text) is null or c.id = $id) and (cast($agent as text) is null or c.agent = $agent)
group by c.id, c.agent, c.title, c.model, c.project, c.user_name, c.summary, c.summed_up, c.created_at
order by coalesce(max(m.asked_at), c.created_at) desc, c.id
limit $limit;

-- name: messages_of_conversation
select conversation, number, id, said, data, files, state, answer, error, cost_nanos, left_out, holder, asked_at, ended_at
from conversation_messages where conversation = $conversation and number > $after order by number limit $limit;

-- name: message_by_id
select conversation, number, id, said, data, files, state, answer, error, cost_nanos, left_out, holder, asked_at, ended_at
from conversation_messages where conversation = $conversation and id = $id;

-- name: open_message
select conversation, number, id, said, data, files, state, answer, error, cost_nanos, left_out, holder, asked_at, ended_at
from conversation_messages where conversation = $conversation and state = 'open';

-- name: last_message
select coalesce(max(number), 0) as number from conversation_messages where conversation = $conversation;

-- name: insert_message
insert into conversation_messages (conversation, number, id, said, data, files, state, left_out, holder, asked_at)
values ($conversation, $number, $id, $said, $data, $files, 'open', 0, $holder, $asked_at);

-- name: name_conversation
update conversations set title = $title where id = $id and title = '';

-- name: reopen_message
update conversation_messages set state = 'open', error = null, ended_at = null, holder = $holder, asked_at = $asked_at
where conversation = $conversation and number = $number;

-- name: end_message
update conversation_messages
set state = $state, answer = $answer, error = $error, cost_nanos = $cost_nanos, left_out = $left_out, ended_at = $ended_at
where conversation = $conversation and number = $number and state = 'open';

-- name: spent_under
select
    cast(coalesce(sum(cost_nanos), 0) as bigint) as cost_nanos,
    cast(coalesce(sum(case when cost_nanos is null and status <> 'sent' then 1 else 0 end), 0) as bigint) as unpriced
from ledger_costs where idempotency_key = $key or idempotency_key like $below;

-- name: sum_up
update conversations set summary = $summary, summed_up = $summed_up where id = $id;

-- name: delete_messages
delete from conversation_messages where conversation = $id;

-- name: delete_conversation
delete from conversations where id = $id;
