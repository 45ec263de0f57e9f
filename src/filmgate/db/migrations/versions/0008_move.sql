-- Move all objects of an earlier release into the schema of the installation, the first one of the
-- search path. Only catalogs change: no row is copied. `filmgate.earlier_schema` is the schema in
-- which the earlier release had its unqualified names, usually `public`.

create function pg_temp.rename_parts(relation regclass, old text, new text) returns void
language plpgsql as $$
declare
    part record;
begin
    -- Names of constraints and indexes are unique in a schema. An index of a constraint is renamed
    -- with the constraint.
    for part in select conname as name from pg_constraint
                 where conrelid = relation and starts_with(conname, old || '_')
    loop
        execute format('alter table %s rename constraint %I to %I', relation, part.name,
                       new || substr(part.name, length(old) + 1));
    end loop;
    for part in select c.oid::regclass as oid, c.relname as name,
                       case c.relkind when 'S' then 'sequence' else 'index' end as kind
                  from pg_class c
                 where starts_with(c.relname, old || '_')
                   and (c.oid in (select indexrelid from pg_index where indrelid = relation)
                        or c.relkind = 'S' and c.oid in (
                            select objid from pg_depend
                             where classid = 'pg_class'::regclass
                               and refclassid = 'pg_class'::regclass and refobjid = relation))
    loop
        execute format('alter %s %s rename to %I', part.kind, part.oid,
                       new || substr(part.name, length(old) + 1));
    end loop;
end
$$;

create function pg_temp.move_relation(schema text, name text, target text) returns void
language plpgsql as $$
declare
    relation regclass := to_regclass(format('%I.%I', schema, name));
begin
    if target <> name then
        execute format('alter table %s rename to %I', relation, target);
        perform pg_temp.rename_parts(relation, name, target);
    end if;
    execute format('alter table %s set schema %I', relation, current_schema());
end
$$;

create function pg_temp.move_queue() returns void
language plpgsql as $$
declare
    part record;
begin
    for part in select c.oid::regclass as oid from pg_class c
                 where c.relnamespace = 'queue'::regnamespace and c.relkind in ('r', 'p', 'v')
                   and starts_with(c.relname, 'procrastinate_')
    loop
        execute format('alter table %s set schema %I', part.oid, current_schema());
    end loop;
    for part in select t.oid::regtype as oid
                  from pg_type t
                  left join pg_class c on c.oid = t.typrelid
                 where t.typnamespace = 'queue'::regnamespace
                   and starts_with(t.typname, 'procrastinate_')
                   and (t.typtype in ('e', 'd') or c.relkind = 'c')
    loop
        execute format('alter type %s set schema %I', part.oid, current_schema());
    end loop;
    for part in select p.oid::regprocedure as oid from pg_proc p
                 where p.pronamespace = 'queue'::regnamespace
                   and starts_with(p.proname, 'procrastinate_')
    loop
        execute format('alter function %s set schema %I', part.oid, current_schema());
    end loop;
    perform pg_temp.move_relation('queue', 'changes', 'queue_changes');
    update procrastinate_jobs set queue_name = current_schema();
end
$$;

do $$
declare
    earlier constant text := current_setting('filmgate.earlier_schema');
    item record;
begin
    for item in
        select schema, name, prefix || name as target
          from (values
                ('pipeline', '', '{run_stages,stage_ends,outbox,inbox,positions,deliveries,jobs}'),
                ('screenalytics', 'product_', '{runs,run_artifacts,person_metrics}'),
                ('access', 'access_', '{tokens,links,sessions,audit}'),
                ('corpus', 'corpus_', '{books,editions,chunks,posting_lists,nodes,edges,'
                                      'node_chunks,edge_chunks}'),
                (earlier, '', '{assets,runs,artifact_types,artifact_files,artifact_rows,'
                              'artifact_rows_0,artifact_rows_1,artifact_rows_2,artifact_rows_3,'
                              'artifacts,file_headers,legacy_artifacts,artifact_selections,served,'
                              'served_words,people,people_references}'))
               as relations (schema, prefix, names)
         cross join unnest(names::text[]) as n (name)
        union all
        -- Projections, also those of packages.
        select earlier, c.relname, c.relname
          from pg_class c
         where c.relnamespace = earlier::regnamespace and c.relkind = 'r'
           and starts_with(obj_description(c.oid, 'pg_class'), 'projection of ')
    loop
        perform pg_temp.move_relation(item.schema, item.name, item.target);
    end loop;
    -- Two tables were created under another name, or beside a table of the same name. Their
    -- constraints get the names that they have in a new installation.
    perform pg_temp.rename_parts('stage_ends', 'run_stages', 'stage_ends');
    for item in
        select conname as name,
               case conname when 'product_person_metrics_check2' then 'product_person_metrics_check'
                            when 'product_person_metrics_check3' then 'product_person_metrics_check1'
                            else rtrim(conname, '1') end as target
          from pg_constraint
         where conrelid = 'product_person_metrics'::regclass and conname ~ '[123]$'
         order by conname
    loop
        execute format('alter table product_person_metrics rename constraint %I to %I', item.name,
                       item.target);
    end loop;
    for item in
        select p.oid::regprocedure as oid
          from pg_proc p
         where p.pronamespace = earlier::regnamespace
           and p.proname in ('text_config', 'searched_text', 'asked_words', 'loosened',
                             'search_configs', 'describe_file', 'films_with', 'quality_of',
                             'choose_run', 'refresh_served')
    loop
        execute format('alter function %s set schema %I', item.oid, current_schema());
    end loop;
    if to_regclass('queue.procrastinate_jobs') is not null then
        perform pg_temp.move_queue();
    end if;
    -- The schemas `pipeline` and `screenalytics` stay, for the views.
    for item in
        select n.oid::regnamespace as schema
          from pg_namespace n
         where n.nspname in ('access', 'corpus', 'queue')
           and not exists (select from pg_class where relnamespace = n.oid)
           and not exists (select from pg_proc where pronamespace = n.oid)
           and not exists (select from pg_type where typnamespace = n.oid)
    loop
        execute format('drop schema %s', item.schema);
    end loop;
end
$$;

drop function pg_temp.move_queue, pg_temp.move_relation, pg_temp.rename_parts;
