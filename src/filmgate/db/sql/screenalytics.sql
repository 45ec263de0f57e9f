-- name: run
select manifest_sha256, manifest_key from screenalytics.runs
 where producer = %(producer)s and asset_id = %(asset_id)s and run_id = %(run_id)s;

-- name: drop_run
-- Delete a run with its files and people.
delete from screenalytics.runs
 where producer = %(producer)s and asset_id = %(asset_id)s and run_id = %(run_id)s;

-- name: add_run
insert into screenalytics.runs
       (producer, asset_id, run_id, source, manifest_key, manifest_sha256, schema_version, pipeline,
        model_profile, config_hash, input_hash, status, created_at, finished_at)
values (%(producer)s, %(asset_id)s, %(run_id)s, %(source)s, %(manifest_key)s, %(manifest_sha256)s,
        %(schema_version)s, %(pipeline)s, %(model_profile)s, %(config_hash)s, %(input_hash)s,
        'completed', %(created_at)s, %(finished_at)s);

-- name: add_artifacts
insert into screenalytics.run_artifacts
       (producer, asset_id, run_id, artifact_key, stage, path, sha256, size_bytes, media_type,
        schema_name, schema_version, records, artifact_type)
select %(producer)s, %(asset_id)s, %(run_id)s, f.key, f.stage, f.path, f.sha256, f.size_bytes,
       f.media_type, f.schema, f.schema_version, f.records, f.artifact_type
  from jsonb_to_recordset(%(artifacts)s)
       as f (key text, stage text, path text, sha256 text, size_bytes bigint, media_type text,
             schema text, schema_version integer, records bigint, artifact_type text);

-- name: add_people
insert into screenalytics.person_metrics
       (producer, asset_id, run_id, identity_id, person_id, onscreen_ms, speaking_ms,
        confessional_ms, face_visible_ms, body_only_ms, gap_bridged_ms, first_ms, last_ms,
        appearances, share, is_singleton, unsure, vector_sha256, artifact_key, schema_version)
select %(producer)s, %(asset_id)s, %(run_id)s, p.identity_id, coalesce(p.person_id, p.identity_id),
       p.onscreen_ms, p.speaking_ms, p.confessional_ms, p.face_visible_ms, p.body_only_ms,
       p.gap_bridged_ms, p.first_ms, p.last_ms, p.appearances, p.share, p.is_singleton, p.unsure,
       p.vector_sha256, %(artifact_key)s, %(artifact_schema_version)s
  from jsonb_to_recordset(%(people)s)
       as p (identity_id text, person_id text, onscreen_ms bigint, speaking_ms bigint,
             confessional_ms bigint, face_visible_ms bigint, body_only_ms bigint,
             gap_bridged_ms bigint, first_ms bigint, last_ms bigint, appearances integer,
             share double precision, is_singleton boolean, unsure jsonb, vector_sha256 text);
