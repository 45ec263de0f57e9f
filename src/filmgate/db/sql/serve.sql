-- Parts in braces are filled in from the fragments below; everything else is a parameter.

-- name: fragment_served
-- The artifact file that is served by default: one row per asset and type.
served s

-- name: fragment_selected
-- As `fragment_served`, by the caller's selection, or by the stored selection among the runs with a
-- given provenance.
(select h.*,
        case when %(mode)s::text is null then p.ordinal else %(ordinal)s::integer end as ordinal
   from assets a
  cross join artifact_types t
   left join artifact_selections p on p.asset_key = a.asset_key and p.type_key = t.type_key
  cross join lateral (
        select choose_run(a.asset_key, t.type_key,
                          coalesce(%(mode)s, p.mode, 'latest'),
                          case when %(mode)s::text is null then p.model_profile
                               else %(profile)s end,
                          case when %(mode)s::text is null then p.run_key end,
                          %(run_id)s, %(producer)s, %(producer_version)s, %(config_hash)s)
                   as run_key
         offset 0) c
   join file_headers h on h.asset_key = a.asset_key and h.type_key = t.type_key
                      and h.run_key = c.run_key
  where a.asset_id = %(asset_id)s
    and (%(artifact_types)s::text[] = '{{}}' or t.artifact_type = any(%(artifact_types)s))) s

-- name: fragment_envelope
-- The fields of an envelope that all artifacts of a run and type share.
s.asset_id, s.artifact_type, s.run_id, s.model_profile, s.config_hash, s.input_hash,
s.schema_version, s.producer, s.producer_version, s.created_at

-- name: asset
-- The key of an asset, and whether it has legacy artifacts.
select (select a.asset_key from assets a where a.asset_id = %(asset_id)s) as asset_key,
       exists (select from legacy_artifacts l where l.asset_id = %(asset_id)s) as has_legacy;

-- name: has_selection
-- Whether a selection is stored for one of the types; such a type is served only from runs.
select exists (select from artifact_selections p
                 join assets a using (asset_key)
                 join artifact_types t using (type_key)
                where a.asset_id = %(asset_id)s
                  and t.artifact_type = any(%(artifact_types)s)) as found;

-- name: fragment_has_legacy
exists (select from legacy_artifacts l where l.asset_id = %(asset_id)s) as has_legacy

-- name: served_run
-- The run that one type of an asset is served from.
select s.run_id, s.asset_key, s.run_key
  from {sources}
 where s.asset_id = %(asset_id)s and s.artifact_type = %(artifact_type)s;

-- name: jump
select {envelope}, o.ordinal, o.span_start_ms, o.span_end_ms, o.payload
  from {sources}
  left join lateral ({nearest}) o on true
 where s.asset_id = %(asset_id)s and s.artifact_type = %(artifact_type)s;

-- name: fragment_nearest
-- Among all artifacts of a type; of those that start together, the first by ordinal.
select x.ordinal, x.span_start_ms, x.span_end_ms, x.payload
  from artifact_rows x
 where x.asset_key = s.asset_key and x.run_key = s.run_key and x.type_key = s.type_key
   and (s.ordinal is null or x.ordinal = s.ordinal)
   and x.span_start_ms {beyond} %(from_ms)s and {conditions}
 order by x.span_start_ms {order}, x.ordinal
 limit 1

-- name: fragment_nearest_projected
-- As `fragment_nearest`, with filters on a projection.
select y.ordinal, y.span_start_ms, y.span_end_ms, y.payload
  from (select x.ordinal
          from {projection} x
         where x.asset_key = s.asset_key and x.run_key = s.run_key
           and (s.ordinal is null or x.ordinal = s.ordinal)
           and x.span_start_ms {beyond} %(from_ms)s and {conditions}
         order by x.span_start_ms {order}, x.ordinal
         limit 1) x
  join artifact_rows y on y.asset_key = s.asset_key and y.run_key = s.run_key
                      and y.type_key = s.type_key and y.ordinal = x.ordinal

-- name: find
-- Matches in the served texts of an asset. Headlines are built only for the rows of the page.
with selected as materialized (
    select {envelope}, s.asset_key, s.run_key, s.type_key, s.ordinal as only_ordinal,
           s.text_config, asked_words(s.text_config, %(query)s) as query
      from {sources}
     where s.asset_id = %(asset_id)s and s.artifact_type = any(%(artifact_types)s)),
found as materialized (
    select * from ({matches}) m
     order by span_start_ms {order}, artifact_type {order}, ordinal {order}
     limit %(limit)s)
select {envelope}, {has_legacy}, s.run_key, s.only_ordinal, o.ordinal, o.span_start_ms, o.span_end_ms, o.payload,
       ts_headline(s.text_config, m.text, s.query,
                   case when length(m.text) <= %(short)s then %(mark_all)s
                        else %(mark_part)s end) as marked
  from selected s
  left join found m on m.type_key = s.type_key
  left join lateral (
       select o.ordinal, o.span_start_ms, o.span_end_ms, o.payload
         from artifact_rows o
        where o.asset_key = s.asset_key and o.run_key = s.run_key
          and o.type_key = s.type_key and o.ordinal = m.ordinal
        limit 1) o on true
 order by m.span_start_ms {order}, s.artifact_type {order}, m.ordinal {order};

