-- name: lock
-- One ingest of a run at a time; the lock ends with the transaction.
select pg_advisory_xact_lock(
    hashtextextended(%(producer)s || '/' || %(asset_id)s || '/' || %(run_id)s, 0));

-- name: current
-- The current receipt of each consumer stage for a run, with the run's row.
select i.stage, i.manifest_sha256, i.source, i.manifest_key, i.revision, i.status, i.artifacts, i.counts,
       r.created_at, r.input_hash, r.config_hash
  from inbox i
  left join assets a using (asset_id)
  left join runs r using (asset_key, producer, run_id)
 where i.producer = %(producer)s and i.asset_id = %(asset_id)s and i.run_id = %(run_id)s
   and i.is_current;

-- name: supersede
update inbox
   set is_current = false
 where producer = %(producer)s and asset_id = %(asset_id)s and run_id = %(run_id)s
   and stage = %(stage)s and is_current;

-- name: save
-- Replaces a receipt of the same manifest that an older schema wrote.
insert into inbox
       (producer, asset_id, run_id, manifest_sha256, stage, revision, schema_version, status,
        artifacts, source, manifest_key, files, counts)
values (%(producer)s, %(asset_id)s, %(run_id)s, %(manifest_sha256)s, %(stage)s, %(revision)s,
        %(schema_version)s, %(status)s, %(artifacts)s, %(source)s, %(manifest_key)s, %(files)s,
        %(counts)s)
    on conflict (producer, asset_id, run_id, manifest_sha256, stage) do update
   set artifacts = excluded.artifacts, source = excluded.source,
       manifest_key = excluded.manifest_key, files = excluded.files, counts = excluded.counts,
       is_current = true, received_at = now();

-- name: of_run
-- All receipts of a run, the latest first.
select i.stage, i.producer, i.asset_id, i.run_id, i.manifest_sha256, i.schema_version, i.source,
       i.manifest_key, i.status, i.artifacts, i.counts, i.files, i.received_at, i.is_current
  from inbox i
 where i.run_id = %(run_id)s and i.asset_id = %(asset_id)s
 order by i.received_at desc, i.stage;

-- name: of_name
-- All receipts of runs whose run id or asset id is `name`.
select i.stage, i.producer, i.asset_id, i.run_id, i.manifest_sha256, i.schema_version, i.source,
       i.manifest_key, i.status, i.artifacts, i.counts, i.files, i.received_at, i.is_current
  from inbox i
 where i.run_id = %(name)s or i.asset_id = %(name)s
 order by i.received_at desc, i.stage;

-- name: latest
-- The latest receipts of manifests from a store, not from a run's own folder.
select i.stage, i.producer, i.asset_id, i.run_id, i.manifest_sha256, i.schema_version, i.source,
       i.manifest_key, i.status, i.artifacts, i.counts, i.files, i.received_at, i.is_current
  from inbox i
 where i.manifest_key <> 'manifest.json'
 order by i.received_at desc
 limit %(limit)s;
