-- Whose favourites commands are, and how people rated their versions.
create table command_favourites (
    user_name text not null,
    command text not null,
    marked_at timestamptz not null,
    primary key (user_name, command)
);

create table command_ratings (
    command text not null,
    version text not null,
    user_name text not null,
    rating integer not null,
    comment text not null,
    rated_at timestamptz not null,
    primary key (command, version, user_name)
);
