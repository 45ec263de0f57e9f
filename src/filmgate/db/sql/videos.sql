-- name: fragment_run_counts
cross join lateral (
    select count(*) as runs, count(*) filter (where r.status = 'completed') as completed
      from runs r where r.asset_key = a.asset_key) as counted

-- name: videos
-- Assets that are videos, and assets that have only legacy artifacts.
select * from (
    select a.asset_id, a.input_hash, a.size_bytes, a.uri, a.media, runs, completed,
           false as is_legacy
      from (select * from assets
             where asset_id > %(after)s and media ? 'format'
             order by asset_id
             limit %(limit)s) as a {run_counts}) as known
union all
select * from (
    select distinct l.asset_id, '' as input_hash, 0 as size_bytes, '' as uri,
           jsonb_build_object() as media, 0 as runs, 0 as completed, true as is_legacy
      from legacy_artifacts l
     where l.asset_id > %(after)s and not exists (select from assets a
                                                   where a.asset_id = l.asset_id)
     order by l.asset_id
     limit %(limit)s) as legacy
 order by asset_id
 limit %(limit)s;

-- name: video
select a.asset_id, a.input_hash, a.size_bytes, a.uri, a.media, runs, completed,
       false as is_legacy
  from assets a {run_counts}
 where a.asset_id = %(asset_id)s
union all
select %(asset_id)s, '', 0, '', jsonb_build_object(), 0, 0, true
 where exists (select from legacy_artifacts where asset_id = %(asset_id)s)
   and not exists (select from assets where asset_id = %(asset_id)s);

-- name: runs
-- The counts of artifacts come from the run's receipt: counting rows would take time proportional
-- to their number.
select r.run_key, r.run_id, r.producer, r.pipeline, r.model_profile, r.status, r.created_at,
       r.finished_at, coalesce(i.artifacts, jsonb_build_object()) as artifacts
  from runs r
  join assets a using (asset_key)
  left join lateral (
      select i.artifacts from inbox i
       where i.producer = r.producer and i.asset_id = a.asset_id and i.run_id = r.run_id
         and i.stage = 'ingest' and i.is_current
       limit 1) as i on true
 where a.asset_id = %(asset_id)s and r.run_key < %(before)s
 order by r.run_key desc
 limit %(limit)s;
