-- A type with a stored selection is served from a run or not at all. Types that are served from
-- runs (`served_types`) are excluded here.

-- name: fragment_no_selection
not exists (select from artifact_selections p
                     join assets a using (asset_key)
                     join artifact_types t using (type_key)
                    where a.asset_id = %(asset_id)s
                      and t.artifact_type = legacy_artifacts.artifact_type)

-- name: nearest
select ordinal, artifact_type, span_start_ms, span_end_ms, payload, source
  from legacy_artifacts
 where asset_id = %(asset_id)s and artifact_type = %(artifact_type)s
   and span_start_ms {beyond} %(from_ms)s and {no_selection}
   and (%(label)s::text is null or payload ->> 'label' = %(label)s)
   and (%(face_cluster_id)s::text is null or payload ->> 'cluster_id' = %(face_cluster_id)s)
   and (%(min_confidence)s::float is null
        or case when jsonb_typeof(payload -> 'confidence') = 'number'
                then (payload ->> 'confidence')::numeric >= %(min_confidence)s::numeric end)
   and (%(text)s::text is null
        or to_tsvector(text_config(payload ->> 'language'), searched_text(payload ->> 'text'))
           @@ asked_words(text_config(payload ->> 'language'), %(text)s))
 order by span_start_ms {order}, ordinal
 limit 1;

-- name: find
select m.*, ts_headline(config, words, query,
            case when length(words) <= %(short)s then %(mark_all)s else %(mark_part)s end) as marked
  from (select ordinal, artifact_type, span_start_ms, span_end_ms, payload, source, c.config,
               c.words, asked_words(c.config, %(query)s) as query
          from legacy_artifacts
         cross join lateral (select text_config(payload ->> 'language') as config,
                                    searched_text(payload ->> 'text') as words) c
         where asset_id = %(asset_id)s and artifact_type = any(%(artifact_types)s)
           and artifact_type <> all (%(served_types)s::text[]) and {no_selection}
           and span_start_ms {beyond} coalesce(%(from_ms)s::bigint, {before_first})
           and (%(after_ms)s::bigint is null
                or (span_start_ms, artifact_type, ordinal)
                   {beyond} (%(after_ms)s, %(after_type)s, %(after_ordinal)s))) m
 where to_tsvector(config, words) @@ query
 order by span_start_ms {order}, artifact_type {order}, ordinal {order}
 limit %(limit)s;

-- name: page
select ordinal, artifact_type, span_start_ms, span_end_ms, payload, source
  from legacy_artifacts
 where asset_id = %(asset_id)s
   and (%(artifact_types)s::text[] = '{{}}' or artifact_type = any(%(artifact_types)s))
   and artifact_type <> all (%(served_types)s::text[]) and {no_selection}
   and span_start_ms < coalesce(%(to_ms)s::bigint, 9223372036854775807)
   and (span_end_ms > coalesce(%(from_ms)s::bigint, -1)
        or (span_end_ms = span_start_ms and span_start_ms >= %(from_ms)s::bigint))
   and (%(after_ms)s::bigint is null
        or (span_start_ms, artifact_type, ordinal)
           > (%(after_ms)s, %(after_type)s, %(after_ordinal)s))
 order by span_start_ms, artifact_type, ordinal
 limit %(limit)s;

-- name: lock
select pg_advisory_xact_lock(
    hashtextextended('legacy ' || %(asset_id)s || ' ' || %(artifact_type)s, 0));

-- name: drop
delete from legacy_artifacts
 where asset_id = %(asset_id)s and artifact_type = %(artifact_type)s;

-- name: copy
copy legacy_artifacts (asset_id, artifact_type, ordinal, span_start_ms, span_end_ms, payload, source)
from stdin;

-- name: columns
select attname as column_name, to_regclass(%(name)s)::text as quoted
  from pg_attribute
 where attrelid = to_regclass(%(name)s) and attnum > 0 and not attisdropped
 order by attnum;
