comment on table assets is 'Inputs of pipelines; videos in the API.';
comment on column runs.published_at is 'Time at which the run was sealed and completely uploaded.';
comment on table stage_ends is 'The outcome of each stage of a run, and the records it used.';
comment on table artifact_types is 'Rows are added at ingest: a new type needs no new table.';
comment on table artifact_files is 'Values that all artifacts of one type in one run share.';
comment on column artifact_files.text_config is
    'Text search configuration: that of the language of most texts in the file.';
comment on column artifact_files.longest_ms is
    'Longest duration of an artifact, so that overlaps are found in one range of the index.';
comment on column artifact_files.next_ordinal is
    'Not yet used in this revision of the run, even if the last artifact was deleted.';
comment on column artifact_files.path is
    'Path in the folder of the run; null for artifacts that a program added.';
comment on view artifacts is 'The envelope: a result with its time span and its provenance.';
comment on view file_headers is 'The part of the envelope that all artifacts of a file share.';
comment on table legacy_artifacts is
    'Artifacts of older products, without a run. Served if no run is. Only an import writes here.';

comment on table transcript_fts is 'projection of transcript.segment';
comment on table ocr_fts is 'projection of ocr.text';
comment on table object_labels is 'projection of object.detection';
comment on table face_clusters is 'projection of face.detection';
comment on table scene_ranges is 'projection of scene';
comment on table place_labels is 'projection of place.classification';

comment on table artifact_selections is
    'Stored choice of the served run; without a row, the latest run is served.';
comment on table served is
    'Derived: the run or artifact that is served for an asset and a type, with the shared part of the '
    'envelope, so that a query starts at one row.';
comment on table served_words is
    'Derived: all words of the served texts of an asset, for the first step of search.';

comment on function text_config is
    'Text search configuration of a language: English by default, simple if it is not supported.';
comment on function searched_text is
    'The searched part of a text: 50,000 characters, without the two marks of snippets.';
comment on function asked_words is 'Parse a query in web search syntax; every text is valid.';
comment on function loosened is 'A query that matches more: word positions and negations are removed.';
comment on function search_configs is 'All results of text_config.';
comment on function describe_file is 'Update the derived columns of a row of artifact_files.';
comment on function films_with is
    'Assets whose served texts contain all words of a query, the newest first.';
comment on function choose_run is
    'The run that a selection chooses; null if no completed run matches.';
comment on function refresh_served is
    'Derive the served runs of an asset again, after one of its runs or selections changed.';

comment on table people is 'People who are known across runs. Only users write here.';
comment on table people_references is
    'A user named the cluster of a run, with this vector. Rows stay if the run is deleted.';

comment on table outbox is
    'Published runs, in the order in which the rows became visible. Rows do not change.';
comment on table positions is
    'The position of a consumer: the last event of an outbox, or the last key of a listing.';
comment on table deliveries is
    'Manifests that were announced to a consumer or that it found, with the outcome.';
comment on column deliveries.mark is 'ETag or time of change in a listing; a new value makes it due.';
comment on column deliveries.next_attempt_at is 'Null if no further attempt is due.';
comment on column deliveries.told_attempt is 'Number of the last attempt that ended.';
comment on column deliveries.claims is
    'Increases with each claim, so that a consumer detects that another one claimed the row.';
comment on table inbox is 'Receipts: the manifests that each consumer ingested, with row counts.';
comment on column inbox.is_current is 'Whether the rows are those of this manifest.';
comment on column inbox.counts is 'Numbers of rows, by table.';
comment on column inbox.files is 'Files whose records became rows, with their SHA-256 digests.';
comment on view run_stages is
    'Outcomes of stages: those of runs, and those of consumers, which have a manifest_key.';

comment on table product_runs is
    'Completed runs, from their manifests. The time of the ingest is in the receipt.';
comment on table product_run_artifacts is 'Files of runs; paths are relative to the manifest.';
comment on column product_person_metrics.person_id is
    'The known person whom the run recognised, else the identity. Later names are in '
    'people_references and take precedence.';
comment on column product_person_metrics.speaking_ms is 'Null if it was not measured.';
comment on column product_person_metrics.confessional_ms is 'Null if it was not measured.';
comment on column product_person_metrics.artifact_key is
    'The file that contains these values, in this schema_version.';

comment on table access_tokens is 'Only the digests of secrets are stored.';
comment on table access_links is 'Valid for one login; a used link is deleted.';
comment on table access_audit is 'Every change requested over HTTP, and every refusal.';

comment on table jobs is
    'Requests and outcomes of jobs. The queue, in procrastinate_jobs, uses the same ids.';
comment on column jobs.tries is
    'Number of attempts. A worker can end a job only with the number of its own attempt.';
comment on column jobs.failures is
    'Number of attempts whose process died or in which a service was unavailable.';
comment on column jobs.beat_at is 'Time of the last heartbeat.';
