-- name: fragment_video
select a.asset_id, a.input_hash, a.size_bytes, a.uri, a.media,
       count(r.run_key) as runs,
       count(r.run_key) filter (where r.status = 'completed') as completed,
       false as is_legacy
  from assets a left join runs r using (asset_key)

-- name: videos
-- Assets that a film's facts are known of, and what only an older product left something of.
select * from (
    {video}
     where a.asset_id > %(after)s and a.media ? 'format'
     group by a.asset_key
     order by a.asset_id
     limit %(limit)s) as known
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
{video}
 where a.asset_id = %(asset_id)s
 group by a.asset_key;

-- name: runs
select r.run_key, r.run_id, r.producer, r.pipeline, r.model_profile, r.status, r.created_at,
       r.finished_at,
       coalesce((select jsonb_object_agg(t.artifact_type, (
                            select count(*) from artifact_rows o
                             where o.asset_key = f.asset_key and o.run_key = f.run_key
                               and o.type_key = f.type_key))
                   from artifact_files f join artifact_types t using (type_key)
                  where f.asset_key = r.asset_key and f.run_key = r.run_key),
                jsonb_build_object()) as artifacts
  from runs r join assets a using (asset_key)
 where a.asset_id = %(asset_id)s and r.run_key < %(before)s
 order by r.run_key desc
 limit %(limit)s;
