-- name: add_asset
insert into assets (asset_id, input_hash, uri, size_bytes, media)
values (%(asset_id)s, %(input_hash)s, %(uri)s, %(size_bytes)s, %(media)s)
    on conflict (asset_id) do nothing;

-- name: lock_asset
-- Only one session at a time derives what an asset is served from.
select asset_key from assets where asset_id = %(asset_id)s for no key update;

-- name: renew_asset
-- Replace the facts of an asset, unless a newer run exists.
update assets a
   set input_hash = %(input_hash)s, uri = %(uri)s, size_bytes = %(size_bytes)s, media = %(media)s
 where asset_id = %(asset_id)s
   and not exists (select from runs r
                    where r.asset_key = a.asset_key and r.created_at > %(created_at)s);

-- name: begin_run
-- A run that already exists does not change, unless it failed or is incomplete and is continued.
insert into runs (asset_key, run_id, producer, pipeline, model_profile, config, config_hash,
                  input_hash, source_sha_map, status, revision, created_at)
values (%(asset_key)s, %(run_id)s, %(producer)s, %(pipeline)s, %(model_profile)s, %(config)s,
        %(config_hash)s, %(input_hash)s, %(source_sha_map)s, 'running', 0, %(created_at)s)
    on conflict (asset_key, producer, run_id) do update
   set status = 'running', finished_at = null, error = null
 where runs.status in ('failed', 'incomplete');

-- name: end_run
-- Update only the status: the database has no artifacts of a run that was not ingested.
update runs r
   set status = case when %(status)s = 'completed' then 'incomplete' else %(status)s end,
       finished_at = %(finished_at)s, error = %(error)s
  from assets a
 where a.asset_id = %(asset_id)s and r.asset_key = a.asset_key
   and r.producer = %(producer)s and r.run_id = %(run_id)s and r.status = 'running';

-- name: end_again
-- A run that was started again and ended with the same manifest.
update runs r
   set status = %(status)s, finished_at = %(finished_at)s, error = %(error)s
  from assets a
 where a.asset_id = %(asset_id)s and r.asset_key = a.asset_key
   and r.producer = %(producer)s and r.run_id = %(run_id)s and r.status = 'running';

-- name: add_run
-- Replaces the run's earlier revision and keeps its key.
insert into runs (asset_key, run_id, producer, pipeline, model_profile, config, config_hash,
                  input_hash, source_sha_map, status, revision, created_at, finished_at, error)
values (%(asset_key)s, %(run_id)s, %(producer)s, %(pipeline)s, %(model_profile)s, %(config)s,
        %(config_hash)s, %(input_hash)s, %(source_sha_map)s, %(status)s, %(revision)s,
        %(created_at)s, %(finished_at)s, %(error)s)
    on conflict (asset_key, producer, run_id) do update
   set pipeline = excluded.pipeline, model_profile = excluded.model_profile,
       config = excluded.config, config_hash = excluded.config_hash,
       input_hash = excluded.input_hash, source_sha_map = excluded.source_sha_map,
       status = excluded.status, revision = excluded.revision,
       created_at = excluded.created_at, finished_at = excluded.finished_at,
       error = excluded.error
returning run_key;

-- name: drop_files
-- Delete the artifacts that stages of the run made, with their projections, but not artifacts that
-- a program added.
delete from artifact_files
 where asset_key = %(asset_key)s and run_key = %(run_key)s and path is not null;

-- name: drop_empty_file
-- The file row that remains after a program added artifacts and deleted all of them.
delete from artifact_files f
 where f.asset_key = %(asset_key)s and f.run_key = %(run_key)s and f.type_key = %(type_key)s
   and f.path is null
   and not exists (select from artifact_rows o
                    where o.asset_key = f.asset_key and o.run_key = f.run_key
                      and o.type_key = f.type_key);

-- name: drop_stages
delete from stage_ends where asset_key = %(asset_key)s and run_key = %(run_key)s;

-- name: add_stage
insert into stage_ends
       (asset_key, run_key, stage, position, status, attempt, fingerprint, record_sha256, lineage,
        producer, producer_version, weights_sha256, counts, metrics, warnings, started_at,
        ended_at, duration_s, error_details)
values (%(asset_key)s, %(run_key)s, %(stage)s, %(position)s, %(status)s, %(attempt)s,
        %(fingerprint)s, %(record_sha256)s, %(lineage)s, %(producer)s, %(producer_version)s,
        %(weights_sha256)s, %(counts)s, %(metrics)s, %(warnings)s, %(started_at)s, %(ended_at)s,
        %(duration_s)s, %(error_details)s);

-- name: lock_types
-- Only one session at a time creates types and tables.
select pg_advisory_xact_lock(hashtextextended('filmgate types', 0));

-- name: new_types
select array(select unnest(%(artifact_types)s::text[])
             except select artifact_type from artifact_types) as names;

-- name: add_types
insert into artifact_types (artifact_type)
select unnest(%(artifact_types)s::text[])
    on conflict (artifact_type) do nothing;

-- name: type_key
select type_key from artifact_types where artifact_type = %(artifact_type)s;

-- name: add_file
insert into artifact_files (asset_key, run_key, type_key, stage, artifact_key, path, sha256,
                            schema_version, producer, producer_version, weights_sha256, created_at)
values (%(asset_key)s, %(run_key)s, %(type_key)s, %(stage)s, %(artifact_key)s, %(path)s,
        %(sha256)s, %(schema_version)s, %(producer)s, %(producer_version)s, %(weights_sha256)s,
        %(created_at)s);

-- name: copy_rows
copy artifact_rows (asset_key, run_key, type_key, ordinal, span_start_ms, span_end_ms, payload)
from stdin;

-- name: describe_file
select describe_file(%(asset_key)s, %(run_key)s, %(type_key)s::smallint);

-- name: refresh_served
select refresh_served(%(asset_key)s);
