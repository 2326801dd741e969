-- name: begin_upload
insert into map_uploads (id, made_at) values ($id, $made_at) on conflict (id) do nothing;

-- name: upload_known
select id from map_uploads where id = $id;

-- name: rows_of_upload
select count(*) as number, coalesce(max(item) + 1, 0) as following from map_inputs where run_id = $id;

-- name: different_rows
select count(distinct inputs) as number from map_inputs where run_id = $id;

-- name: some_rows
select inputs from map_inputs where run_id = $id and item in (select unnest(cast($items as bigint[]))) order by item;

-- name: forget_rows
delete from map_inputs
where run_id in (select u.id from map_uploads u where u.made_at < $before and not exists (select 1 from journal_runs r where r.id = u.id));

-- name: forget_uploads
delete from map_uploads where made_at < $before;