-- name: fragment_matches
-- Matches of one text source.
(select c.artifact_type, c.type_key, x.ordinal, x.span_start_ms, x.text
   from selected c
   join {projection} x on x.asset_key = c.asset_key and x.run_key = c.run_key
  where c.artifact_type = {artifact_type} and x.words @@ c.query
    and (c.only_ordinal is null or x.ordinal = c.only_ordinal)
    and x.span_start_ms {beyond} coalesce(%(from_ms)s::bigint, {before_first})
    and (%(after_ms)s::bigint is null
         or (x.span_start_ms, {artifact_type}, x.ordinal)
            {beyond} (%(after_ms)s, %(after_type)s, %(after_ordinal)s))
  order by x.span_start_ms {order}, x.ordinal {order}
  limit %(limit)s)

-- name: search
-- Matches in the served texts of all assets: first up to `films` assets that contain all words, the
-- newest first; then the positions of the matches, asset by asset until there are enough.
with requested as materialized (
    select c.config, q.query, loosened(q.query) as loose_query
      from unnest(search_configs()) c (config)
     cross join lateral (select asked_words(c.config, %(query)s) as query offset 0) q
     where numnode(q.query) > 0 and querytree(q.query) <> 'T'),
candidates as materialized (
    select w.asset_key
      from (select array_agg(config) as configs, array_agg(loose_query) as loose_queries
              from requested) q
     cross join lateral films_with(
           q.configs, q.loose_queries,
           (select array_agg(t.type_key) from artifact_types t
             where t.artifact_type = any(%(artifact_types)s)),
           coalesce(%(after_asset)s::integer, 2147483647), %(films)s) w (asset_key)),
shown as materialized (
    select c.asset_key, m.*
      from (select asset_key from candidates order by asset_key desc) c
     cross join lateral (
           select s.type_key, s.artifact_type, m.ordinal, m.span_start_ms, m.text, q.query
             from served s
             join requested q on q.config = s.text_config
            cross join lateral ({matches}) m
            where s.asset_key = c.asset_key and s.artifact_type = any(%(artifact_types)s)
            order by m.span_start_ms, s.artifact_type, m.ordinal
            limit %(per_asset)s) m
     where %(after_asset)s::integer is null or c.asset_key < %(after_asset)s
        or (m.span_start_ms, m.artifact_type, m.ordinal)
           > (%(after_ms)s, %(after_type)s, %(after_ordinal)s)
     order by c.asset_key desc, m.span_start_ms, m.artifact_type, m.ordinal
     limit %(limit)s)
select {envelope}, c.last_asset, c.films, m.asset_key, m.ordinal, o.span_start_ms, o.span_end_ms,
       o.payload,
       ts_headline(s.text_config, m.text, m.query,
                   case when length(m.text) <= %(short)s then %(mark_all)s
                        else %(mark_part)s end) as marked
  from (select min(asset_key) as last_asset, count(*) as films from candidates) c
  left join shown m on true
  left join lateral (
       select s.* from served s where s.asset_key = m.asset_key and s.type_key = m.type_key
        limit 1) s on true
  left join lateral (
       select o.span_start_ms, o.span_end_ms, o.payload
         from artifact_rows o
        where o.asset_key = s.asset_key and o.run_key = s.run_key
          and o.type_key = s.type_key and o.ordinal = m.ordinal
        limit 1) o on true
 order by m.asset_key desc, m.span_start_ms, m.artifact_type, m.ordinal;

-- name: fragment_search_matches
-- Matches of one text source in one asset.
(select x.ordinal, x.span_start_ms, x.text
   from {projection} x
  where s.artifact_type = {artifact_type}
    and x.asset_key = s.asset_key and x.run_key = s.run_key and x.words @@ q.query
    and (s.ordinal is null or x.ordinal = s.ordinal)
  order by x.span_start_ms, x.ordinal
  limit %(per_asset)s)

-- name: list
-- Artifacts sorted by time. An artifact overlaps if it starts before `to_ms` and ends after
-- `from_ms`; an instant if it starts at `from_ms` or after. Types without artifacts have a row too.
with selected as materialized (
    select {envelope}, s.asset_key, s.run_key, s.type_key, s.ordinal as only_ordinal, s.longest_ms
      from {sources}
     where s.asset_id = %(asset_id)s
       and (%(artifact_types)s::text[] = '{{}}' or s.artifact_type = any(%(artifact_types)s))),
page as materialized (
    select c.type_key, c.artifact_type, o.*
      from selected c
     cross join lateral (
           select x.ordinal, x.span_start_ms, x.span_end_ms, x.payload
             from artifact_rows x
            where x.asset_key = c.asset_key and x.run_key = c.run_key and x.type_key = c.type_key
              and (c.only_ordinal is null or x.ordinal = c.only_ordinal)
              and x.span_start_ms < coalesce(%(to_ms)s::bigint, 9223372036854775807)
              and x.span_start_ms >= greatest(coalesce(%(from_ms)s::bigint, 0) - c.longest_ms,
                                              coalesce(%(after_ms)s::bigint, 0))
              and (x.span_end_ms > coalesce(%(from_ms)s::bigint, -1)
                   or (x.span_end_ms = x.span_start_ms and x.span_start_ms >= %(from_ms)s::bigint))
              and (%(after_ms)s::bigint is null
                   or (x.span_start_ms, c.artifact_type, x.ordinal)
                      > (%(after_ms)s, %(after_type)s, %(after_ordinal)s))
            order by x.span_start_ms, x.ordinal
            limit %(limit)s) o
     order by o.span_start_ms, c.artifact_type, o.ordinal
     limit %(limit)s)
select {envelope}, {has_legacy}, s.run_key, s.only_ordinal, p.ordinal, p.span_start_ms, p.span_end_ms, p.payload
  from selected s
  left join page p on p.type_key = s.type_key
 order by p.span_start_ms, s.artifact_type, p.ordinal;
