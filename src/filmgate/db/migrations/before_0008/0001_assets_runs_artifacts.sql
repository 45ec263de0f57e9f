-- Tables refer to rows by small integer keys; the view `artifacts` has the public ids.
-- Every key of a big table begins with asset_key, so that an asset is stored in one partition.

create schema pipeline;

create table assets (
    asset_key   integer generated always as identity primary key,
    asset_id    text not null unique check (asset_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    input_hash  text not null check (input_hash ~ '^sha256:[0-9a-f]{64}$'),
    uri         text not null check (uri <> ''),
    size_bytes  bigint not null check (size_bytes >= 0),
    media       jsonb not null
);
comment on table assets is 'What pipelines are run on; in the API, videos.';

create table runs (
    asset_key     integer not null references assets,
    run_key       integer generated always as identity,
    run_id        text not null check (run_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    producer      text not null check (producer <> ''),
    pipeline      text not null check (pipeline <> ''),
    model_profile text not null check (model_profile <> ''),
    config_hash   text not null check (config_hash ~ '^sha256:[0-9a-f]{64}$'),
    input_hash    text not null check (input_hash ~ '^sha256:[0-9a-f]{64}$'),
    status        text not null check (status in ('running', 'completed', 'failed', 'incomplete')),
    revision      integer not null check (revision >= 0),
    created_at    timestamptz not null,
    finished_at   timestamptz,
    error         jsonb,
    primary key (asset_key, run_key),
    unique (asset_key, producer, run_id)
);
create index runs_by_status on runs (asset_key, status, finished_at desc, run_key desc);

create table artifact_types (
    type_key      smallint generated always as identity primary key,
    artifact_type text not null unique check (artifact_type <> '')
);
comment on table artifact_types is 'Grows by itself: a new type of artifact needs no new table.';

create table artifact_files (
    asset_key        integer not null,
    run_key          integer not null,
    type_key         smallint not null references artifact_types,
    artifact_key     text not null check (artifact_key <> ''),
    path             text not null check (path <> ''),
    sha256           text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    schema_version   smallint not null check (schema_version >= 1),
    producer         text not null check (producer <> ''),
    producer_version text not null check (producer_version <> ''),
    weights_sha256   text check (weights_sha256 ~ '^[0-9a-f]{64}$'),
    created_at       timestamptz not null,
    primary key (asset_key, run_key, type_key),
    foreign key (asset_key, run_key) references runs on delete cascade
);
comment on table artifact_files is 'What holds for all artifacts of one type in one run.';

create table artifact_rows (
    asset_key     integer not null,
    run_key       integer not null,
    type_key      smallint not null,
    ordinal       integer not null check (ordinal >= 0),
    span_start_ms bigint not null check (span_start_ms >= 0),
    span_end_ms   bigint not null,
    payload       jsonb not null check (jsonb_typeof(payload) = 'object'),
    primary key (asset_key, run_key, type_key, ordinal),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade,
    check (span_start_ms <= span_end_ms)
) partition by hash (asset_key);
create table artifact_rows_0 partition of artifact_rows for values with (modulus 4, remainder 0);
create table artifact_rows_1 partition of artifact_rows for values with (modulus 4, remainder 1);
create table artifact_rows_2 partition of artifact_rows for values with (modulus 4, remainder 2);
create table artifact_rows_3 partition of artifact_rows for values with (modulus 4, remainder 3);
create index artifact_rows_by_time
    on artifact_rows (asset_key, run_key, type_key, span_start_ms, ordinal);

create view artifacts as
select a.asset_id || ':' || r.run_id || ':' || t.artifact_type || ':' || o.ordinal as artifact_id,
       a.asset_id,
       t.artifact_type,
       f.schema_version,
       o.span_start_ms,
       o.span_end_ms,
       o.payload,
       f.producer,
       f.producer_version,
       r.model_profile,
       r.config_hash,
       r.input_hash,
       r.run_id,
       f.created_at,
       o.asset_key,
       o.run_key,
       o.type_key,
       o.ordinal
  from artifact_rows o
  join artifact_files f using (asset_key, run_key, type_key)
  join runs r using (asset_key, run_key)
  join assets a using (asset_key)
  join artifact_types t using (type_key);
comment on view artifacts is 'The envelope: one time-aligned result with its whole provenance.';

create function text_config(language text) returns regconfig
language sql immutable parallel safe
return case lower(split_part(coalesce(language, 'en'), '-', 1))
    when 'en' then 'english'::regconfig when 'eng' then 'english'::regconfig
    when 'de' then 'german'::regconfig  when 'deu' then 'german'::regconfig
    when 'ger' then 'german'::regconfig
    when 'es' then 'spanish'::regconfig when 'spa' then 'spanish'::regconfig
    when 'fr' then 'french'::regconfig  when 'fra' then 'french'::regconfig
    when 'fre' then 'french'::regconfig
    when 'it' then 'italian'::regconfig when 'ita' then 'italian'::regconfig
    when 'nl' then 'dutch'::regconfig   when 'nld' then 'dutch'::regconfig
    when 'pt' then 'portuguese'::regconfig when 'por' then 'portuguese'::regconfig
    else 'simple'::regconfig end;
comment on function text_config is 'How a language is searched: English by default, else as it is.';

create table transcript_fts (
    asset_key     integer not null,
    run_key       integer not null,
    ordinal       integer not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    config        regconfig not null,
    text          text not null,
    words         tsvector not null,
    primary key (asset_key, run_key, ordinal),
    foreign key (asset_key, run_key) references runs on delete cascade
);
create index transcript_fts_by_time on transcript_fts (asset_key, run_key, span_start_ms, ordinal);

create table scene_ranges (
    asset_key     integer not null,
    run_key       integer not null,
    scene_index   integer not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    primary key (asset_key, run_key, scene_index),
    foreign key (asset_key, run_key) references runs on delete cascade
);
create index scene_ranges_by_time on scene_ranges (asset_key, run_key, span_start_ms);

create table pipeline.inbox (
    producer        text not null check (producer <> ''),
    asset_id        text not null check (asset_id <> ''),
    run_id          text not null check (run_id <> ''),
    manifest_sha256 text not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    revision        integer not null check (revision >= 0),
    status          text not null,
    artifacts       jsonb not null,
    received_at     timestamptz not null default now(),
    primary key (producer, asset_id, run_id)
);
comment on table pipeline.inbox is 'Receipts: the manifest of each run as it was last taken in.';
