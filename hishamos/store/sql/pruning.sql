-- name: prune_requests
delete from requests
where made_at < $before and id <> $kept
  and (id not like '%/%' or id like 'call/%'
       or exists (select 1 from journal_runs r where r.id = split_part(requests.id, '/', 1) and r.finished_at < $before));
