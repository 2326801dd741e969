-- name: insert_schedule
insert into schedules (
    name, id, workflow, cron, timezone, inputs, model, project, budget_nanos, missed, overlap, enabled, user_name, key_prefix, next_at, waiting, created_at,
    own_tags
) values (
    $name, $id, $workflow, $cron, $timezone, $inputs, $model, $project, $budget_nanos, $missed, $overlap, $enabled, $user_name, $key_prefix, $next_at,
    '[]', $created_at, $own_tags
);

-- name: schedules
select s.*, (
    select t.run_id from schedule_times t where t.schedule_id = s.id and t.run_id is not null order by t.decided_at desc, t.due_at desc limit 1
) as last_run, (
    select t.outcome || ': ' || t.note from schedule_times t where t.schedule_id = s.id order by t.decided_at desc, t.due_at desc limit 1
) as last_outcome
from schedules s
where cast($name as text) is null or s.name = $name
order by s.name;

-- name: schedule_by_name
select * from schedules where name = $name;

-- name: delete_schedule
delete from schedules where name = $name;

-- name: set_schedule
update schedules set enabled = $enabled, next_at = $next_at, waiting = $waiting where id = $id;

-- name: insert_time
insert into schedule_times (schedule_id, due_at, outcome, run_id, note, decided_at) values ($schedule_id, $due_at, $outcome, $run_id, $note, $decided_at);

-- name: times_of_schedule
select s.name as schedule, t.due_at, t.outcome, t.run_id, t.note, t.decided_at
from schedule_times t join schedules s on s.id = t.schedule_id
where s.name = $name order by t.due_at desc, t.decided_at desc limit $limit;

-- name: open_run
select r.id from schedule_times t join journal_runs r on r.id = t.run_id
where t.schedule_id = $id and r.state in ('queued', 'running', 'waiting', 'paused') order by r.created_at limit 1;

-- name: runs_left_queued
select r.id from schedule_times t join journal_runs r on r.id = t.run_id
where r.state = 'queued' and t.decided_at < $before and (r.lease_until is null or r.lease_until < $moment);

-- name: due_schedules
select name from schedules where enabled and (next_at <= $moment or waiting <> '[]') order by next_at;

-- name: enabled_schedules
select count(*) as number, min(next_at) as next_at, cast(sum(case when waiting <> '[]' then 1 else 0 end) as bigint) as waiting from schedules where enabled;
