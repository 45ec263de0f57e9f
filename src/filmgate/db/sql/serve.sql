-- name: asset
select asset_key from assets where asset_id = %(asset_id)s;

-- name: served_run
-- The newest completed run that has artifacts of the type.
select r.run_key, r.run_id, f.type_key
  from runs r
  join artifact_files f using (asset_key, run_key)
  join artifact_types t using (type_key)
 where r.asset_key = %(asset_key)s and r.status = 'completed'
   and t.artifact_type = %(artifact_type)s
 order by r.finished_at desc, r.run_key desc
 limit 1;

-- name: jump_next
-- Of those that start after from_ms, the first; ties by ordinal.
select ordinal
  from artifact_rows
 where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s
   and span_start_ms > %(from_ms)s
 order by span_start_ms, ordinal
 limit 1;

-- name: jump_prev
-- Of those that start before from_ms, the last; ties by ordinal, so that both ways meet the same.
select ordinal
  from artifact_rows
 where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s
   and span_start_ms = (
       select max(span_start_ms)
         from artifact_rows
        where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s
          and span_start_ms < %(from_ms)s)
 order by ordinal
 limit 1;

-- name: envelopes
select artifact_id, asset_id, artifact_type, schema_version, span_start_ms, span_end_ms, payload,
       producer, producer_version, model_profile, config_hash, input_hash, run_id, created_at
  from artifacts
 where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s
   and ordinal = any(%(ordinals)s)
 order by ordinal;

-- name: timeline
select artifact_id, asset_id, artifact_type, schema_version, span_start_ms, span_end_ms, payload,
       producer, producer_version, model_profile, config_hash, input_hash, run_id, created_at
  from artifacts
 where asset_key = %(asset_key)s and run_key = %(run_key)s and type_key = %(type_key)s
 order by span_start_ms, ordinal;

-- name: find_next
-- What was said after from_ms (all where it is null) that matches, in order of time.
select ordinal, ts_headline(config, text, websearch_to_tsquery(config, %(query)s),
       case when length(text) <= %(short)s then %(mark_all)s else %(mark_part)s end)
  from transcript_fts
 where asset_key = %(asset_key)s and run_key = %(run_key)s
   and (%(from_ms)s::bigint is null or span_start_ms > %(from_ms)s)
   and words @@ websearch_to_tsquery(config, %(query)s)
 order by span_start_ms, ordinal
 limit %(limit)s;

-- name: find_prev
-- The same, before from_ms, latest first.
select ordinal, ts_headline(config, text, websearch_to_tsquery(config, %(query)s),
       case when length(text) <= %(short)s then %(mark_all)s else %(mark_part)s end)
  from transcript_fts
 where asset_key = %(asset_key)s and run_key = %(run_key)s
   and (%(from_ms)s::bigint is null or span_start_ms < %(from_ms)s)
   and words @@ websearch_to_tsquery(config, %(query)s)
 order by span_start_ms desc, ordinal desc
 limit %(limit)s;
