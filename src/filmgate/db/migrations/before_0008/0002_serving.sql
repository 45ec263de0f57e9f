-- Served runs, and the projections that queries read.

-- Runs from their start on, with their configuration and their sources.

alter table runs
    add config         jsonb not null default '{}',
    add source_sha_map jsonb not null default '{}';
alter table runs add check (status <> 'completed' or finished_at is not null);
alter table artifact_types add check (artifact_type ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$');
drop index runs_by_status;
create index runs_by_status on runs (asset_key, status, finished_at desc, run_id desc);
create index runs_by_profile on runs (asset_key, model_profile, status, finished_at desc);

create table pipeline.run_stages (
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
comment on table pipeline.run_stages is 'How each stage of a run ended, and on which records it stood.';

-- Values that all artifacts of a file share.

create function searched_text(words text) returns text
language sql immutable parallel safe
return translate(left(words, 50000), U&'\E000\E001', '');
comment on function searched_text is
    'What of a text is searched: 50,000 characters, without the two marks of snippets.';

alter table artifact_files
    add stage       text check (stage <> ''),
    add text_config regconfig not null default 'english',
    add longest_ms  bigint not null default 0 check (longest_ms >= 0),
    add next_ordinal integer not null default 0 check (next_ordinal >= 0),
    alter artifact_key drop not null,
    alter path drop not null,
    alter sha256 drop not null,
    add check (num_nulls(artifact_key, path, sha256) in (0, 3));
comment on column artifact_files.text_config is
    'How the texts in it are searched: by the language that most of them are in.';
comment on column artifact_files.longest_ms is
    'No artifact in it lasts longer, so that an overlap is one short walk along the index.';
comment on column artifact_files.next_ordinal is
    'Not given before in this revision of the run, also where the last artifact was deleted.';
comment on column artifact_files.path is
    'In the run''s folder; null for artifacts that a program added one by one.';

create function asked_words(config regconfig, words text) returns tsquery
language plpgsql stable
as $$
begin
    return websearch_to_tsquery(config, words);
exception when others then  -- a hundred minus signs are too many for its parser
    return plainto_tsquery(config, words);
end
$$;
comment on function asked_words is 'A question in web search syntax; no text breaks it.';

create function loosened(query tsquery) returns tsquery
language sql immutable parallel safe
return regexp_replace(querytree(query), '\s<(-|[0-9]+)>\s', ' & ', 'g')::tsquery;
comment on function loosened is
    'What matches wherever the query does, and asks neither for places of words nor for their lack.';

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

select describe_file(asset_key, run_key, type_key) from artifact_files;

-- Projections: derived tables, keyed by the queried value, then by time.

drop table transcript_fts, scene_ranges;

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

insert into transcript_fts
select o.asset_key, o.run_key, o.ordinal, o.type_key, o.span_start_ms, o.span_end_ms,
       (o.payload ->> 'confidence')::double precision, searched_text(o.payload ->> 'text'),
       to_tsvector(f.text_config, searched_text(o.payload ->> 'text'))
  from artifact_rows o
  join artifact_files f using (asset_key, run_key, type_key)
  join artifact_types t using (type_key)
 where t.artifact_type = 'transcript.segment';

insert into scene_ranges
select o.asset_key, o.run_key, o.ordinal, o.type_key, o.span_start_ms, o.span_end_ms,
       (o.payload ->> 'scene_index')::integer
  from artifact_rows o
  join artifact_types t using (type_key)
 where t.artifact_type = 'scene';

comment on table transcript_fts is 'projection of transcript.segment';
comment on table ocr_fts is 'projection of ocr.text';
comment on table object_labels is 'projection of object.detection';
comment on table face_clusters is 'projection of face.detection';
comment on table scene_ranges is 'projection of scene';
comment on table place_labels is 'projection of place.classification';

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
comment on table artifact_selections is
    'What somebody chose to be served; where there is no row, the latest run is.';

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
comment on table served is
    'Derived: the run, or the one artifact of it, that an asset and a type are served from, and what
    all artifacts of that run and type have in their envelope; so that a question begins at one row.';

create view file_headers as
select f.asset_key, f.type_key, f.run_key, a.asset_id,
       t.artifact_type collate "C" as artifact_type, r.run_id, r.model_profile,
       r.config_hash, r.input_hash, f.schema_version, f.producer, f.producer_version, f.created_at,
       f.text_config, f.longest_ms
  from artifact_files f
  join runs r using (asset_key, run_key)
  join assets a using (asset_key)
  join artifact_types t using (type_key);
comment on view file_headers is
    'What all artifacts of a type in a run have in their envelope, and how they are searched.';

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
comment on table served_words is
    'Derived: all words of the texts that are served, by asset; where search begins.';

create function search_configs() returns regconfig[]
language sql immutable parallel safe
return array['english', 'german', 'spanish', 'french', 'italian', 'dutch', 'portuguese',
             'simple']::regconfig[];
comment on function search_configs is 'Every way of searching that text_config knows.';

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
comment on function films_with is
    'The assets in whose served texts all words of a question stand somewhere, newest first.';

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
comment on function choose_run is
    'The one run that a selection means; none where no completed run is such.';

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
comment on function refresh_served is
    'Derive anew what an asset is served from, after a run of it or a selection has changed.';

select refresh_served(asset_key) from assets;

-- Legacy artifacts of older products: read, and written only by an import.

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
comment on table legacy_artifacts is
    'Results without a run: nothing is known of who made them. Served where no run is.';
