-- HTTP access, the audit log, and the jobs of workers.

create schema access;

create table access.tokens (
    token_id      text primary key check (token_id ~ '^[a-z0-9]{12}$'),
    user_name     text not null check (user_name <> ''),
    scope         text not null check (scope in ('viewer', 'operator', 'admin')),
    secret_sha256 text not null check (secret_sha256 ~ '^[0-9a-f]{64}$'),
    note          text not null default '',
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,
    revoked_at    timestamptz,
    last_used_at  timestamptz
);
comment on table access.tokens is 'Secrets are known by their digests alone.';

create table access.links (
    code_sha256 text primary key check (code_sha256 ~ '^[0-9a-f]{64}$'),
    user_name   text not null check (user_name <> ''),
    scope       text not null check (scope in ('viewer', 'operator', 'admin')),
    expires_at  timestamptz not null
);
comment on table access.links is 'Good for one entry; a link that was used is gone.';

create table access.sessions (
    session_sha256 text primary key check (session_sha256 ~ '^[0-9a-f]{64}$'),
    user_name      text not null check (user_name <> ''),
    scope          text not null check (scope in ('viewer', 'operator', 'admin')),
    csrf           text not null check (csrf <> ''),
    token_id       text references access.tokens on delete cascade,
    created_at     timestamptz not null default now(),
    expires_at     timestamptz not null
);

create table access.audit (
    audit_id   bigint generated always as identity primary key,
    at         timestamptz not null default now(),
    user_name  text,
    token_id   text,
    action     text not null check (action <> ''),
    target     text not null,
    status     integer not null,
    request_id text not null,
    address    text not null,
    details    jsonb not null
);
comment on table access.audit is 'Every change that was asked for over HTTP, and every refusal.';

create table pipeline.jobs (
    job_id       bigint primary key,
    pipeline     text not null check (pipeline <> ''),
    asset_id     text not null check (asset_id <> ''),
    run_id       text not null check (run_id <> ''),
    source       text not null check (source <> ''),
    request      jsonb not null,
    submitted_by text not null check (submitted_by <> ''),
    submitted_at timestamptz not null default now(),
    started_at   timestamptz,
    ended_at     timestamptz,
    is_cancelled boolean not null default false,
    worker       text,
    tries        integer not null default 0 check (tries >= 0),
    failures     integer not null default 0 check (failures >= 0),
    beat_at      timestamptz,
    outcome      jsonb
);
comment on table pipeline.jobs is
    'What was asked of workers; the queue (schema queue, by procrastinate) has it by the same id.';
comment on column pipeline.jobs.tries is
    'How often it was begun; whoever ends it says which time that was, or is not heard.';
comment on column pipeline.jobs.failures is
    'How often it died, or found a service away; waiting and being handed back do not count.';
comment on column pipeline.jobs.beat_at is 'When its worker was heard of last.';
create unique index jobs_open on pipeline.jobs (asset_id, run_id) where ended_at is null;
create index jobs_by_user on pipeline.jobs (submitted_by, job_id);
create index jobs_by_run on pipeline.jobs (asset_id, run_id, job_id);
