-- name: lock_receipt
-- One ingest of a run at a time; the lock ends with the transaction.
select pg_advisory_xact_lock(
    hashtextextended(%(producer)s || '/' || %(asset_id)s || '/' || %(run_id)s, 0));

-- name: receipt
-- What is known of the run's last ingest, and of what it was then.
select i.manifest_sha256, i.revision, i.status, i.artifacts, r.created_at, r.input_hash,
       r.config_hash
  from pipeline.inbox i
  join assets a using (asset_id)
  join runs r using (asset_key, producer, run_id)
 where i.producer = %(producer)s and i.asset_id = %(asset_id)s and i.run_id = %(run_id)s;

-- name: save_receipt
insert into pipeline.inbox
       (producer, asset_id, run_id, manifest_sha256, revision, status, artifacts)
values (%(producer)s, %(asset_id)s, %(run_id)s, %(manifest_sha256)s, %(revision)s, %(status)s,
        %(artifacts)s)
    on conflict (producer, asset_id, run_id) do update
   set manifest_sha256 = excluded.manifest_sha256, revision = excluded.revision,
       status = excluded.status, artifacts = excluded.artifacts, received_at = now();

-- name: add_asset
insert into assets (asset_id, input_hash, uri, size_bytes, media)
values (%(asset_id)s, %(input_hash)s, %(uri)s, %(size_bytes)s, %(media)s)
    on conflict (asset_id) do nothing;

-- name: renew_asset
-- What its newest run says of it.
update assets a
   set input_hash = %(input_hash)s, uri = %(uri)s, size_bytes = %(size_bytes)s, media = %(media)s
 where asset_id = %(asset_id)s
   and not exists (select from runs r
                    where r.asset_key = a.asset_key and r.created_at > %(created_at)s);

-- name: asset_key
select asset_key from assets where asset_id = %(asset_id)s;

-- name: drop_run
-- The earlier revision of a run, with all that hangs on it.
delete from runs
 where asset_key = %(asset_key)s and producer = %(producer)s and run_id = %(run_id)s;

-- name: add_run
insert into runs (asset_key, run_id, producer, pipeline, model_profile, config_hash, input_hash,
                  status, revision, created_at, finished_at, error)
values (%(asset_key)s, %(run_id)s, %(producer)s, %(pipeline)s, %(model_profile)s, %(config_hash)s,
        %(input_hash)s, %(status)s, %(revision)s, %(created_at)s, %(finished_at)s, %(error)s)
returning run_key;

-- name: add_type
insert into artifact_types (artifact_type)
select %(artifact_type)s
 where not exists (select from artifact_types where artifact_type = %(artifact_type)s)
    on conflict (artifact_type) do nothing;

-- name: type_key
-- In a statement of its own, so that it sees a row that another transaction has just added.
select type_key from artifact_types where artifact_type = %(artifact_type)s;

-- name: add_file
insert into artifact_files (asset_key, run_key, type_key, artifact_key, path, sha256,
                            schema_version, producer, producer_version, weights_sha256, created_at)
values (%(asset_key)s, %(run_key)s, %(type_key)s, %(artifact_key)s, %(path)s, %(sha256)s,
        %(schema_version)s, %(producer)s, %(producer_version)s, %(weights_sha256)s,
        %(created_at)s);

-- name: copy_rows
copy artifact_rows (asset_key, run_key, type_key, ordinal, span_start_ms, span_end_ms, payload)
from stdin;

-- name: project_transcript
-- Without the two private-use characters with which snippets mark their matches.
insert into transcript_fts (asset_key, run_key, ordinal, span_start_ms, span_end_ms, config, text,
                            words)
select o.asset_key, o.run_key, o.ordinal, o.span_start_ms, o.span_end_ms, c.config,
       c.text, to_tsvector(c.config, c.text)
  from artifact_rows o
  join artifact_types t using (type_key)
 cross join lateral (select text_config(o.payload ->> 'language') as config,
                            translate(o.payload ->> 'text', U&'\E000\E001', '') as text) c
 where o.asset_key = %(asset_key)s and o.run_key = %(run_key)s
   and t.artifact_type = 'transcript.segment';

-- name: project_scenes
insert into scene_ranges (asset_key, run_key, scene_index, span_start_ms, span_end_ms)
select o.asset_key, o.run_key, (o.payload ->> 'scene_index')::integer, o.span_start_ms,
       o.span_end_ms
  from artifact_rows o
  join artifact_types t using (type_key)
 where o.asset_key = %(asset_key)s and o.run_key = %(run_key)s and t.artifact_type = 'scene';
