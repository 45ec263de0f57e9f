-- name: all
-- All people with the faces that they are recognised by, in a fixed order.
select p.person_id, p.name,
       coalesce(jsonb_agg(jsonb_build_object(
                    'asset_id', r.asset_id, 'run_id', r.run_id, 'cluster_id', r.cluster_id,
                    'model', r.model, 'weights_sha256', r.weights_sha256, 'vector', r.vector)
                order by r.asset_id, r.run_id, r.cluster_id)
                filter (where r.person_key is not null), '[]') as "references"
  from people p
  left join people_references r using (person_key)
 group by p.person_key
 order by p.person_id;

-- name: by_name
select person_key, person_id, name from people
 where lower(name) = lower(%(name)s) or person_id = %(name)s
 order by lower(name) = lower(%(name)s) desc
 limit 1;

-- name: ids_like
select person_id from people where person_id = %(slug)s or person_id like %(slug)s || '-%%';

-- name: add
insert into people (person_id, name) values (%(person_id)s, %(name)s)
returning person_key, person_id, name;

-- name: lock
lock table people in share row exclusive mode;

-- name: name_cluster
insert into people_references (person_key, asset_id, run_id, cluster_id, model, weights_sha256,
                               vector, vector_sha256)
values (%(person_key)s, %(asset_id)s, %(run_id)s, %(cluster_id)s, %(model)s, %(weights_sha256)s,
        %(vector)s, %(vector_sha256)s)
on conflict (asset_id, run_id, cluster_id) do update
   set person_key = excluded.person_key, model = excluded.model,
       weights_sha256 = excluded.weights_sha256, vector = excluded.vector,
       vector_sha256 = excluded.vector_sha256, created_at = now();

-- name: unname_cluster
delete from people_references
 where asset_id = %(asset_id)s and run_id = %(run_id)s and cluster_id = %(cluster_id)s;

-- name: rename
update people set name = %(new_name)s where person_key = %(person_key)s;

-- name: named_clusters
-- All clusters that were named after people, with the digests of the named vectors.
select p.person_id, r.asset_id, r.run_id, r.cluster_id, r.vector_sha256
  from people_references r
  join people p using (person_key);

-- name: was_ingested
select exists (select from inbox
                where asset_id = %(asset_id)s and run_id = %(run_id)s and is_current) as found;

-- name: published_copies
-- Stores with a copy of a run: those that announced it, and those that it was ingested from.
select source, manifest_key from outbox
 where asset_id = %(asset_id)s and run_id = %(run_id)s
 union
select source, manifest_key from inbox
 where asset_id = %(asset_id)s and run_id = %(run_id)s and manifest_key <> 'manifest.json'
 order by source, manifest_key;

-- name: ingested_folders
-- Runs of some pipelines that were ingested from their folders, and the addresses of the folders.
select distinct i.asset_id, i.run_id, i.source
  from inbox i
  join assets a using (asset_id)
  join runs r using (asset_key, producer, run_id)
 where i.is_current and i.manifest_key = 'manifest.json' and r.pipeline = any(%(pipelines)s::text[])
 order by i.asset_id, i.run_id, i.source;

-- name: runs_with_person
-- Runs whose screen times name a person.
select distinct asset_id, run_id from product_person_metrics
 where (person_id = %(person_id)s and person_id <> identity_id)
    or unsure @> jsonb_build_array(jsonb_build_object('person_id', %(person_id)s::text))
 order by asset_id, run_id;

-- name: erase_from_screen_times
update product_person_metrics
   set person_id = case when person_id = %(person_id)s then identity_id else person_id end,
       unsure = (select coalesce(jsonb_agg(each order by position), '[]')
                   from jsonb_array_elements(unsure) with ordinality as likely (each, position)
                  where each ->> 'person_id' <> %(person_id)s)
 where (person_id = %(person_id)s and person_id <> identity_id)
    or unsure @> jsonb_build_array(jsonb_build_object('person_id', %(person_id)s::text));

-- name: tables_of_artifacts
-- Tables that contain the artifacts of some assets.
select distinct f.tableoid::regclass::text as name
  from artifact_rows f
  join assets a using (asset_key)
 where a.asset_id = any(%(asset_ids)s::text[]);

-- name: remove
delete from people where person_key = %(person_key)s;

-- name: remove_id
delete from people where person_id = %(person_id)s;

-- name: screentime
-- All people of the run whose screen time is served; a name given by hand takes precedence.
select m.identity_id, coalesce(named.person_id, known.person_id) as person_id,
       coalesce(named.name, known.name) as name, named.person_id is not null as is_named,
       m.onscreen_ms, m.face_visible_ms, m.body_only_ms, m.gap_bridged_ms, m.speaking_ms,
       m.confessional_ms, m.first_ms, m.last_ms, m.appearances, m.share, m.is_singleton,
       case when named.person_id is null then m.unsure else '[]' end as unsure
  from assets a
  join runs r using (asset_key)
  join product_person_metrics m using (producer, asset_id, run_id)
  left join people known on known.person_id = m.person_id and m.person_id <> m.identity_id
  left join people_references n on n.asset_id = a.asset_id and n.run_id = r.run_id
                               and n.cluster_id = m.identity_id
                               and n.vector_sha256 = m.vector_sha256
  left join people named on named.person_key = n.person_key
 where r.asset_key = %(asset_key)s and r.run_key = %(run_key)s
 order by m.onscreen_ms desc, m.first_ms, m.identity_id;
