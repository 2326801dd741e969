-- name: insert_run
insert into journal_runs (
    id, kind, name, version, state, definition, options, inputs, files, model, project, user_name, place, steps_total, steps_done,
    budget_nanos, decisions, lease_number, created_at, key_prefix, priority, inside_of, deadline_s, deadline_at, origin, repeats
) values (
    $id, $kind, $name, $version, $state, $definition, $options, $inputs, $files, $model, $project, $user_name, $place, $steps_total, 0,
    $budget_nanos, 0, 0, $created_at, $key_prefix, $priority, $inside_of, $deadline_s, $deadline_at, $origin, $repeats
);

-- name: insert_inputs
insert into map_inputs (run_id, item, inputs)
select $run, unnest(cast($items as bigint[])), unnest(cast($inputs as text[]));

-- name: run_for_change
select
    id, name, kind, state, wish, options, decisions, lease_number, lease_owner, lease_until, steps_done, deaths, deaths_done, deadline_s,
    deadline_at
from journal_runs where id = $id;

-- name: claim_run
update journal_runs
set state = 'running', lease_number = lease_number + 1, lease_owner = $owner, lease_until = $until, waiting_for = null, error = null,
    finished_at = null, started_at = coalesce(started_at, $moment), claimed_at = $moment, deaths = $deaths, deaths_done = $deaths_done
where id = $id
returning *;

-- name: renew_lease
update journal_runs set lease_until = $until, steps_total = $total, steps_done = $done
where id = $run and lease_number = $number;

-- name: wish_of_run
select wish, decisions from journal_runs where id = $run;

-- name: change_run
update journal_runs
set state = $state, outputs = $outputs, error = $error, waiting_for = $waiting_for, finished_at = $finished_at,
    wish = case when $release then null else wish end,
    lease_owner = case when $release then null else lease_owner end,
    lease_until = case when $release then null else lease_until end
where id = $run;

-- name: set_wish
update journal_runs set wish = $wish where id = $run;

-- name: set_state
update journal_runs
set state = $state, wish = null, waiting_for = $waiting_for, finished_at = $finished_at, deaths = 0,
    lease_number = lease_number + 1, lease_owner = null, lease_until = null
where id = $run;

-- name: queue_to_cancel
update journal_runs
set state = 'queued', wish = 'cancel', waiting_for = null, lease_number = lease_number + 1, lease_owner = null, lease_until = null
where id = $run;

-- name: definition_of_run
select definition, files from journal_runs where id = $run;

-- name: rows_to_fork
select * from journal_steps where run_id = $run and latest and parent is null order by position;

-- name: top_steps
select path, state from journal_steps where run_id = $run and latest and parent is null;

-- name: cancel_open_steps
update journal_steps set
    state = 'cancelled', waiting_for = null, started_at = case when state = 'pending' then null else started_at end, finished_at = $moment
where run_id = $run and latest and state in ('pending', 'running', 'waiting');

-- name: insert_step
insert into journal_steps (
    run_id, path, attempt, position, parent, item, first, latest, type, state, input_hash, inputs, output, error, waiting_for, model,
    reused, not_judged, started_at, finished_at
) values (
    $run, $path, $attempt, $position, $parent, $item, $first, $latest, $type, $state, $input_hash, $inputs, $output, $error, $waiting_for, $model,
    $reused, $not_judged, $started_at, $finished_at
);

-- name: update_step
update journal_steps set
    state = $state, input_hash = $input_hash, inputs = $inputs, output = $output, error = $error, waiting_for = $waiting_for, model = $model,
    reused = $reused, not_judged = $not_judged, started_at = $started_at, finished_at = $finished_at
where run_id = $run and path = $path and attempt = $attempt;

-- name: update_steps
update journal_steps set
    state = u.state, input_hash = u.input_hash, inputs = u.inputs, output = u.output, error = u.error, waiting_for = u.waiting_for,
    model = u.model, reused = u.reused, not_judged = u.not_judged, started_at = u.started_at, finished_at = u.finished_at
