-- name: table
-- What a table says it is, and its columns but for those that every projection has.
select obj_description(c.oid, 'pg_class'),
       array(select a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
               from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and a.attname <> all (array['asset_key', 'run_key', 'ordinal', 'type_key',
                                            'span_start_ms', 'span_end_ms'])
              order by a.attnum)
  from pg_class c
 where c.oid = to_regclass(quote_ident(%(name)s));

-- name: forget_words
-- Of what an asset is served from, so that they are collected again.
delete from served_words where asset_key = %(asset_key)s;
