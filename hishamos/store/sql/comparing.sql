-- name: prices_of_run
select p.model, p.price
from (
    select model, price, row_number() over (partition by model order by started_at desc, id) as place
    from ledger_all where run_id = $run and provider <> 'offline'
) p
where p.place = 1
order by p.model;

-- name: models_of_run
select
    model,
    cast(sum(case when status = 'succeeded' then 1 else 0 end) as bigint) as served,
    cast(sum(case when status = 'cached' then 1 else 0 end) as bigint) as cached
from ledger_all
where run_id = $run
group by model
order by model;
