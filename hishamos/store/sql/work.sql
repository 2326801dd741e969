-- name: insert_result
insert into work_results (
    id, run_id, workflow, project, user_name, title, summary, body, data, action_items, offline, version, rating, created_at
) values (
    $id, $run_id, $workflow, $project, $user_name, $title, $summary, $body, $data, $action_items, $offline, $version, $rating, $created_at
);

-- name: result_by_id
select r.*, p.pruned_at as run_pruned_at from work_results r left join pruned_runs p on p.id = r.run_id where r.id = $id;

-- name: result_ids
select id from work_results order by created_at desc limit 1000;

-- name: results_found
select r.*, p.pruned_at as run_pruned_at
from work_results r left join pruned_runs p on p.id = r.run_id
where (cast($run as text) is null or r.run_id = $run)
  and (cast($project as text) is null or r.project = $project)
  and (cast($search as text) is null or strpos(lower(r.title || ' ' || r.summary || ' ' || r.body), lower($search)) > 0)
order by r.created_at desc, r.id
limit $limit;

-- name: rate_result
update work_results set rating = $rating, version = version + 1 where id = $id;

-- name: insert_comment
insert into work_result_comments (id, result_id, user_name, text, created_at) values ($id, $result_id, $user_name, $text, $created_at);

-- name: comments_on_result
select id, result_id, user_name, text, created_at from work_result_comments where result_id = $result order by created_at desc, id desc limit $limit;

-- name: insert_project
insert into work_projects (key, name, issues_made, created_at) values ($key, $name, 0, $created_at)
on conflict (key) do nothing;

-- name: project_by_key
select key, name, issues_made, created_at from work_projects where key = $key;

-- name: all_projects
select key, name, created_at from work_projects order by key;

-- name: count_issues
update work_projects set issues_made = $issues_made where key = $key;

-- name: insert_issue
insert into work_issues (
    key, project, number, title, body, kind, priority, labels, state, origin, run_id, version, created_at, updated_at
) values (
    $key, $project, $number, $title, $body, $kind, $priority, $labels, 'open', $origin, $run_id, 1, $created_at, $created_at
);

-- name: issue_by_key
select * from work_issues where key = $key;

-- name: issue_by_origin
select * from work_issues where project = $project and origin = $origin;

-- name: issue_keys
select key from work_issues order by created_at desc limit 1000;

-- name: issues_from
select * from work_issues where origin in (select unnest(cast($origins as text[]))) order by created_at, key;

-- name: issues_found
select * from work_issues
where (cast($project as text) is null or project = $project)
  and (cast($state as text) is null or state = $state)
order by created_at desc, number desc
limit $limit;

-- name: move_issue
update work_issues set state = $state, version = version + 1, updated_at = $updated_at where key = $key and version = $version;
