-- Views under the names that products read. `filmgate.earlier_schema` is the schema from which tables
-- were moved, or empty for a new installation.
--
-- A view is created if its name is free and the role may create it: in a database of its own, which
-- has no relations in other schemas except those of extensions, and under all names from which tables
-- were moved. The views are simple, so that rows can also be written through them. Roles that had
-- rights on a moved table get the same rights on the view.

do $$
declare
    earlier constant text := nullif(current_setting('filmgate.earlier_schema'), '');
    is_alone constant boolean := not exists (
        select from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v', 'm', 'f')
           and n.nspname not in (current_schema(), 'information_schema') and n.nspname !~ '^pg_'
           and not exists (select from pg_depend d
                            where d.classid = 'pg_class'::regclass and d.objid = c.oid
                              and d.deptype = 'e'));
    item record;
    access record;
begin
    if not is_alone and earlier is null then
        return;
    end if;
    for item in
        select schema, name, (prefix || name)::regclass as source
          from (values
                ('pipeline', '', '{run_stages,outbox,inbox,positions,deliveries,jobs}'),
                ('screenalytics', 'product_', '{runs,run_artifacts,person_metrics}'),
                (coalesce(earlier, 'public'), '',
                 '{assets,runs,artifacts,artifact_types,artifact_files,artifact_rows,'
                 'artifact_selections,legacy_artifacts,people,people_references,served,served_words,'
                 'transcript_fts,ocr_fts,object_labels,face_clusters,scene_ranges,place_labels}'))
               as views (schema, prefix, names)
         cross join unnest(names::text[]) as n (name)
    loop
        if to_regnamespace(item.schema) is null and item.schema <> 'public'
           and has_database_privilege(current_database(), 'create') then
            execute format('create schema %I', item.schema);
        end if;
        continue when to_regnamespace(item.schema) is null
                   or not has_schema_privilege(item.schema, 'create')
                   or to_regclass(format('%I.%I', item.schema, item.name)) is not null;
        execute format('create view %I.%I as select * from %s', item.schema, item.name, item.source);
        execute format('comment on view %I.%I is %L', item.schema, item.name,
                       'Filmgate: ' || item.source);
        for access in
            select a.grantee, a.privilege_type as privilege, a.is_grantable
              from pg_class c
             cross join aclexplode(c.relacl) as a
             where c.oid = item.source and a.grantee <> c.relowner
        loop
            execute format('grant %s on %I.%I to %s%s', access.privilege, item.schema, item.name,
                           case access.grantee when 0 then 'public'
                                else access.grantee::regrole::text end,
                           case when access.is_grantable then ' with grant option' else '' end);
        end loop;
    end loop;
end
$$;
