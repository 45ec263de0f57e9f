-- name: flush
-- Write the counters of this session, so that the next statement sees them.
select pg_stat_force_next_flush();

-- name: due
-- Tables in which many rows changed since they were last analysed. A partitioned table has no
-- counters of its own. Its changed rows are those of its partitions, or the difference between the
-- sum of their rows and the known rows of the whole. ANALYZE of it includes its partitions.
with ours as (
    select c.oid, c.relkind, i.inhparent, greatest(c.reltuples, 0) as known,
           quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_inherits i on i.inhrelid = c.oid
     where c.relkind in ('r', 'p') and n.nspname = current_schema()),
     counted as (
    select oid, inhparent, relkind, name, known,
           pg_stat_get_mod_since_analyze(oid) as changed,
           pg_stat_get_live_tuples(oid) as live
      from ours),
     due as (
    select oid, inhparent, name
      from counted
     where relkind = 'r' and changed >= greatest(%(least)s, %(share)s * known)
    union all
    select p.oid, null, p.name
      from counted p
      join counted c on c.inhparent = p.oid
     where p.relkind = 'p'
     group by p.oid, p.name, p.known
    having greatest(sum(c.changed), abs(sum(c.live) - p.known))
           >= greatest(%(least)s, %(share)s * p.known))
select name from due
 where inhparent is null or inhparent not in (select oid from due)
 order by name;
