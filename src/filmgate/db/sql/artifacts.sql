-- name: by_id
select a.asset_id, t.artifact_type, r.run_id, r.model_profile, r.config_hash, r.input_hash,
       f.schema_version, f.producer, f.producer_version, f.created_at,
       o.ordinal, o.span_start_ms, o.span_end_ms, o.payload, r.producer as installation,
       a.asset_key, r.run_key, t.type_key
  from assets a
  join runs r using (asset_key)
  join artifact_types t on t.artifact_type = %(artifact_type)s
  join artifact_files f using (asset_key, run_key, type_key)
  join artifact_rows o using (asset_key, run_key, type_key)
 where a.asset_id = %(asset_id)s and r.run_id = %(run_id)s and o.ordinal = %(ordinal)s
   and (%(installation)s::text is null or r.producer = %(installation)s)
 order by r.producer;

-- name: run
select r.asset_key, r.run_key, r.producer as installation, r.status, r.model_profile,
       r.config_hash, r.input_hash
  from assets a
  join runs r using (asset_key)
 where a.asset_id = %(asset_id)s and r.run_id = %(run_id)s
   and (%(installation)s::text is null or r.producer = %(installation)s)
 order by r.producer;

-- name: file
select f.schema_version, f.producer, f.producer_version, f.created_at, f.next_ordinal, f.path
  from artifact_files f
 where f.asset_key = %(asset_key)s and f.run_key = %(run_key)s and f.type_key = %(type_key)s;

-- name: add_row
insert into artifact_rows
       (asset_key, run_key, type_key, ordinal, span_start_ms, span_end_ms, payload)
values (%(asset_key)s, %(run_key)s, %(type_key)s, %(ordinal)s, %(span_start_ms)s,
        %(span_end_ms)s, %(payload)s);

-- name: drop_row
delete from artifact_rows
 where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s
   and ordinal = %(ordinal)s;

-- name: is_pinned
select exists (select from artifact_selections
                where asset_key = %(asset_key)s and run_key = %(run_key)s
                  and type_key = %(type_key)s and ordinal = %(ordinal)s) as found;

-- name: update_totals
-- The next free ordinal and the longest duration.
update artifact_files
   set next_ordinal = %(next_ordinal)s, longest_ms = greatest(longest_ms, %(longest_ms)s)
 where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s;

-- name: delete_words
-- Delete the words of one type of a run; `refresh_served` collects them again.
delete from served_words
 where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s;

-- name: drop_run
-- Delete a run with everything that refers to it, its screenalytics rows and its receipts.
with gone as (
    delete from runs where asset_key = %(asset_key)s and run_key = %(run_key)s
    returning producer, run_id),
product as (
    delete from product_runs p
     using gone
     where p.producer = gone.producer and p.asset_id = %(asset_id)s and p.run_id = gone.run_id)
delete from inbox i
 using gone
 where i.producer = gone.producer and i.asset_id = %(asset_id)s and i.run_id = gone.run_id;

-- name: provenance
select f.stage, f.path, f.sha256 as file_sha256, f.weights_sha256, r.config, r.pipeline,
       r.status as run_status, a.uri as asset_uri, r.source_sha_map, i.manifest_sha256,
       exists (select from served s
                where s.asset_key = r.asset_key and s.run_key = r.run_key
                  and s.type_key = f.type_key) as is_served
  from artifact_files f
  join runs r using (asset_key, run_key)
  join assets a using (asset_key)
  left join inbox i
         on i.producer = r.producer and i.asset_id = a.asset_id and i.run_id = r.run_id
        and i.stage = 'ingest' and i.is_current
 where f.asset_key = %(asset_key)s and f.run_key = %(run_key)s and f.type_key = %(type_key)s;

-- name: stages
select stage, attempt, fingerprint, record_sha256, producer, producer_version, weights_sha256,
       ended_at, lineage
  from stage_ends
 where asset_key = %(asset_key)s and run_key = %(run_key)s
 order by position;
