-- Rows of an earlier release, in the tables of revision 0007.

insert into assets (asset_id, input_hash, uri, size_bytes, media)
values ('film', 'sha256:' || repeat('0', 64), 'file:///x', 1, '{}');
insert into runs (asset_key, run_id, producer, pipeline, model_profile, config_hash, input_hash,
                  status, revision, created_at, finished_at)
values (1, 'r', 'p', 'episode', 'fast', 'sha256:' || repeat('0', 64), 'sha256:' || repeat('0', 64),
        'completed', 1, now(), now());
insert into artifact_types (artifact_type)
values ('scene'), ('transcript.segment'), ('screentime.segment');
insert into artifact_files (asset_key, run_key, type_key, stage, artifact_key, path, sha256,
                            schema_version, producer, producer_version, created_at)
select 1, 1, type_key, 'stage', artifact_type, artifact_type || '.jsonl', repeat('0', 64), 1, 'p',
       '1', now()
  from artifact_types;
insert into artifact_rows
values (1, 1, 1, 0, 0, 10, '{"scene_index": 0}'),
       (1, 1, 2, 0, 5, 9, '{"text": "the gate", "language": "en"}'),
       (1, 1, 3, 0, 0, 10, '{"cluster_id": "c1"}');
insert into transcript_fts (asset_key, run_key, ordinal, type_key, span_start_ms, span_end_ms, text,
                            words)
values (1, 1, 0, 2, 5, 9, 'the gate', to_tsvector('english', 'the gate'));
select describe_file(1, 1, type_key) from artifact_types;
select refresh_served(1);
insert into people (person_id, name) values ('ann', 'Ann');

insert into pipeline.stage_ends (asset_key, run_key, stage, position, status, attempt, lineage, counts,
                                 metrics, warnings)
values (1, 1, 'scenes', 0, 'SUCCESS', 1, '[]', '{}', '{}', '[]');
insert into pipeline.inbox (producer, asset_id, run_id, manifest_sha256, revision, status, artifacts,
                            stage, schema_version, source, manifest_key, files, counts)
values ('p', 'film', 'r', repeat('b', 64), 1, 'completed', '{}', 'ingest', 1, 'file:///runs',
        'manifest.json', '{}', '{}');
insert into pipeline.outbox (producer, asset_id, run_id, source, manifest_key, manifest_sha256)
values ('p', 'film', 'r', 's3://bucket', 'runs/film/r/manifest.json', repeat('b', 64));
insert into pipeline.deliveries (stage, source, manifest_key)
values ('sync_screenalytics', 's3://bucket', 'runs/film/r/manifest.json');

insert into screenalytics.runs
values ('p', 'film', 'r', 's3://bucket', 'runs/film/r/manifest.json', repeat('b', 64), 1, 'episode',
        'fast', 'sha256:' || repeat('0', 64), 'sha256:' || repeat('0', 64), 'completed', now(), now());
insert into screenalytics.run_artifacts
values ('p', 'film', 'r', 'scenes', 'scenes', 'scenes.jsonl', repeat('0', 64), 1, 'x', 'x', 1, 1,
        'scene');
insert into screenalytics.person_metrics
values ('p', 'film', 'r', 'c1', 'ann', 1000, null, null, 700, 200, 100, 0, 5000, 2, 0.1, false, '[]',
        repeat('a', 64), 'screentime', 1);

insert into corpus.books (env, book_id, source_id, edition, title, file, pages, asset_id, job_id,
                          made_at, format, words_version)
values ('test', 'rules.md', repeat('0', 64), repeat('0', 64), 'Rules', 'rules.md', 1, 'rules', 'job',
        now(), 'markdown', '1');
insert into corpus.chunks (book_key, chunk_id, ordinal, kind, page, page_end, breadcrumb, spans, text)
values (1, 'a', 0, 'prose', 1, 1, '{Spells}', '[]', 'Water lies still.');
insert into corpus.posting_lists values (1, 'water', '{1}', '{1}', '{3}');

insert into access.tokens (token_id, user_name, scope, secret_sha256)
values ('abcdefghijkl', 'lisa', 'admin', repeat('0', 64));
insert into access.audit (action, target, status, request_id, address, details)
values ('submit', 'film', 200, 'q', '127.0.0.1', '{}');

insert into queue.procrastinate_jobs (id, queue_name, task_name, lock, queueing_lock, args)
overriding system value
values (1, 'runs', 'filmgate.run', 'film/r', 'film/r', '{}');
insert into pipeline.jobs (job_id, pipeline, asset_id, run_id, source, request, submitted_by)
values (1, 'episode', 'film', 'r', '/film', '{"asset_id": "film"}', 'lisa');
