-- name: run
select manifest_sha256, manifest_key from product_runs
 where producer = %(producer)s and asset_id = %(asset_id)s and run_id = %(run_id)s;

-- name: drop_run
-- Delete a run with its files and people.
delete from product_runs
 where producer = %(producer)s and asset_id = %(asset_id)s and run_id = %(run_id)s;

-- name: add_run
insert into product_runs
       (producer, asset_id, run_id, source, manifest_key, manifest_sha256, schema_version, pipeline,
        model_profile, config_hash, input_hash, status, created_at, finished_at)
values (%(producer)s, %(asset_id)s, %(run_id)s, %(source)s, %(manifest_key)s, %(manifest_sha256)s,
        %(schema_version)s, %(pipeline)s, %(model_profile)s, %(config_hash)s, %(input_hash)s,
        'completed', %(created_at)s, %(finished_at)s);

-- name: add_artifacts
insert into product_run_artifacts
       (producer, asset_id, run_id, artifact_key, stage, path, sha256, size_bytes, media_type,
        schema_name, schema_version, records, artifact_type)
select %(producer)s, %(asset_id)s, %(run_id)s, f.key, f.stage, f.path, f.sha256, f.size_bytes,
       f.media_type, f.schema, f.schema_version, f.records, f.artifact_type
  from jsonb_to_recordset(%(artifacts)s)
       as f (key text, stage text, path text, sha256 text, size_bytes bigint, media_type text,
             schema text, schema_version integer, records bigint, artifact_type text);
