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

-- name: newest
select coalesce(max(event_id), 0) as event_id from pipeline.outbox;

-- name: position
select position from pipeline.positions where stage = %(stage)s and source = %(source)s;

-- name: move
insert into pipeline.positions (stage, source, position)
values (%(stage)s, %(source)s, %(position)s)
    on conflict (stage, source) do update set position = excluded.position;

-- name: notice
-- New manifests; in one order, so that two who notice the same do not wait for each other.
insert into pipeline.deliveries
       (stage, source, manifest_key, mark, announced_sha256, asset_id, run_id)
select %(stage)s, n.source, n.manifest_key, n.mark, n.announced_sha256, n.asset_id, n.run_id
  from jsonb_to_recordset(%(noticed)s)
       as n (source text, manifest_key text, mark text, announced_sha256 text, asset_id text,
             run_id text)
 order by n.source, n.manifest_key
    on conflict (stage, source, manifest_key) do nothing;

-- name: notice_marks
-- Known ones that lie there with other bytes than before are due again; but for those that a
-- consumer is at, whose time comes with the next round.
with changed as (
    select d.stage, d.source, d.manifest_key, n.mark, d.mark is not null as is_due
      from jsonb_to_recordset(%(noticed)s) as n (source text, manifest_key text, mark text)
      join pipeline.deliveries d using (source, manifest_key)
     where d.stage = %(stage)s and n.mark is distinct from d.mark
     order by d.source, d.manifest_key
       for update of d skip locked)
update pipeline.deliveries d
   set mark = c.mark,
       status = case when c.is_due then 'PENDING' else d.status end,
       attempt = case when c.is_due then 0 else d.attempt end,
       told_attempt = case when c.is_due then 0 else d.told_attempt end,
       next_attempt_at = case when c.is_due then now() else d.next_attempt_at end,
       error_details = case when c.is_due then null else d.error_details end
  from changed c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key
   and c.mark is not null;

-- name: notice_announced
-- Known ones that are announced with another digest than before, or for the first time: due again,
-- unless it was taken in with that digest. An announcement comes once, so it is waited for whoever
-- is at one.
with changed as (
    select d.stage, d.source, d.manifest_key, n.announced_sha256,
           d.status <> 'SUCCESS' or d.manifest_sha256 is distinct from n.announced_sha256 as is_due
      from jsonb_to_recordset(%(noticed)s)
           as n (source text, manifest_key text, announced_sha256 text)
      join pipeline.deliveries d using (source, manifest_key)
     where d.stage = %(stage)s and n.announced_sha256 is distinct from d.announced_sha256
     order by d.source, d.manifest_key
       for update of d)
update pipeline.deliveries d
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
-- Some of one store that are due and that no other consumer is at: those of which every try came to
-- an end, or those of which one did not. The try is counted before it is made, so that whoever dies of it does not die for
-- ever; and none is due again for as long as reading one may take.
update pipeline.deliveries d
   set attempt = d.attempt + 1, claims = d.claims + 1,
       next_attempt_at = now() + greatest(%(lease)s::interval,
           least(%(first)s::interval * (1 << least(d.attempt, 20)), %(longest)s::interval))
  from (select stage, source, manifest_key
          from pipeline.deliveries
         where stage = %(stage)s and source = %(source)s
           and (attempt = told_attempt) = %(is_told)s
           and next_attempt_at is not null and next_attempt_at <= now()
           and (attempt = 0 or next_attempt_at <= coalesce(%(until)s, now()))
         order by next_attempt_at, manifest_key
           for update skip locked
         limit %(limit)s) c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key
returning d.source, d.manifest_key, d.announced_sha256, d.attempt, d.told_attempt, d.claims;

-- name: claim_announced
-- The same of all that were announced, wherever they lie.
update pipeline.deliveries d
   set attempt = d.attempt + 1, claims = d.claims + 1,
       next_attempt_at = now() + greatest(%(lease)s::interval,
           least(%(first)s::interval * (1 << least(d.attempt, 20)), %(longest)s::interval))
  from (select stage, source, manifest_key
          from pipeline.deliveries
         where stage = %(stage)s and announced_sha256 is not null
           and (attempt = told_attempt) = %(is_told)s
           and next_attempt_at is not null and next_attempt_at <= now()
           and (attempt = 0 or next_attempt_at <= coalesce(%(until)s, now()))
         order by next_attempt_at, source, manifest_key
           for update skip locked
         limit %(limit)s) c
 where d.stage = c.stage and d.source = c.source and d.manifest_key = c.manifest_key
returning d.source, d.manifest_key, d.announced_sha256, d.attempt, d.told_attempt, d.claims;

-- name: clock
select now() as now;

