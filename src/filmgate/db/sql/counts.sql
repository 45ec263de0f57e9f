-- name: runs
select array[pipeline, status] as labels, count(*) as count from runs group by pipeline, status;

-- name: stages
select array[stage, status] as labels, count(*) as count
  from stage_ends group by stage, status;

-- name: ingest_receipts
select array[stage] as labels, count(*) as count from inbox group by stage;
