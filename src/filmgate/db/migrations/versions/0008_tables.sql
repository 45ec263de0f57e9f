-- All tables of the platform, for a new installation. The schema of the installation is the first
-- one of the search path, so no name is qualified.
--
-- Tables refer to rows by small integer keys; the view `artifacts` has the public ids. Every key of a
-- big table begins with asset_key, so that an asset is stored in one partition.

create table assets (
    asset_key   integer generated always as identity primary key,
    asset_id    text not null unique check (asset_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    input_hash  text not null check (input_hash ~ '^sha256:[0-9a-f]{64}$'),
    uri         text not null check (uri <> ''),
    size_bytes  bigint not null check (size_bytes >= 0),
    media       jsonb not null
);

create table runs (
    asset_key      integer not null references assets,
    run_key        integer generated always as identity,
    run_id         text not null check (run_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    producer       text not null check (producer <> ''),
    pipeline       text not null check (pipeline <> ''),
    model_profile  text not null check (model_profile <> ''),
    config_hash    text not null check (config_hash ~ '^sha256:[0-9a-f]{64}$'),
    input_hash     text not null check (input_hash ~ '^sha256:[0-9a-f]{64}$'),
    status         text not null check (status in ('running', 'completed', 'failed', 'incomplete')),
    revision       integer not null check (revision >= 0),
    created_at     timestamptz not null,
    finished_at    timestamptz,
    error          jsonb,
    config         jsonb not null default '{}',
    source_sha_map jsonb not null default '{}',
    published_at   timestamptz,
    primary key (asset_key, run_key),
    unique (asset_key, producer, run_id),
    check (status <> 'completed' or finished_at is not null)
);
create index runs_by_status on runs (asset_key, status, finished_at desc, run_id desc);
create index runs_by_profile on runs (asset_key, model_profile, status, finished_at desc);

create table stage_ends (
    asset_key        integer not null,
    run_key          integer not null,
    stage            text not null check (stage <> ''),
    position         smallint not null,
    status           text not null check (status <> ''),
    attempt          integer not null check (attempt >= 0),
    fingerprint      text check (fingerprint ~ '^sha256:[0-9a-f]{64}$'),
    record_sha256    text check (record_sha256 ~ '^[0-9a-f]{64}$'),
    lineage          jsonb not null,
    producer         text,
    producer_version text,
    weights_sha256   text,
    counts           jsonb not null,
    metrics          jsonb not null,
    warnings         jsonb not null,
    started_at       timestamptz,
    ended_at         timestamptz,
    duration_s       double precision,
    error_details    jsonb,
    primary key (asset_key, run_key, stage),
    foreign key (asset_key, run_key) references runs on delete cascade
);

-- Artifacts.

create table artifact_types (
    type_key      smallint generated always as identity primary key,
    artifact_type text not null unique check (artifact_type <> ''),
    check (artifact_type ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$')
);

create table artifact_files (
    asset_key        integer not null,
    run_key          integer not null,
    type_key         smallint not null references artifact_types,
    artifact_key     text check (artifact_key <> ''),
    path             text check (path <> ''),
    sha256           text check (sha256 ~ '^[0-9a-f]{64}$'),
    schema_version   smallint not null check (schema_version >= 1),
    producer         text not null check (producer <> ''),
    producer_version text not null check (producer_version <> ''),
    weights_sha256   text check (weights_sha256 ~ '^[0-9a-f]{64}$'),
    created_at       timestamptz not null,
    stage            text check (stage <> ''),
    text_config      regconfig not null default 'english',
    longest_ms       bigint not null default 0 check (longest_ms >= 0),
    next_ordinal     integer not null default 0 check (next_ordinal >= 0),
    primary key (asset_key, run_key, type_key),
    foreign key (asset_key, run_key) references runs on delete cascade,
    check (num_nulls(artifact_key, path, sha256) in (0, 3))
);

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
-- No plan depends on statistics of payloads, and they are most of what ANALYZE would read.
alter table artifact_rows alter payload set statistics 0;

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

create view file_headers as
select f.asset_key, f.type_key, f.run_key, a.asset_id,
       t.artifact_type collate "C" as artifact_type, r.run_id, r.model_profile,
       r.config_hash, r.input_hash, f.schema_version, f.producer, f.producer_version, f.created_at,
       f.text_config, f.longest_ms
  from artifact_files f
  join runs r using (asset_key, run_key)
  join assets a using (asset_key)
  join artifact_types t using (type_key);

create table legacy_artifacts (
    asset_id      text not null check (asset_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    artifact_type text collate "C" not null check (artifact_type <> ''),
    ordinal       integer not null check (ordinal >= 0),
    span_start_ms bigint not null check (span_start_ms >= 0),
    span_end_ms   bigint not null,
    payload       jsonb not null check (jsonb_typeof(payload) = 'object'),
    source        text not null check (source <> ''),
    primary key (asset_id, artifact_type, ordinal),
    check (span_start_ms <= span_end_ms)
);
create index legacy_artifacts_by_time
    on legacy_artifacts (asset_id, artifact_type, span_start_ms, ordinal);

-- Projections: derived tables, keyed by the queried value, then by time.

create table transcript_fts (
    asset_key     integer not null,
    run_key       integer not null,
    ordinal       integer not null,
    type_key      smallint not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    confidence    double precision,
    text          text,
    words         tsvector,
    primary key (asset_key, run_key, span_start_ms, ordinal),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade
);

create table ocr_fts (
    asset_key     integer not null,
    run_key       integer not null,
    ordinal       integer not null,
    type_key      smallint not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    confidence    double precision,
    text          text,
    words         tsvector,
    primary key (asset_key, run_key, span_start_ms, ordinal),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade
);

create table object_labels (
    asset_key     integer not null,
    run_key       integer not null,
    ordinal       integer not null,
    type_key      smallint not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    label         text,
    confidence    double precision,
    primary key (asset_key, run_key, label, span_start_ms, ordinal),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade
);

create table face_clusters (
    asset_key     integer not null,
    run_key       integer not null,
    ordinal       integer not null,
    type_key      smallint not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    cluster_id    text,
    confidence    double precision,
    primary key (asset_key, run_key, cluster_id, span_start_ms, ordinal),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade
);

create table scene_ranges (
    asset_key     integer not null,
    run_key       integer not null,
    ordinal       integer not null,
    type_key      smallint not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    scene_index   integer,
    primary key (asset_key, run_key, span_start_ms, ordinal),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade
);

create table place_labels (
    asset_key     integer not null,
    run_key       integer not null,
    ordinal       integer not null,
    type_key      smallint not null,
    span_start_ms bigint not null,
    span_end_ms   bigint not null,
    label         text,
    confidence    double precision,
    primary key (asset_key, run_key, label, span_start_ms, ordinal),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade
);

-- The run that is served.

create table artifact_selections (
    asset_key     integer not null references assets,
    type_key      smallint not null references artifact_types,
    mode          text not null check (mode in ('latest', 'pinned', 'profile', 'best_quality')),
    model_profile text check (model_profile <> ''),
    run_key       integer,
    ordinal       integer check (ordinal >= 0),
    primary key (asset_key, type_key),
    foreign key (asset_key, run_key) references runs,
    check ((mode = 'profile') = (model_profile is not null)),
    check ((mode = 'pinned') = (run_key is not null)),
    check (mode = 'pinned' or ordinal is null)
);

create table served (
    asset_key        integer not null,
    type_key         smallint not null,
    run_key          integer not null,
    ordinal          integer,
    asset_id         text not null,
    artifact_type    text collate "C" not null,
    run_id           text not null,
    model_profile    text not null,
    config_hash      text not null,
    input_hash       text not null,
    schema_version   smallint not null,
    producer         text not null,
    producer_version text not null,
    created_at       timestamptz not null,
    text_config      regconfig not null,
    longest_ms       bigint not null,
    primary key (asset_key, type_key),
    foreign key (asset_key, run_key, type_key) references artifact_files on delete cascade
);
create index served_by_name on served (asset_id, artifact_type);

create table served_words (
    asset_key integer not null,
    type_key  smallint not null,
    part      integer not null,
    run_key   integer not null,
    config    regconfig not null,
    words     tsvector not null,
    primary key (asset_key, type_key, part),
    foreign key (asset_key, type_key) references served on delete cascade
);
create index served_words_by_word on served_words using gin (words);

-- Functions.

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

create function searched_text(words text) returns text
language sql immutable parallel safe
return translate(left(words, 50000), U&'\E000\E001', '');

create function asked_words(config regconfig, words text) returns tsquery
language plpgsql stable
as $$
begin
    return websearch_to_tsquery(config, words);
exception when others then  -- a hundred minus signs are too many for its parser
    return plainto_tsquery(config, words);
end
$$;

create function loosened(query tsquery) returns tsquery
language sql immutable parallel safe
return regexp_replace(querytree(query), '\s<(-|[0-9]+)>\s', ' & ', 'g')::tsquery;

create function search_configs() returns regconfig[]
language sql immutable parallel safe
return array['english', 'german', 'spanish', 'french', 'italian', 'dutch', 'portuguese',
             'simple']::regconfig[];

create function describe_file(asset integer, run integer, type smallint) returns void
language sql
begin atomic
    update artifact_files f
       set longest_ms   = d.longest_ms,
           next_ordinal = greatest(f.next_ordinal, d.next_ordinal),
           text_config  = coalesce(d.text_config, 'english')
      from (select coalesce(max(span_end_ms - span_start_ms), 0) as longest_ms,
                   coalesce(max(ordinal) + 1, 0) as next_ordinal,
                   mode() within group (order by text_config(payload ->> 'language'))
                       as text_config
              from artifact_rows
             where asset_key = asset and run_key = run and type_key = type) d
     where f.asset_key = asset and f.run_key = run and f.type_key = type;
end;

create function films_with(
    configs regconfig[], asked tsquery[], types smallint[], up_to integer, at_most integer
) returns setof integer
language plpgsql stable  -- keeps its plan
set enable_seqscan = off  -- the planner takes the table for small: its words lie beside it
as $$
begin
    return query
    select distinct w.asset_key
      from unnest(configs, asked) q (config, words)
     cross join lateral (
           select s.asset_key, s.type_key, s.config  -- by nothing but the index of words
             from served_words s
            where s.words @@ q.words
           offset 0) w
     where w.config = q.config and w.type_key = any (types) and w.asset_key <= up_to
     order by w.asset_key desc
     limit at_most;
end
$$;

create function quality_of(model_profile text) returns integer
language sql immutable parallel safe
return case model_profile
    when 'high_quality' then 3 when 'balanced' then 2 when 'fast' then 1 else 0 end;

create function choose_run(
    asset integer, type smallint, mode text, wanted_profile text, wanted_run integer,
    wanted_run_id text default null, wanted_producer text default null,
    wanted_version text default null, wanted_config text default null
) returns integer
language sql stable
begin atomic
    select r.run_key
      from runs r
      join artifact_files f using (asset_key, run_key)
     where r.asset_key = asset and f.type_key = type and r.status = 'completed'
       and (mode <> 'pinned' or r.run_key = wanted_run or r.run_id = wanted_run_id)
       and (mode <> 'profile' or r.model_profile = wanted_profile)
       and (wanted_producer is null or f.producer = wanted_producer)
       and (wanted_version is null or f.producer_version = wanted_version)
       and (wanted_config is null or r.config_hash = wanted_config)
     order by case when mode = 'best_quality' then quality_of(r.model_profile) else 0 end desc,
              r.finished_at desc, r.run_id desc, r.producer
     limit 1;
end;

create function refresh_served(asset integer) returns void
language sql
begin atomic
    insert into served
    select h.asset_key, h.type_key, h.run_key, d.ordinal, h.asset_id, h.artifact_type, h.run_id,
           h.model_profile, h.config_hash, h.input_hash, h.schema_version, h.producer,
           h.producer_version, h.created_at, h.text_config, h.longest_ms
      from (select f.type_key, p.ordinal,
                   choose_run(asset, f.type_key, coalesce(p.mode, 'latest'), p.model_profile,
                              p.run_key) as run_key
              from (select distinct type_key from artifact_files where asset_key = asset) f
              left join artifact_selections p
                     on p.asset_key = asset and p.type_key = f.type_key) d
      join file_headers h
        on h.asset_key = asset and h.type_key = d.type_key and h.run_key = d.run_key
     where d.ordinal is null
        or exists (select from artifact_rows o
                    where o.asset_key = asset and o.run_key = d.run_key
                      and o.type_key = d.type_key and o.ordinal = d.ordinal)
        on conflict (asset_key, type_key) do update
       set (run_key, ordinal, run_id, model_profile, config_hash, input_hash, schema_version,
            producer, producer_version, created_at, text_config, longest_ms)
           = (excluded.run_key, excluded.ordinal, excluded.run_id, excluded.model_profile,
              excluded.config_hash, excluded.input_hash, excluded.schema_version,
              excluded.producer, excluded.producer_version, excluded.created_at,
              excluded.text_config, excluded.longest_ms)
     where served is distinct from excluded;

    delete from served s
     where s.asset_key = asset
       and not exists (
           select from (select choose_run(asset, s.type_key, coalesce(max(p.mode), 'latest'),
                                          max(p.model_profile), max(p.run_key)) as run_key,
                               max(p.ordinal) as ordinal
                          from artifact_selections p
                         where p.asset_key = asset and p.type_key = s.type_key) d
            where d.run_key is not null
              and (d.ordinal is null
                   or exists (select from artifact_rows o
                               where o.asset_key = asset and o.run_key = d.run_key
                                 and o.type_key = s.type_key and o.ordinal = d.ordinal)));

    delete from served_words w
     using served s
     where w.asset_key = asset and s.asset_key = asset and s.type_key = w.type_key
       and (s.run_key, s.text_config) <> (w.run_key, w.config);

    insert into served_words
    select asset, s.type_key, p.part, s.run_key, s.text_config,
           array_to_tsvector(array_agg(distinct l.lexeme))
      from served s
     cross join lateral (
           -- a text's words take at most twice its bytes, and a vector holds a million: so much
           -- goes into one part before the text that would be the last
           select x.words,
                  (sum(2 * octet_length(x.text)) over (order by x.span_start_ms, x.ordinal)
                   - 2 * octet_length(x.text)) / 300000 as part
             from (select span_start_ms, ordinal, text, words from transcript_fts
                    where asset_key = asset and run_key = s.run_key
                      and s.artifact_type = 'transcript.segment'
                   union all
                   select span_start_ms, ordinal, text, words from ocr_fts
                    where asset_key = asset and run_key = s.run_key
                      and s.artifact_type = 'ocr.text') x) p
     cross join lateral unnest(tsvector_to_array(p.words)) l (lexeme)
     where s.asset_key = asset
       and not exists (select from served_words w
                        where w.asset_key = asset and w.type_key = s.type_key)
     group by s.type_key, p.part, s.run_key, s.text_config;
end;

-- People.

create table people (
    person_key  integer generated always as identity primary key,
    person_id   text not null unique check (person_id ~ '^[a-z0-9][a-z0-9-]{0,127}$'),
    name        text not null check (name <> '' and length(name) <= 500),
    created_at  timestamptz not null default now()
);
create unique index people_by_name on people (lower(name));

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

-- Publishing and ingest: outbox, deliveries and receipts.

create table outbox (
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

create table positions (
    stage    text not null check (stage <> ''),
    source   text not null check (source <> ''),
    position text not null,
    primary key (stage, source)
);

create table deliveries (
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
create index deliveries_due_of_source
    on deliveries (stage, source, (attempt = told_attempt), next_attempt_at, manifest_key)
    where next_attempt_at is not null;
create index deliveries_due_announced
    on deliveries (stage, (attempt = told_attempt), next_attempt_at, source, manifest_key)
    where next_attempt_at is not null and announced_sha256 is not null;
create index deliveries_failed on deliveries (ended_at desc) where status = 'FAILED';
create index deliveries_by_run on deliveries (run_id);
create index deliveries_by_asset on deliveries (asset_id);

create table inbox (
    producer        text not null check (producer <> ''),
    asset_id        text not null check (asset_id <> ''),
    run_id          text not null check (run_id <> ''),
    manifest_sha256 text not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    revision        integer not null check (revision >= 0),
    status          text not null,
    artifacts       jsonb not null,
    received_at     timestamptz not null default now(),
    stage           text not null check (stage <> ''),
    schema_version  integer not null,
    source          text not null check (source <> ''),
    manifest_key    text not null check (manifest_key <> ''),
    files           jsonb not null,
    counts          jsonb not null,
    is_current      boolean not null default true,
    primary key (producer, asset_id, run_id, manifest_sha256, stage)
);
create unique index inbox_current on inbox (producer, asset_id, run_id, stage) where is_current;
create index inbox_by_run on inbox (run_id);
create index inbox_by_asset on inbox (asset_id);
create index inbox_by_time on inbox (received_at desc);

create view run_stages as
select a.asset_id, r.run_id, r.producer as installation, null::text as source,
       null::text as manifest_key, s.stage, s.position, s.status, s.attempt, s.started_at,
       s.ended_at, s.duration_s, s.error_details, s.fingerprint, s.record_sha256, s.lineage,
       s.producer, s.producer_version, s.weights_sha256, s.counts, s.metrics, s.warnings
  from stage_ends s
  join runs r using (asset_key, run_key)
  join assets a using (asset_key)
union all
select d.asset_id, d.run_id, d.producer, d.source, d.manifest_key, d.stage, null, d.status,
       d.attempt, d.noticed_at, d.ended_at, null, d.error_details, null, null, null, null, null,
       null, null, null, null
  from deliveries d;

-- What products read.

create table product_runs (
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
create index product_runs_by_asset on product_runs (asset_id, finished_at desc);

create table product_run_artifacts (
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
    foreign key (producer, asset_id, run_id) references product_runs on delete cascade
);

create table product_person_metrics (
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
    foreign key (producer, asset_id, run_id) references product_runs on delete cascade,
    check (first_ms <= last_ms),
    check (onscreen_ms = face_visible_ms + body_only_ms + gap_bridged_ms)
);
create index product_person_metrics_by_person on product_person_metrics (person_id);

-- HTTP access and the audit log.

create table access_tokens (
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

create table access_links (
    code_sha256 text primary key check (code_sha256 ~ '^[0-9a-f]{64}$'),
    user_name   text not null check (user_name <> ''),
    scope       text not null check (scope in ('viewer', 'operator', 'admin')),
    expires_at  timestamptz not null
);

create table access_sessions (
    session_sha256 text primary key check (session_sha256 ~ '^[0-9a-f]{64}$'),
    user_name      text not null check (user_name <> ''),
    scope          text not null check (scope in ('viewer', 'operator', 'admin')),
    csrf           text not null check (csrf <> ''),
    token_id       text references access_tokens on delete cascade,
    created_at     timestamptz not null default now(),
    expires_at     timestamptz not null
);

create table access_audit (
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

-- Jobs of workers.

create table jobs (
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
create unique index jobs_open on jobs (asset_id, run_id) where ended_at is null;
create index jobs_by_user on jobs (submitted_by, job_id);
create index jobs_by_run on jobs (asset_id, run_id, job_id);
