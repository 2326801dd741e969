-- What sums of costs are made of. DuckDB spends more on the many columns of ledger_all, asked for or not, than on the few rows of a run.
create view ledger_costs as
select
    a.call_id, a.idempotency_key, a.run_id, a.step_id, a.provider, a.status, coalesce(c.cost_nanos, a.cost_nanos) as cost_nanos
from ledger_attempts a
left join ledger_corrections c on c.attempt_id = a.id
union all
select
    id, key, (cast(sent as json) ->> 'run_id'), (cast(sent as json) ->> 'step_id'), (cast(sent as json) ->> 'provider'), 'sent', null
from ledger_calls
where under_way is not null;
