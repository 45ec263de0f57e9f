-- name: served
select t.artifact_type, r.run_id, r.producer, r.model_profile, r.finished_at, i.manifest_sha256,
       s.ordinal
  from assets a
  join served s using (asset_key)
  join artifact_types t using (type_key)
  join runs r using (asset_key, run_key)
  left join inbox i
         on i.producer = r.producer and i.asset_id = a.asset_id and i.run_id = r.run_id
        and i.stage = 'ingest' and i.is_current
 where a.asset_id = %(asset_id)s
 order by t.artifact_type;

-- name: selected
select t.artifact_type, p.mode, p.model_profile as profile, r.run_id, p.ordinal
  from assets a
  join artifact_selections p using (asset_key)
  join artifact_types t using (type_key)
  left join runs r using (asset_key, run_key)
 where a.asset_id = %(asset_id)s
 order by t.artifact_type;

-- name: type_of_asset
-- The key of a type that the asset has in some run.
select t.type_key
  from artifact_types t
 where t.artifact_type = %(artifact_type)s
   and exists (select from artifact_files f
                where f.asset_key = %(asset_key)s and f.type_key = t.type_key);

-- name: run_with_type
-- The completed run with this id and type (and artifact). If several installations have one: the
-- one that is served, else the latest.
select r.run_key
  from runs r
  join artifact_files f using (asset_key, run_key)
 where r.asset_key = %(asset_key)s and r.run_id = %(run_id)s and f.type_key = %(type_key)s
   and r.status = 'completed'
   and (%(installation)s::text is null or r.producer = %(installation)s)
   and (%(ordinal)s::integer is null
        or exists (select from artifact_rows o
                    where o.asset_key = r.asset_key and o.run_key = r.run_key
                      and o.type_key = f.type_key and o.ordinal = %(ordinal)s))
 order by exists (select from served s
                   where s.asset_key = r.asset_key and s.type_key = f.type_key
                     and s.run_key = r.run_key) desc,
          r.finished_at desc, r.producer
 limit 1;

-- name: any_run
select choose_run(%(asset_key)s, %(type_key)s::smallint, 'latest', null, null) as run_key;

-- name: reset
-- This works even if the asset no longer has the type.
delete from artifact_selections p
 using artifact_types t
 where p.asset_key = %(asset_key)s and p.type_key = t.type_key
   and t.artifact_type = %(artifact_type)s;

-- name: store
insert into artifact_selections (asset_key, type_key, mode, model_profile, run_key, ordinal)
values (%(asset_key)s, %(type_key)s, %(mode)s, %(profile)s, %(run_key)s, %(ordinal)s)
    on conflict (asset_key, type_key) do update
   set mode = excluded.mode, model_profile = excluded.model_profile,
       run_key = excluded.run_key, ordinal = excluded.ordinal;

-- name: profiles
-- `artifacts` counts those of the latest run only.
select artifact_type, model_profile, runs, run_id as latest_run_id, finished_at,
       (select count(*) from artifact_rows o
         where o.asset_key = x.asset_key and o.run_key = x.run_key and o.type_key = x.type_key)
           as artifacts,
       is_served
  from (select distinct on (t.artifact_type, r.model_profile)
               t.artifact_type, r.model_profile, r.asset_key, r.run_key, t.type_key, r.run_id,
               r.finished_at, count(*) over profile as runs,
               bool_or(s.run_key is not null) over profile as is_served
          from assets a
          join runs r using (asset_key)
          join artifact_files f using (asset_key, run_key)
          join artifact_types t using (type_key)
          left join served s using (asset_key, type_key, run_key)
         where a.asset_id = %(asset_id)s and r.status = 'completed'
           and (%(artifact_type)s::text is null or t.artifact_type = %(artifact_type)s)
        window profile as (partition by t.artifact_type, r.model_profile)
         order by t.artifact_type, r.model_profile, r.finished_at desc, r.run_id desc) x
 order by artifact_type, quality_of(model_profile) desc, model_profile;
