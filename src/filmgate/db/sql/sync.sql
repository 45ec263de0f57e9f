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
insert into outbox (producer, asset_id, run_id, source, manifest_key, manifest_sha256)
values (%(producer)s, %(asset_id)s, %(run_id)s, %(source)s, %(manifest_key)s, %(manifest_sha256)s)
    on conflict (producer, asset_id, run_id, source) do nothing
returning event_id;

-- name: notify
select pg_notify('filmgate_outbox', %(event_id)s::text);

-- name: events
select event_id, source, manifest_key, manifest_sha256
  from outbox
 where event_id > %(after)s
 order by event_id
 limit %(limit)s;

-- name: newest
select coalesce(max(event_id), 0) as event_id from outbox;

-- name: position
select position from positions where stage = %(stage)s and source = %(source)s;

-- name: save_position
insert into positions (stage, source, position)
values (%(stage)s, %(source)s, %(position)s)
    on conflict (stage, source) do update set position = excluded.position;

-- name: add_notices
-- New manifests, in a fixed order, so that two sessions with the same ones do not deadlock.
insert into deliveries
       (stage, source, manifest_key, mark, announced_sha256, asset_id, run_id)
select %(stage)s, n.source, n.manifest_key, n.mark, n.announced_sha256, n.asset_id, n.run_id
  from jsonb_to_recordset(%(notices)s)
       as n (source text, manifest_key text, mark text, announced_sha256 text, asset_id text,
             run_id text)
 order by n.source, n.manifest_key
    on conflict (stage, source, manifest_key) do nothing;

-- name: update_marks
-- Known manifests whose bytes changed are due again, except those that a consumer has locked: they
-- follow in the next round.
with changed as (
    select d.stage, d.source, d.manifest_key, n.mark, d.mark is not null as is_due
      from jsonb_to_recordset(%(notices)s) as n (source text, manifest_key text, mark text)
      join deliveries d using (source, manifest_key)
     where d.stage = %(stage)s and n.mark is distinct from d.mark
     order by d.source, d.manifest_key
       for update of d skip locked)
update deliveries d
   set mark = c.mark,
       status = case when c.is_due then 'PENDING' else d.status end,
       attempt = case when c.is_due then 0 else d.attempt end,
       told_attempt = case when c.is_due then 0 else d.told_attempt end,
       next_attempt_at = case when c.is_due then now() else d.next_attempt_at end,
       error_details = case when c.is_due then null else d.error_details end
  from changed c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key
   and c.mark is not null;

-- name: update_announced
-- Known manifests that are announced with another digest than before, or for the first time: due
-- again, unless they were ingested with that digest. An announcement comes only once, so this waits
-- for a consumer that has locked one.
with changed as (
    select d.stage, d.source, d.manifest_key, n.announced_sha256,
           d.status <> 'SUCCESS' or d.manifest_sha256 is distinct from n.announced_sha256 as is_due
      from jsonb_to_recordset(%(notices)s)
           as n (source text, manifest_key text, announced_sha256 text)
      join deliveries d using (source, manifest_key)
     where d.stage = %(stage)s and n.announced_sha256 is distinct from d.announced_sha256
     order by d.source, d.manifest_key
       for update of d)
update deliveries d
   set announced_sha256 = c.announced_sha256,
       status = case when c.is_due then 'PENDING' else d.status end,
       attempt = case when c.is_due then 0 else d.attempt end,
       told_attempt = case when c.is_due then 0 else d.told_attempt end,
       next_attempt_at = case when c.is_due then now() else d.next_attempt_at end,
       error_details = case when c.is_due then null else d.error_details end
  from changed c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key
   and c.announced_sha256 is not null;

-- name: claim_of_source
-- Due deliveries of one source that no other consumer has locked: those of which every attempt
-- ended, or those of which one did not. The attempt is counted before it starts, so that a delivery
-- that kills its consumer is not retried for ever. None is due again until its lease ends.
update deliveries d
   set attempt = d.attempt + 1, claims = d.claims + 1,
       next_attempt_at = now() + greatest(%(lease)s::interval,
           least(%(first)s::interval * (1 << least(d.attempt, 20)), %(longest)s::interval))
  from (select stage, source, manifest_key
          from deliveries
         where stage = %(stage)s and source = %(source)s
           and (attempt = told_attempt) = %(has_ended)s
           and next_attempt_at is not null and next_attempt_at <= now()
           and (attempt = 0 or next_attempt_at <= coalesce(%(until)s, now()))
         order by next_attempt_at, manifest_key
           for update skip locked
         limit %(limit)s) c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key
returning d.source, d.manifest_key, d.announced_sha256, d.attempt, d.told_attempt, d.claims;

-- name: claim_announced
-- As `claim_of_source`, for announced manifests of all sources.
update deliveries d
   set attempt = d.attempt + 1, claims = d.claims + 1,
       next_attempt_at = now() + greatest(%(lease)s::interval,
           least(%(first)s::interval * (1 << least(d.attempt, 20)), %(longest)s::interval))
  from (select stage, source, manifest_key
          from deliveries
         where stage = %(stage)s and announced_sha256 is not null
           and (attempt = told_attempt) = %(has_ended)s
           and next_attempt_at is not null and next_attempt_at <= now()
           and (attempt = 0 or next_attempt_at <= coalesce(%(until)s, now()))
         order by next_attempt_at, source, manifest_key
           for update skip locked
         limit %(limit)s) c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key