from (
    select
        unnest(cast($path as text[])) as path, unnest(cast($attempt as bigint[])) as attempt, unnest(cast($state as text[])) as state,
        unnest(cast($input_hash as text[])) as input_hash, unnest(cast($inputs as text[])) as inputs, unnest(cast($output as text[])) as output,
        unnest(cast($error as text[])) as error, unnest(cast($waiting_for as text[])) as waiting_for, unnest(cast($model as text[])) as model,
        unnest(cast($reused as boolean[])) as reused, unnest(cast($not_judged as text[])) as not_judged,
        unnest(cast($started_at as timestamptz[])) as started_at, unnest(cast($finished_at as timestamptz[])) as finished_at
) u
where journal_steps.run_id = $run and journal_steps.path = u.path and journal_steps.attempt = u.attempt;

-- name: outdate_steps
update journal_steps set latest = false
where run_id = $run and latest and path in (select unnest(cast($path as text[])))
    and attempt < (select max(n.attempt) from journal_steps n where n.run_id = $run and n.path = journal_steps.path);

-- name: newest_event
select coalesce(max(seq), 0) as seq from journal_events;

-- name: insert_event
insert into journal_events (run_id, seq, kind, path, state, message, data, happened_at)
values ($run_id, $seq, $kind, $path, $state, $message, $data, $happened_at);

-- name: insert_events
insert into journal_events (run_id, seq, kind, path, state, message, data, happened_at)
select $run, nextval('journal_event_numbers'), e.kind, e.path, e.state, e.message, e.data, e.happened_at
from (
    select
        unnest(cast($number as bigint[])) as number, unnest(cast($kind as text[])) as kind, unnest(cast($path as text[])) as path,
        unnest(cast($state as text[])) as state, unnest(cast($message as text[])) as message, unnest(cast($data as text[])) as data,
        unnest(cast($happened_at as timestamptz[])) as happened_at
    order by number
) e
returning seq, run_id, kind, path, state, message, data, happened_at;

-- name: upsert_rows
insert into map_rows (key, attempt, state, output, model, not_judged)
select
    unnest(cast($key as text[])), unnest(cast($attempt as bigint[])), unnest(cast($state as text[])), unnest(cast($output as text[])),
    unnest(cast($model as text[])), unnest(cast($not_judged as text[]))
on conflict (key) do update set
    attempt = excluded.attempt, state = excluded.state, output = excluded.output, model = excluded.model, not_judged = excluded.not_judged
where excluded.attempt >= map_rows.attempt and map_rows.state <> 'succeeded';

-- name: attempt_of_row
select key, attempt, state from map_rows where key = $key;

-- name: attempts_of_rows
select key, attempt, state from map_rows where key in (select unnest(cast($keys as text[])));

-- name: insert_row
insert into map_rows (key, attempt, state, output, model, not_judged) values ($key, $attempt, $state, $output, $model, $not_judged);

-- name: update_row
update map_rows set attempt = $attempt, state = $state, output = $output, model = $model, not_judged = $not_judged where key = $key;

-- name: rows_by_key
select key, attempt, state, output, model, not_judged from map_rows where key in (select unnest(cast($keys as text[])));

-- name: inputs_of_rows
select inputs from map_inputs where run_id = $run and item >= $start and item < $stop order by item;

-- name: steps_to_resume
select * from journal_steps where run_id = $run and latest order by position;

-- name: jumps
select path, count(*) as times from journal_events
where run_id = $run and kind = 'note' and state = $state
    and seq > coalesce((select max(seq) from journal_events where run_id = $run and kind = 'run' and state in ('failed', 'cancelled')), 0)
group by path;

-- name: rows_to_resume
select
    run_id, path, attempt, position, parent, item, first, latest, type, state, input_hash, null as inputs, null as output, null as error,
    null as waiting_for, model, reused, null as not_judged, null as decided, case when state = 'pending' then started_at end as started_at,
    null as finished_at
