-- Known people, the faces that they are recognised by, and their screen time.

create table people (
    person_key  integer generated always as identity primary key,
    person_id   text not null unique check (person_id ~ '^[a-z0-9][a-z0-9-]{0,127}$'),
    name        text not null check (name <> '' and length(name) <= 500),
    created_at  timestamptz not null default now()
);
create unique index people_by_name on people (lower(name));
comment on table people is 'Who is known across runs. Names that people gave; no run writes here.';

create table people_references (
    person_key     integer not null references people on delete cascade,
    asset_id       text not null check (asset_id <> ''),
    run_id         text not null check (run_id <> ''),
    cluster_id     text not null check (cluster_id <> ''),
    model          text not null check (model <> ''),
    weights_sha256 text check (weights_sha256 ~ '^[0-9a-f]{64}$'),
    vector         double precision[] not null check (cardinality(vector) > 0),
    vector_sha256  text not null check (vector_sha256 ~ '^[0-9a-f]{64}$'),
    created_at     timestamptz not null default now(),
    primary key (asset_id, run_id, cluster_id)
);
create index people_references_by_person on people_references (person_key);
comment on table people_references is
    'A decision: this cluster of that run, grouped by this vector, is this person. Kept though the run be deleted.';

create schema screenalytics;

create table screenalytics.person_metrics (
    asset_key       integer not null,
    run_key         integer not null,
    identity_id     text not null check (identity_id <> ''),
    vector_sha256   text not null check (vector_sha256 ~ '^[0-9a-f]{64}$'),
    person_id       text not null check (person_id <> ''),
    onscreen_ms     bigint not null check (onscreen_ms >= 0),
    face_visible_ms bigint not null check (face_visible_ms >= 0),
    body_only_ms    bigint not null check (body_only_ms >= 0),
    gap_bridged_ms  bigint not null check (gap_bridged_ms >= 0),
    speaking_ms     bigint check (speaking_ms >= 0),
    confessional_ms bigint check (confessional_ms >= 0),
    first_ms        bigint not null check (first_ms >= 0),
    last_ms         bigint not null,
    appearances     integer not null check (appearances >= 0),
    share           double precision not null check (share between 0 and 1),
    is_singleton    boolean not null,
    unsure          jsonb not null check (jsonb_typeof(unsure) = 'array'),
    primary key (asset_key, run_key, identity_id),
    foreign key (asset_key, run_key) references runs on delete cascade,
    check (first_ms <= last_ms),
    check (onscreen_ms = face_visible_ms + body_only_ms + gap_bridged_ms)
);
comment on column screenalytics.person_metrics.person_id is
    'The known person as the run recognised them, else the identity. Names given since stand in '
    'people_references and win.';
