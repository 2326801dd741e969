-- name: cached_answer
select a.id, a.call_id, a.model, a.provider, a.outcome, e.made_at
from cache_entries e join ledger_attempts a on a.id = e.attempt_id
where e.key = $key;

-- name: entry
select attempt_id from cache_entries where key = $key;

-- name: insert_entry
insert into cache_entries (key, attempt_id, made_at) values ($key, $attempt_id, $made_at);

-- name: replace_entry
update cache_entries set attempt_id = $attempt_id, made_at = $made_at where key = $key;
