-- A run's attempts are found without reading all there are; of the calls, those under way are few.
create index ledger_attempts_by_run on ledger_attempts (run_id);
create index ledger_calls_under_way on ledger_calls (under_way) where under_way is not null;
