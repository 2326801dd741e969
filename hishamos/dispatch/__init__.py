"""Who does it: a job is a run's id, the truth is the run's row."""
