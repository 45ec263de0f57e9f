-- name: add
insert into jobs (job_id, pipeline, asset_id, run_id, source, request, submitted_by)
values (%(job_id)s, %(pipeline)s, %(asset_id)s, %(run_id)s, %(source)s, %(request)s,
        %(submitted_by)s);

-- name: open_of_run
select job_id from jobs
 where asset_id = %(asset_id)s and run_id = %(run_id)s and ended_at is null;

-- name: fragment_job
select j.*, q.priority,
       coalesce(q.abort_requested, false) and j.ended_at is null as is_cancel_asked,
       case when j.is_cancelled and j.ended_at is not null then 'cancelled'
            when j.ended_at is not null and (j.outcome ->> 'exit_code') = '0' then 'succeeded'
            when j.ended_at is not null then 'failed'
            when q.status = 'doing' then 'running'
            else 'queued' end as state
  from jobs j
  left join procrastinate_jobs q on q.id = j.job_id

-- name: job
{job}
 where j.job_id = %(job_id)s;

-- name: latest_of_run
{job}
 where j.asset_id = %(asset_id)s and j.run_id = %(run_id)s
 order by j.job_id desc
 limit 1;

-- name: jobs
{job}
 where j.job_id < %(before)s
   and (%(pipeline)s::text is null or j.pipeline = %(pipeline)s)
   and (%(asset_id)s::text is null or j.asset_id = %(asset_id)s)
   and (%(submitted_by)s::text is null or j.submitted_by = %(submitted_by)s)
   and (not %(is_open)s or j.ended_at is null)
 order by j.job_id desc
 limit %(limit)s;

-- name: counts
select state, count(*) as jobs from ({job}) as job group by state;

-- name: begin
update jobs
   set started_at = now(), beat_at = now(), worker = %(worker)s, tries = tries + 1
 where job_id = %(job_id)s and ended_at is null
returning pipeline, asset_id, run_id, source, request, tries, failures;

-- name: end
-- If `tries` is given, only if no later attempt has begun.
update jobs
   set ended_at = now(), outcome = %(outcome)s, is_cancelled = %(is_cancelled)s
 where job_id = %(job_id)s and ended_at is null
   and (%(tries)s::integer is null or tries = %(tries)s)
returning asset_id, run_id;

-- name: record_retry
update jobs
   set outcome = %(outcome)s, failures = failures + %(is_failure)s::integer
 where job_id = %(job_id)s and ended_at is null and tries = %(tries)s
returning failures;

-- name: record_heartbeat
update jobs set beat_at = now()
 where job_id = any(%(job_ids)s) and worker = %(worker)s and ended_at is null;

-- name: notify
select pg_notify('filmgate_runs', %(asset_id)s || '/' || %(run_id)s);

-- name: abandoned
-- Running jobs of workers without a recent heartbeat, and those of this worker, which knows which
-- of them it runs. A worker that lost its connection to the queue still writes `beat_at` of its jobs.
select q.id as job_id, q.worker_id, coalesce(q.worker_id = %(worker_id)s, false) as is_own
  from procrastinate_jobs q
  join jobs j on j.job_id = q.id
  left join procrastinate_workers w on w.id = q.worker_id
 where q.status = 'doing'
   and (w.id = %(worker_id)s
        or (coalesce(w.last_heartbeat, '-infinity') < now() - make_interval(secs => %(silence_s)s)
            and coalesce(j.beat_at, '-infinity') < now() - make_interval(secs => %(silence_s)s)))
 order by q.id;

-- name: take_over
-- Only if the worker id is unchanged: another one means that another worker took the job over.
update procrastinate_jobs q
   set status = case when q.abort_requested or j.ended_at is not null or %(is_final)s
                     then 'aborted' else 'todo' end::procrastinate_job_status,
       attempts = q.attempts + 1, scheduled_at = now()
  from jobs j
 where q.id = %(job_id)s and j.job_id = q.id and q.status = 'doing'
   and q.worker_id is not distinct from %(worker_id)s::bigint
returning q.status::text as status, q.abort_requested;

-- name: count_failure
update jobs set failures = failures + 1 where job_id = %(job_id)s returning failures;

-- name: cancel_requested
select id as job_id from procrastinate_jobs
 where id = any(%(job_ids)s) and abort_requested;

-- name: orphans
-- Jobs that have ended in the queue but not in `jobs` and have no recent heartbeat. They
-- result from a cancellation during a retry, or from a fault.
select j.job_id, q.status in ('cancelled', 'aborted') or q.abort_requested as is_cancelled
  from jobs j
  join procrastinate_jobs q on q.id = j.job_id
 where j.ended_at is null and q.status not in ('todo', 'doing')
   and (j.beat_at is null or j.beat_at < now() - make_interval(secs => %(silence_s)s));

-- name: is_any_queued
select exists (select from jobs j
                 join procrastinate_jobs q on q.id = j.job_id
                where j.ended_at is null and q.status = 'todo') as found;

-- name: queue_exists
-- Another product may have its own queue in `public`.
select to_regclass(quote_ident(current_schema()) || '.procrastinate_jobs') is not null as found;

-- name: queue_name
-- The name is in the channel of notifications, which all schemas of a database share.
select current_schema() as name;

-- name: create_changes
create table if not exists queue_changes (name text primary key);
