-- Outbox for published runs, deliveries for runs to ingest, and a receipt for every ingest.

-- Ends of stages: of runs that were made or archived here, and of consumer stages.

alter table pipeline.run_stages rename to stage_ends;
comment on table pipeline.stage_ends is
    'How each stage of a run ended, and on which records it stood.';

create table pipeline.deliveries (
    stage            text not null check (stage <> ''),
    source           text not null check (source <> ''),
    manifest_key     text not null check (manifest_key <> ''),
    mark             text,
    announced_sha256 text check (announced_sha256 ~ '^[0-9a-f]{64}$'),
    status           text not null default 'PENDING'
                     check (status in ('PENDING', 'SUCCESS', 'FAILED')),
    attempt          integer not null default 0 check (attempt >= 0),
    told_attempt     integer not null default 0 check (told_attempt >= 0),
    claims           bigint not null default 0 check (claims >= 0),
    next_attempt_at  timestamptz default now(),
    producer         text,
    asset_id         text,
    run_id           text,
    manifest_sha256  text,
    error_details    jsonb,
    noticed_at       timestamptz not null default now(),
    ended_at         timestamptz,
    primary key (stage, source, manifest_key),
    check ((status = 'FAILED') = (error_details is not null)),
    check (status <> 'SUCCESS' or next_attempt_at is null)
);
comment on table pipeline.deliveries is
    'Manifests that a consumer was told of, or found, and what came of them.';
comment on column pipeline.deliveries.mark is
    'What a listing said of its bytes; where that changes, it is looked at again.';
comment on column pipeline.deliveries.next_attempt_at is
    'When it is due; null where it is done with.';
comment on column pipeline.deliveries.told_attempt is
    'The last attempt that came to an end, if only a bad one.';
comment on column pipeline.deliveries.claims is
    'Rises with every claim: whoever claimed it knows by that whether it is still theirs.';
create index deliveries_due_of_source
    on pipeline.deliveries (stage, source, (attempt = told_attempt), next_attempt_at, manifest_key)
    where next_attempt_at is not null;
create index deliveries_due_announced
    on pipeline.deliveries (stage, (attempt = told_attempt), next_attempt_at, source, manifest_key)
    where next_attempt_at is not null and announced_sha256 is not null;
create index deliveries_failed on pipeline.deliveries (ended_at desc) where status = 'FAILED';
create index deliveries_by_run on pipeline.deliveries (run_id);
create index deliveries_by_asset on pipeline.deliveries (asset_id);

create view pipeline.run_stages as
select a.asset_id, r.run_id, r.producer as installation, null::text as source,
       null::text as manifest_key, s.stage, s.position, s.status, s.attempt, s.started_at,
       s.ended_at, s.duration_s, s.error_details, s.fingerprint, s.record_sha256, s.lineage,
       s.producer, s.producer_version, s.weights_sha256, s.counts, s.metrics, s.warnings
  from pipeline.stage_ends s
  join runs r using (asset_key, run_key)
  join assets a using (asset_key)
union all
select d.asset_id, d.run_id, d.producer, d.source, d.manifest_key, d.stage, null, d.status,
       d.attempt, d.noticed_at, d.ended_at, null, d.error_details, null, null, null, null, null,
       null, null, null, null
  from pipeline.deliveries d;
comment on view pipeline.run_stages is
    'How stages ended: those of runs, and those of consumers, which are known by manifest_key.';

create table pipeline.positions (
    stage    text not null check (stage <> ''),
    source   text not null check (source <> ''),
    position text not null,
    primary key (stage, source)
);
comment on table pipeline.positions is
    'How far a consumer has read: the last event of an outbox, the last key of a listing.';

create table pipeline.outbox (
    event_id        bigint generated always as identity primary key,
    producer        text not null check (producer <> ''),
    asset_id        text not null check (asset_id <> ''),
    run_id          text not null check (run_id <> ''),
    source          text not null check (source <> ''),
    manifest_key    text not null check (manifest_key <> ''),
    manifest_sha256 text not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    published_at    timestamptz not null default now(),
    unique (producer, asset_id, run_id, source)
);
comment on table pipeline.outbox is
    'Runs that were published, in the order in which that became known. Rows stay as they are.';

alter table runs add published_at timestamptz;
comment on column runs.published_at is 'Since when it lies whole in some store, and is sealed.';

-- Receipts.

alter table pipeline.inbox
    add stage          text not null default 'ingest' check (stage <> ''),
    add schema_version integer not null default 1,
    add source         text not null default 'before 0004' check (source <> ''),
    add manifest_key   text not null default 'manifest.json' check (manifest_key <> ''),
    add files          jsonb not null default '{}',
    add counts         jsonb not null default '{}',
    add is_current     boolean not null default true,
    drop constraint inbox_pkey,
    add primary key (producer, asset_id, run_id, manifest_sha256, stage);
alter table pipeline.inbox
    alter stage drop default, alter schema_version drop default, alter source drop default,
    alter manifest_key drop default, alter files drop default, alter counts drop default;
create unique index inbox_current on pipeline.inbox (producer, asset_id, run_id, stage)
    where is_current;
create index inbox_by_run on pipeline.inbox (run_id);
create index inbox_by_asset on pipeline.inbox (asset_id);
create index inbox_by_time on pipeline.inbox (received_at desc);
comment on table pipeline.inbox is
    'Receipts: which manifest was taken in by whom, from where, and into how many rows.';