returning d.source, d.manifest_key, d.announced_sha256, d.attempt, d.told_attempt, d.claims;

-- name: clock
select now() as now;

-- name: lock
-- Lock claimed deliveries until the transaction ends, except those that were claimed again since.
select d.source, d.manifest_key
  from jsonb_to_recordset(%(keys)s) as k (source text, manifest_key text, claims bigint)
  join deliveries d
    on d.stage = %(stage)s and d.source = k.source and d.manifest_key = k.manifest_key
   and d.claims = k.claims
 order by d.source, d.manifest_key
   for update of d skip locked;

-- name: find_new
-- The manifests that `add_notices` and the updates would make due; nothing is written.
select n.source, n.manifest_key, n.announced_sha256, 1 as attempt, 0 as told_attempt, 0 as claims
  from jsonb_to_recordset(%(notices)s)
       as n (source text, manifest_key text, mark text, announced_sha256 text)
  left join deliveries d
         on d.stage = %(stage)s and d.source = n.source and d.manifest_key = n.manifest_key
 where d.stage is null
    or n.mark <> d.mark
    or n.announced_sha256 is distinct from d.announced_sha256 and n.announced_sha256 is not null
       and (d.status <> 'SUCCESS' or d.manifest_sha256 is distinct from n.announced_sha256)
 order by n.source, n.manifest_key;

-- name: due
-- Known deliveries that are due; with `retry` also those that were refused, and those whose run was
-- deleted after the ingest.
select d.source, d.manifest_key, d.announced_sha256, 1 as attempt, 0 as told_attempt, 0 as claims
  from deliveries d
 where d.stage = %(stage)s
   and case when %(source)s::text is null then d.announced_sha256 is not null
            else d.source = %(source)s end
   and (d.next_attempt_at <= now()
        or %(retry)s and d.status = 'FAILED'
        or %(retry)s and d.status = 'SUCCESS'
           and not exists (select from inbox i
                            where i.producer = d.producer and i.asset_id = d.asset_id
                              and i.run_id = d.run_id and i.stage = d.stage))
 order by d.source, d.manifest_key;

-- name: succeed
update deliveries d
   set status = 'SUCCESS', told_attempt = d.attempt, next_attempt_at = null, error_details = null,
       producer = s.producer, asset_id = s.asset_id, run_id = s.run_id,
       manifest_sha256 = s.manifest_sha256, ended_at = now()
  from jsonb_to_recordset(%(settled)s)
       as s (source text, manifest_key text, producer text, asset_id text, run_id text,
             manifest_sha256 text)
 where d.stage = %(stage)s and d.source = s.source and d.manifest_key = s.manifest_key;

-- name: fail
update deliveries
   set status = 'FAILED', attempt = %(attempt)s, told_attempt = %(attempt)s,
       next_attempt_at = clock_timestamp() + %(retry_after)s::interval,
       error_details = %(error_details)s, producer = coalesce(%(producer)s, producer),
       asset_id = coalesce(%(asset_id)s, asset_id), run_id = coalesce(%(run_id)s, run_id),
       manifest_sha256 = coalesce(%(manifest_sha256)s, manifest_sha256), ended_at = now()
 where stage = %(stage)s and source = %(source)s and manifest_key = %(manifest_key)s
returning next_attempt_at;

-- name: retry
-- Refused deliveries are due again, and ingested ones whose run was deleted.
update deliveries d
   set attempt = 0, told_attempt = 0, next_attempt_at = now(), status = 'PENDING',
       error_details = null
 where d.stage = %(stage)s
   and case when %(source)s::text is null then d.announced_sha256 is not null
            else d.source = %(source)s end
   and (d.status = 'FAILED'
        or d.status = 'SUCCESS'
           and not exists (select from inbox i
                            where i.producer = d.producer and i.asset_id = d.asset_id
                              and i.run_id = d.run_id and i.stage = d.stage));

-- name: count
select count(*) as count
  from deliveries
 where stage = %(stage)s
   and case when %(source)s::text is null then announced_sha256 is not null
            else source = %(source)s end;

-- name: overview
select stage, source,
       count(*) filter (where status = 'SUCCESS') as taken_in,
       count(*) filter (where status = 'PENDING') as waiting,
       count(*) filter (where status = 'FAILED' and next_attempt_at is not null) as retrying,
       count(*) filter (where status = 'FAILED' and next_attempt_at is null) as refused,
       max(ended_at) as last_at,
       min(next_attempt_at) filter (where status = 'FAILED') as next_at
  from deliveries
 group by stage, source
 order by stage, source;

-- name: refusals
select stage, source, manifest_key, asset_id, run_id, manifest_sha256, attempt, next_attempt_at,
       ended_at, error_details
  from deliveries
 where status = 'FAILED'
 order by ended_at desc, source, manifest_key
 limit %(limit)s;

-- name: refusals_of_run
select stage, source, manifest_key, asset_id, run_id, manifest_sha256, attempt, next_attempt_at,
       ended_at, error_details
  from deliveries
 where status = 'FAILED' and run_id = %(run_id)s and asset_id = %(asset_id)s
 order by ended_at desc, source, manifest_key;

-- name: refusals_of_name
-- Refusals of all runs whose run id or asset id is `name`.
select stage, source, manifest_key, asset_id, run_id, manifest_sha256, attempt, next_attempt_at,
       ended_at, error_details
  from deliveries
 where status = 'FAILED' and (run_id = %(name)s or asset_id = %(name)s)
 order by ended_at desc, source, manifest_key;
