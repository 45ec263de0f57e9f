-- name: editions
-- Of each book the last two printings that differ, as other jobs than this one brought them, the
-- newer first.
select book_id, edition, chunks, nodes
  from (select e.*, row_number() over (partition by book_id order by edition_key desc) as place
          from (select distinct on (book_id, edition) *
                  from corpus.editions
                 where env = %(env)s and book_id = any (%(books)s)
                   and (asset_id, job_id) <> (%(asset_id)s, %(job_id)s)
                 order by book_id, edition, edition_key desc) as e) as kept
 where place <= 2
 order by book_id, edition_key desc;

-- name: put_book
-- Not in the place of a printing that was made later.
insert into corpus.books as b (env, book_id, source_id, edition, title, file, format, pages,
       licence, attribution, asset_id, job_id, made_at, words_version)
values (%(env)s, %(book_id)s, %(source_id)s, %(edition)s, %(title)s, %(file)s, %(format)s,
       %(pages)s, %(licence)s, %(attribution)s, %(asset_id)s, %(job_id)s, %(made_at)s,
       %(words_version)s)
    on conflict (env, book_id) do update
   set source_id = excluded.source_id, edition = excluded.edition, title = excluded.title,
       file = excluded.file, format = excluded.format, pages = excluded.pages,
       licence = excluded.licence, attribution = excluded.attribution,
       asset_id = excluded.asset_id, job_id = excluded.job_id, made_at = excluded.made_at,
       words_version = excluded.words_version
 where b.made_at <= excluded.made_at
returning book_key;

-- name: keep_edition
insert into corpus.editions (env, book_id, edition, asset_id, job_id, chunks, nodes)
values (%(env)s, %(book_id)s, %(edition)s, %(asset_id)s, %(job_id)s, %(chunks)s, %(nodes)s)
    on conflict (env, book_id, asset_id, job_id) do update
   set edition = excluded.edition, chunks = excluded.chunks, nodes = excluded.nodes;

-- name: forget_editions
-- So many are kept of a book.
delete from corpus.editions e
 where e.env = %(env)s and e.book_id = %(book_id)s
   and e.edition_key <= (select edition_key from corpus.editions
                          where env = %(env)s and book_id = %(book_id)s
                          order by edition_key desc offset %(kept)s limit 1);

-- name: remove_book
with gone as (
    delete from corpus.editions where env = %(env)s and book_id = %(book_id)s)
delete from corpus.books where env = %(env)s and book_id = %(book_id)s;

-- name: texts
select chunk_key, kind, breadcrumb, text from corpus.chunks where book_key = %(book_key)s;

-- name: book_keys
select book_key from corpus.books order by book_key;

-- name: add_postings
copy corpus.postings (term, chunk_key, in_title, in_crumb, in_text) from stdin;

-- name: weigh
update corpus.chunks set weight = %(weight)s where chunk_key = %(chunk_key)s;

-- name: counted_by
update corpus.books set words_version = %(words_version)s where book_key = %(book_key)s;

-- name: make_room
create temp table if not exists coming_chunks (like corpus.chunks) on commit drop;
alter table coming_chunks alter chunk_key drop not null, alter book_key drop not null;
create temp table if not exists coming_postings
    (chunk_id text, term text, in_title smallint, in_crumb smallint, in_text smallint)
    on commit drop;
create temp table if not exists coming_nodes
    (node_id text, kind text, name text, spelling text, chunk_ids text[]) on commit drop;
create temp table if not exists coming_edges
    (edge_id text, type text, src text, dst text, page integer, rule text, evidence text,
     chunk_ids text[]) on commit drop;
truncate coming_chunks, coming_postings, coming_nodes, coming_edges;

-- name: copy_chunks
copy coming_chunks (chunk_id, ordinal, kind, page, page_end, page_label, breadcrumb, spans, text,
                    prev, next, view_of, weight, model, vector) from stdin;

-- name: copy_postings
copy coming_postings (chunk_id, term, in_title, in_crumb, in_text) from stdin;

-- name: copy_nodes
copy coming_nodes (node_id, kind, name, spelling, chunk_ids) from stdin;

-- name: copy_edges
copy coming_edges (edge_id, type, src, dst, page, rule, evidence, chunk_ids) from stdin;

-- name: drop_stale_chunks
-- Their words and all references to them go with them.
delete from corpus.chunks c
 where c.book_key = %(book_key)s
   and not exists (select from coming_chunks n where n.chunk_id = c.chunk_id);

