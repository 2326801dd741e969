-- name: favourites
select command from command_favourites where user_name = $user_name order by command;

-- name: mark_favourite
insert into command_favourites (user_name, command, marked_at) values ($user_name, $command, $marked_at)
on conflict (user_name, command) do nothing;

-- name: forget_favourite
delete from command_favourites where user_name = $user_name and command = $command;

-- name: rate_command
insert into command_ratings (command, version, user_name, rating, comment, rated_at) values ($command, $version, $user_name, $rating, $comment, $rated_at)
on conflict (command, version, user_name) do update set rating = excluded.rating, comment = excluded.comment, rated_at = excluded.rated_at;

-- name: ratings_of_command
select command, version, user_name, rating, comment, rated_at from command_ratings where command = $command
order by rated_at desc, version, user_name;
