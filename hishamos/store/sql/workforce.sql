-- name: beat
insert into worker_places (owner, kind, host, pid, places, started_at, seen_at) values ($owner, $kind, $host, $pid, $places, $started_at, $seen_at)
on conflict (owner) do update set places = excluded.places, seen_at = excluded.seen_at;

-- name: leave
delete from worker_places where owner = $owner or seen_at < $before;

-- name: seen
select owner, kind, host, pid, places, started_at, seen_at from worker_places where seen_at > $since order by kind, host, started_at, owner;

-- name: queues
select q.priority, count(*) as queued, min(q.since) as oldest
from (
    select r.id, r.priority, coalesce(max(e.happened_at), min(r.created_at)) as since
    from journal_runs r left join journal_events e on e.run_id = r.id and e.kind = 'run' and e.state = 'queued'
    where r.state = 'queued'
    group by r.id, r.priority
) q
group by q.priority
order by q.priority desc;

-- name: at_work
select id, name, priority, user_name, lease_owner, claimed_at, deaths from journal_runs where state = 'running' order by claimed_at, id;

-- name: retries
select count(*) as tries
from journal_runs r join journal_steps s on s.run_id = r.id
where r.state in ('queued', 'running', 'waiting') and s.latest and s.attempt > s.first and s.state in ('pending', 'running', 'waiting');

-- name: dead
select id, name, user_name, error, finished_at, deaths from journal_runs
where state = 'failed' and error like '{"type":"WorkerDied"%'
order by finished_at desc, id
limit $limit;