from journal_steps where run_id = $run and latest and parent is not null
union all
select
    run_id, path, attempt, position, parent, item, first, latest, type, state, input_hash, inputs, output, error, waiting_for, model, reused,
    not_judged, decided, started_at, finished_at
from journal_steps where run_id = $run and latest and parent is null
order by position;

-- name: decided_steps
select path, decided from journal_steps where run_id = $run and latest and decided is not null;

-- name: step_for_change
select path, attempt, type, state, decided from journal_steps where run_id = $run and path = $path and latest;

-- name: decide_step
update journal_steps set decided = $decided where run_id = $run and path = $path and latest;

-- name: count_decision
update journal_runs set decisions = decisions + 1, state = $state where id = $id;

-- name: waiting_paths
select path from journal_steps where run_id = $run and latest and state = 'waiting' and decided is null and type <> 'wait' order by position;

-- name: waits_of_run
select waiting_for from journal_steps where run_id = $run and latest and state = 'waiting' and type = 'wait';

-- name: timed_waits
select r.id, min(substr(s.waiting_for, 1, 33)) as due
from journal_runs r join journal_steps s on s.run_id = r.id
where r.state = 'waiting' and r.waiting_for like '%until %' and s.latest and s.state = 'waiting' and s.type = 'wait' and s.waiting_for like 'until %'
group by r.id;

-- name: deadlines_of_waiting
select id, deadline_at from journal_runs where state = 'waiting' and deadline_at is not null;

-- name: set_deadline
update journal_runs set deadline_at = $deadline_at where id = $run;

-- name: waits_for_ended_run
select distinct r.id
from journal_runs r join journal_steps s on s.run_id = r.id join journal_runs c on s.waiting_for = 'run ' || c.id
where r.state = 'waiting' and r.waiting_for like '%run %' and s.latest and s.state = 'waiting' and s.type = 'workflow'
    and c.state in ('succeeded', 'failed', 'cancelled');

-- name: children_of_run
select id from journal_runs
where kind = 'workflow' and options like '{"parent":"' || $run || '"%' and state in ('queued', 'running', 'waiting', 'paused') order by created_at, id;

-- name: change_options
update journal_runs set options = $options where id = $run;

-- name: signal_of_run
select data from journal_events where run_id = $run and kind = 'signal' and message = $name order by seq desc limit 1;

-- name: line
select q.id, q.inside_of is not null as beside, q.kernel
from (
    select
        id, inside_of, priority, created_at, coalesce(user_name, '') as who, place = 'kernel' as kernel,
        row_number() over (partition by priority, coalesce(user_name, '') order by created_at, id) as turn
    from journal_runs
    where ($kernels or place <> 'kernel') and (
        (state = 'queued' and ($queued or inside_of is not null or (place = 'kernel' and not $exclusive)))
        or (state = 'running' and (lease_owner is null or lease_until < $moment or ($exclusive and lease_owner <> $owner)))
    )
) q
left join (
    select coalesce(user_name, '') as who, count(*) as at_work
    from journal_runs
    where state = 'running' and lease_until >= $moment and inside_of is null
    group by coalesce(user_name, '')
) w on w.who = q.who
left join (
    select coalesce(user_name, '') as who, max(claimed_at) as served_at from journal_runs where claimed_at > $lately group by coalesce(user_name, '')
) s on s.who = q.who
order by
    case when q.inside_of is null then 1 else 0 end, q.priority desc, q.turn + coalesce(w.at_work, 0), s.served_at nulls first, q.created_at, q.id
limit $limit;

-- name: kept
select answer from requests where id = $id;

-- name: keep
insert into requests (id, verb, answer, made_at) values ($id, 'tool', $answer, $made_at);

-- name: options_of_run
select options from journal_runs where id = $run;
