-- name: insert_batch
insert into ledger_batches (id, model, row_count, remote_id, state, owner, made_at) values ($id, $model, $rows, $remote_id, 'open', $owner, $made_at);

-- name: insert_row
insert into ledger_batch_rows (attempt_id, batch_id) values ($attempt_id, $batch_id);

-- name: take
update ledger_batches set owner = $owner where id = $id and owner = $before;

-- name: made
update ledger_batches set remote_id = $remote_id where id = $id;

-- name: unsent
update ledger_batches set state = 'unsent' where id = $id;

-- name: under_way
select 1 as found from ledger_calls c join ledger_batch_rows r on r.attempt_id = c.under_way where r.batch_id = $id limit 1;

-- name: end
update ledger_batches set state = 'ended' where id = $id;

-- name: open_batches
select id, model, row_count as rows, remote_id, made_at, owner from ledger_batches where state = 'open' order by made_at, id;

-- name: waiting_rows
select c.id, c.key, c.request_hash, c.owner, c.outcome, c.under_way, c.sent
from ledger_calls c join ledger_batch_rows r on r.attempt_id = c.under_way
where r.batch_id = $id;

-- name: open_batch_of
select b.id from ledger_batch_rows r join ledger_batches b on b.id = r.batch_id where r.attempt_id = $attempt_id and b.state = 'open';
