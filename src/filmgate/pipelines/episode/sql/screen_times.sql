-- name: add_people
-- Earlier rows of the run are deleted with its row in product_runs, so rows that exist are
-- the same.
insert into product_person_metrics
       (producer, asset_id, run_id, identity_id, person_id, onscreen_ms, speaking_ms,
        confessional_ms, face_visible_ms, body_only_ms, gap_bridged_ms, first_ms, last_ms,
        appearances, share, is_singleton, unsure, vector_sha256, artifact_key, schema_version)
select %(producer)s, %(asset_id)s, %(run_id)s, p.identity_id, coalesce(p.person_id, p.identity_id),
       p.onscreen_ms, p.speaking_ms, p.confessional_ms, p.face_visible_ms, p.body_only_ms,
       p.gap_bridged_ms, p.first_ms, p.last_ms, p.appearances, p.share, p.is_singleton, p.unsure,
       p.vector_sha256, %(artifact_key)s, %(artifact_schema_version)s
  from jsonb_to_recordset(%(people)s::jsonb)
       as p (identity_id text, person_id text, onscreen_ms bigint, speaking_ms bigint,
             confessional_ms bigint, face_visible_ms bigint, body_only_ms bigint,
             gap_bridged_ms bigint, first_ms bigint, last_ms bigint, appearances integer,
             share double precision, is_singleton boolean, unsure jsonb, vector_sha256 text)
    on conflict do nothing;
