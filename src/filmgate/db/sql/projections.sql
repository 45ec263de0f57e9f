-- name: table
-- The comment of a table, and its columns except those that every projection has.
select obj_description(c.oid, 'pg_class'),
       array(select a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
               from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and a.attname <> all (array['asset_key', 'run_key', 'ordinal', 'type_key',
                                            'span_start_ms', 'span_end_ms'])
              order by a.attnum)
  from pg_class c
 where c.oid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(name)s));

-- name: delete_words
-- Delete the words of all served types of an asset; `refresh_served` collects them again.
delete from served_words where asset_key = %(asset_key)s;