comment on column pipeline.inbox.is_current is
    'Whether the rows are still those of this manifest, not of a later revision of the run.';
comment on column pipeline.inbox.counts is 'Rows made, by table.';
comment on column pipeline.inbox.files is 'Files whose records became rows, with their sha256.';

-- Tables that Screenalytics reads.

create table screenalytics.runs (
    producer        text not null check (producer <> ''),
    asset_id        text not null check (asset_id <> ''),
    run_id          text not null check (run_id <> ''),
    source          text not null check (source <> ''),
    manifest_key    text not null check (manifest_key <> ''),
    manifest_sha256 text not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    schema_version  integer not null check (schema_version >= 1),
    pipeline        text not null check (pipeline <> ''),
    model_profile   text not null check (model_profile <> ''),
    config_hash     text not null check (config_hash ~ '^sha256:[0-9a-f]{64}$'),
    input_hash      text not null check (input_hash ~ '^sha256:[0-9a-f]{64}$'),
    status          text not null check (status = 'completed'),
    created_at      timestamptz not null,
    finished_at     timestamptz not null,
    primary key (producer, asset_id, run_id)
);
create index runs_by_asset on screenalytics.runs (asset_id, finished_at desc);
comment on table screenalytics.runs is
    'Completed runs, as their manifests tell of them. When they came in stands in the receipts.';

create table screenalytics.run_artifacts (
    producer       text not null,
    asset_id       text not null,
    run_id         text not null,
    artifact_key   text not null check (artifact_key <> ''),
    stage          text not null check (stage <> ''),
    path           text not null check (path <> ''),
    sha256         text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes     bigint not null check (size_bytes >= 0),
    media_type     text not null,
    schema_name    text not null,
    schema_version integer not null check (schema_version >= 1),
    records        bigint not null check (records >= 0),
    artifact_type  text,
    primary key (producer, asset_id, run_id, artifact_key),
    foreign key (producer, asset_id, run_id) references screenalytics.runs on delete cascade
);
comment on table screenalytics.run_artifacts is 'The files of a run; paths are below its manifest.';

alter table screenalytics.person_metrics rename to person_metrics_before;

create table screenalytics.person_metrics (
    producer        text not null,
    asset_id        text not null,
    run_id          text not null,
    identity_id     text not null check (identity_id <> ''),
    person_id       text not null check (person_id <> ''),
    onscreen_ms     bigint not null check (onscreen_ms >= 0),
    speaking_ms     bigint check (speaking_ms >= 0),
    confessional_ms bigint check (confessional_ms >= 0),
    face_visible_ms bigint not null check (face_visible_ms >= 0),
    body_only_ms    bigint not null check (body_only_ms >= 0),
    gap_bridged_ms  bigint not null check (gap_bridged_ms >= 0),
    first_ms        bigint not null check (first_ms >= 0),
    last_ms         bigint not null,
    appearances     integer not null check (appearances >= 0),
    share           double precision not null check (share between 0 and 1),
    is_singleton    boolean not null,
    unsure          jsonb not null check (jsonb_typeof(unsure) = 'array'),
    vector_sha256   text not null check (vector_sha256 ~ '^[0-9a-f]{64}$'),
    artifact_key    text not null check (artifact_key <> ''),
    schema_version  integer not null check (schema_version >= 1),
    primary key (producer, asset_id, run_id, identity_id),
    foreign key (producer, asset_id, run_id) references screenalytics.runs on delete cascade,
    check (first_ms <= last_ms),
    check (onscreen_ms = face_visible_ms + body_only_ms + gap_bridged_ms)
);
create index person_metrics_by_person on screenalytics.person_metrics (person_id);
comment on column screenalytics.person_metrics.person_id is
    'The known person as the run recognised them, else the identity. Names given since stand in '
    'people_references and win.';
comment on column screenalytics.person_metrics.speaking_ms is 'Null where it was not measured.';
comment on column screenalytics.person_metrics.confessional_ms is 'Null where it was not measured.';
comment on column screenalytics.person_metrics.artifact_key is
    'The file that these numbers stand in, of this schema_version.';

insert into screenalytics.runs
select distinct r.producer, a.asset_id, r.run_id, 'before 0004', 'manifest.json',
       coalesce(i.manifest_sha256, repeat('0', 64)), 1, r.pipeline, r.model_profile, r.config_hash,
       r.input_hash, 'completed', r.created_at, coalesce(r.finished_at, r.created_at)
  from screenalytics.person_metrics_before m
  join runs r using (asset_key, run_key)
  join assets a using (asset_key)
  left join pipeline.inbox i
         on i.producer = r.producer and i.asset_id = a.asset_id and i.run_id = r.run_id;

insert into screenalytics.person_metrics
select r.producer, a.asset_id, r.run_id, m.identity_id, m.person_id, m.onscreen_ms, m.speaking_ms,
       m.confessional_ms, m.face_visible_ms, m.body_only_ms, m.gap_bridged_ms, m.first_ms,
       m.last_ms, m.appearances, m.share, m.is_singleton, m.unsure, m.vector_sha256,
       'screentime', 1
  from screenalytics.person_metrics_before m
  join runs r using (asset_key, run_key)
  join assets a using (asset_key);

drop table screenalytics.person_metrics_before;