-- name: put_chunks
insert into corpus.chunks (book_key, chunk_id, ordinal, kind, page, page_end, page_label,
       breadcrumb, spans, text, prev, next, view_of, weight, model, vector)
select %(book_key)s, chunk_id, ordinal, kind, page, page_end, page_label, breadcrumb, spans, text,
       prev, next, view_of, weight, model, vector
  from coming_chunks
    on conflict (book_key, chunk_id) do update
   set ordinal = excluded.ordinal, kind = excluded.kind, page = excluded.page,
       page_end = excluded.page_end, page_label = excluded.page_label,
       breadcrumb = excluded.breadcrumb, spans = excluded.spans, text = excluded.text,
       prev = excluded.prev, next = excluded.next, view_of = excluded.view_of,
       weight = excluded.weight, model = excluded.model, vector = excluded.vector;

-- name: drop_postings
delete from corpus.postings p
 using corpus.chunks c
 where c.book_key = %(book_key)s and p.chunk_key = c.chunk_key;

-- name: put_postings
insert into corpus.postings (term, chunk_key, in_title, in_crumb, in_text)
select n.term, c.chunk_key, n.in_title, n.in_crumb, n.in_text
  from coming_postings n
  join corpus.chunks c on c.book_key = %(book_key)s and c.chunk_id = n.chunk_id;

-- name: put_nodes
insert into corpus.nodes (book_key, node_id, kind, name, spelling)
select %(book_key)s, node_id, kind, name, spelling
  from coming_nodes
    on conflict (book_key, node_id) do update
   set kind = excluded.kind, name = excluded.name, spelling = excluded.spelling;

-- name: drop_node_references
delete from corpus.node_chunks r
 using corpus.nodes n
 where n.book_key = %(book_key)s and r.node_key = n.node_key;

-- name: put_node_references
insert into corpus.node_chunks (node_key, chunk_key)
select distinct n.node_key, c.chunk_key
  from coming_nodes coming
  join corpus.nodes n on n.book_key = %(book_key)s and n.node_id = coming.node_id
 cross join unnest(coming.chunk_ids) as chunk (chunk_id)
  join corpus.chunks c on c.book_key = %(book_key)s and c.chunk_id = chunk.chunk_id;

-- name: drop_orphans
-- Nodes that no chunk stands for any more; their edges go with them.
delete from corpus.nodes n
 where n.book_key = %(book_key)s
   and not exists (select from corpus.node_chunks r where r.node_key = n.node_key);

-- name: drop_edges
delete from corpus.edges e
 where e.book_key = %(book_key)s
   and not exists (select from coming_edges n where n.edge_id = e.edge_id);

-- name: put_edges
insert into corpus.edges (book_key, edge_id, type, src, dst, page, rule, evidence)
select %(book_key)s, coming.edge_id, coming.type, src.node_key, dst.node_key, coming.page,
       coming.rule, coming.evidence
  from coming_edges coming
  join corpus.nodes src on src.book_key = %(book_key)s and src.node_id = coming.src
  join corpus.nodes dst on dst.book_key = %(book_key)s and dst.node_id = coming.dst
    on conflict (book_key, edge_id) do update
   set src = excluded.src, dst = excluded.dst, page = excluded.page, rule = excluded.rule,
       evidence = excluded.evidence;

-- name: drop_edge_references
delete from corpus.edge_chunks r
 using corpus.edges e
 where e.book_key = %(book_key)s and r.edge_key = e.edge_key;

-- name: put_edge_references
insert into corpus.edge_chunks (edge_key, chunk_key)
select distinct e.edge_key, c.chunk_key
  from coming_edges coming
  join corpus.edges e on e.book_key = %(book_key)s and e.edge_id = coming.edge_id
 cross join unnest(coming.chunk_ids) as chunk (chunk_id)
  join corpus.chunks c on c.book_key = %(book_key)s and c.chunk_id = chunk.chunk_id;

-- name: books
select b.book_id, b.env, b.title, b.file, b.format, b.pages, b.words_version, b.licence, b.attribution, b.job_id,
       (select count(*) from corpus.chunks c where c.book_key = b.book_key) as chunks
  from corpus.books b
 where (%(env)s::text is null or b.env = %(env)s)
   and (%(book)s::text is null or b.book_id = %(book)s or b.file = %(book)s
        or lower(b.title) = lower(%(book)s)
        or regexp_replace(b.file, '[.][^./]*$', '') = %(book)s)
 order by b.env, b.book_id;