-- name: hold
-- Lock claimed ones until the transaction ends; not those that are somebody else's by now.
select d.source, d.manifest_key
  from jsonb_to_recordset(%(keys)s) as k (source text, manifest_key text, claims bigint)
  join pipeline.deliveries d
    on d.stage = %(stage)s and d.source = k.source and d.manifest_key = k.manifest_key
   and d.claims = k.claims
 order by d.source, d.manifest_key
   for update of d skip locked;

-- name: unseen
-- What a feed brings that would be noticed: nothing is written.
select n.source, n.manifest_key, n.announced_sha256, 1 as attempt, 0 as told_attempt, 0 as claims
  from jsonb_to_recordset(%(noticed)s)
       as n (source text, manifest_key text, mark text, announced_sha256 text)
  left join pipeline.deliveries d
         on d.stage = %(stage)s and d.source = n.source and d.manifest_key = n.manifest_key
 where d.stage is null
    or n.mark <> d.mark
    or n.announced_sha256 is distinct from d.announced_sha256 and n.announced_sha256 is not null
       and (d.status <> 'SUCCESS' or d.manifest_sha256 is distinct from n.announced_sha256)
 order by n.source, n.manifest_key;

-- name: due
-- Known ones that would be tried now; with `retry` those that were refused, or deleted since, too.
select d.source, d.manifest_key, d.announced_sha256, 1 as attempt, 0 as told_attempt, 0 as claims
  from pipeline.deliveries d
 where d.stage = %(stage)s
   and case when %(source)s::text is null then d.announced_sha256 is not null
            else d.source = %(source)s end
   and (d.next_attempt_at <= now()
        or %(retry)s and d.status = 'FAILED'
        or %(retry)s and d.status = 'SUCCESS'
           and not exists (select from pipeline.inbox i
                            where i.producer = d.producer and i.asset_id = d.asset_id
                              and i.run_id = d.run_id and i.stage = d.stage))
 order by d.source, d.manifest_key;

-- name: succeed
update pipeline.deliveries d
   set status = 'SUCCESS', told_attempt = d.attempt, next_attempt_at = null, error_details = null,
       producer = s.producer, asset_id = s.asset_id, run_id = s.run_id,
       manifest_sha256 = s.manifest_sha256, ended_at = now()
  from jsonb_to_recordset(%(settled)s)
       as s (source text, manifest_key text, producer text, asset_id text, run_id text,
             manifest_sha256 text)
 where d.stage = %(stage)s and d.source = s.source and d.manifest_key = s.manifest_key;

-- name: fail
update pipeline.deliveries
   set status = 'FAILED', attempt = %(attempt)s, told_attempt = %(attempt)s,
       next_attempt_at = clock_timestamp() + %(retry_after)s::interval,
       error_details = %(error_details)s, producer = coalesce(%(producer)s, producer),
       asset_id = coalesce(%(asset_id)s, asset_id), run_id = coalesce(%(run_id)s, run_id),
       manifest_sha256 = coalesce(%(manifest_sha256)s, manifest_sha256), ended_at = now()
 where stage = %(stage)s and source = %(source)s and manifest_key = %(manifest_key)s
returning next_attempt_at;

-- name: retry
-- Everything that was refused is due again; and what was taken in and is there no more.
update pipeline.deliveries d
   set attempt = 0, told_attempt = 0, next_attempt_at = now(), status = 'PENDING',
       error_details = null
 where d.stage = %(stage)s
   and case when %(source)s::text is null then d.announced_sha256 is not null
            else d.source = %(source)s end
   and (d.status = 'FAILED'
        or d.status = 'SUCCESS'
           and not exists (select from pipeline.inbox i
                            where i.producer = d.producer and i.asset_id = d.asset_id
                              and i.run_id = d.run_id and i.stage = d.stage));

-- name: known
select count(*) as count
  from pipeline.deliveries
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
  from pipeline.deliveries
 group by stage, source
 order by stage, source;

-- name: refusals
select stage, source, manifest_key, asset_id, run_id, manifest_sha256, attempt, next_attempt_at,
       ended_at, error_details
  from pipeline.deliveries
 where status = 'FAILED'
 order by ended_at desc, source, manifest_key
 limit %(limit)s;

-- name: refusals_of_run
select stage, source, manifest_key, asset_id, run_id, manifest_sha256, attempt, next_attempt_at,
       ended_at, error_details
  from pipeline.deliveries
 where status = 'FAILED' and run_id = %(run_id)s and asset_id = %(asset_id)s
 order by ended_at desc, source, manifest_key;

-- name: refusals_of_name
-- Of all runs of that id, and of all runs of that asset.
select stage, source, manifest_key, asset_id, run_id, manifest_sha256, attempt, next_attempt_at,
       ended_at, error_details
  from pipeline.deliveries
 where status = 'FAILED' and (run_id = %(name)s or asset_id = %(name)s)
 order by ended_at desc, source, manifest_key;
