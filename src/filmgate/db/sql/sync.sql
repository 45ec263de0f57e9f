-- name: lock_outbox
-- Publishers announce one at a time, so that events become visible in the order of their numbers.
select pg_advisory_xact_lock(hashtextextended('filmgate outbox', 0));

-- name: mark_published
update runs r
   set published_at = coalesce(r.published_at, now())
  from assets a
 where a.asset_id = %(asset_id)s and r.asset_key = a.asset_key
   and r.producer = %(producer)s and r.run_id = %(run_id)s;

-- name: announce
insert into pipeline.outbox (producer, asset_id, run_id, source, manifest_key, manifest_sha256)
values (%(producer)s, %(asset_id)s, %(run_id)s, %(source)s, %(manifest_key)s, %(manifest_sha256)s)
    on conflict (producer, asset_id, run_id, source) do nothing
returning event_id;

-- name: notify
select pg_notify('filmgate_outbox', %(event_id)s::text);

-- name: events
select event_id, source, manifest_key, manifest_sha256
  from pipeline.outbox
 where event_id > %(after)s
 order by event_id
 limit %(limit)s;

-- name: position
select position from pipeline.positions where stage = %(stage)s and source = %(source)s;

-- name: move
insert into pipeline.positions (stage, source, position)
values (%(stage)s, %(source)s, %(position)s)
    on conflict (stage, source) do update set position = excluded.position;

-- name: notice
-- New manifests.
insert into pipeline.deliveries (stage, source, manifest_key, mark, announced_sha256)
select %(stage)s, n.source, n.manifest_key, n.mark, n.announced_sha256
  from jsonb_to_recordset(%(noticed)s)
       as n (source text, manifest_key text, mark text, announced_sha256 text)
    on conflict (stage, source, manifest_key) do nothing;

-- name: notice_again
-- Known ones that lie there with other bytes, or are announced with others, than before; but for
-- those that a consumer is at.
with changed as (
    select d.stage, d.source, d.manifest_key, coalesce(n.mark, d.mark) as mark,
           coalesce(n.announced_sha256, d.announced_sha256) as announced_sha256
      from jsonb_to_recordset(%(noticed)s)
           as n (source text, manifest_key text, mark text, announced_sha256 text)
      join pipeline.deliveries d using (source, manifest_key)
     where d.stage = %(stage)s
       and (n.mark <> d.mark
            or n.announced_sha256 <> coalesce(d.announced_sha256, d.manifest_sha256))
       for update of d skip locked)
update pipeline.deliveries d
   set mark = c.mark, announced_sha256 = c.announced_sha256, status = 'PENDING', attempt = 0,
       next_attempt_at = now(), error_details = null, ended_at = null
  from changed c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key;

-- name: claim
-- Those that are due and that no other consumer is at, until the transaction ends.
select source, manifest_key, announced_sha256, attempt + 1 as attempt
  from pipeline.deliveries
 where stage = %(stage)s and next_attempt_at <= now()
   and (%(source)s::text is null or source = %(source)s)
 order by next_attempt_at, source, manifest_key
   for update skip locked
 limit %(limit)s;

-- name: succeed
update pipeline.deliveries
   set status = 'SUCCESS', attempt = %(attempt)s, next_attempt_at = null, error_details = null,
       producer = %(producer)s, asset_id = %(asset_id)s, run_id = %(run_id)s,
       manifest_sha256 = %(manifest_sha256)s, ended_at = now()
 where stage = %(stage)s and source = %(source)s and manifest_key = %(manifest_key)s;

-- name: fail
update pipeline.deliveries
   set status = 'FAILED', attempt = %(attempt)s, next_attempt_at = clock_timestamp() + %(retry_after)s::interval,
       error_details = %(error_details)s, producer = coalesce(%(producer)s, producer),
       asset_id = coalesce(%(asset_id)s, asset_id), run_id = coalesce(%(run_id)s, run_id),
       manifest_sha256 = coalesce(%(manifest_sha256)s, manifest_sha256), ended_at = now()
 where stage = %(stage)s and source = %(source)s and manifest_key = %(manifest_key)s
returning next_attempt_at;

-- name: retry
-- Everything that was refused is due again.
update pipeline.deliveries
   set attempt = 0, next_attempt_at = now()
 where stage = %(stage)s and status = 'FAILED'
   and (%(source)s::text is null or source = %(source)s);

-- name: overview
select stage, source,
       count(*) filter (where status = 'SUCCESS') as taken_in,
       count(*) filter (where status = 'PENDING') as waiting,
       count(*) filter (where status = 'FAILED' and next_attempt_at is not null) as retrying,
       count(*) filter (where status = 'FAILED' and next_attempt_at is null) as refused,
       max(ended_at) as last_at
  from pipeline.deliveries
 group by stage, source
 order by stage, source;

-- name: refusals
select stage, source, manifest_key, asset_id, run_id, manifest_sha256, attempt, next_attempt_at,
       ended_at, error_details
  from pipeline.deliveries
 where status = 'FAILED'
   and (%(run_id)s::text is null
        or run_id = %(run_id)s and asset_id = %(asset_id)s
        or %(asset_id)s = '' and (run_id = %(run_id)s or asset_id = %(run_id)s))
 order by ended_at desc, source, manifest_key
 limit %(limit)s;
