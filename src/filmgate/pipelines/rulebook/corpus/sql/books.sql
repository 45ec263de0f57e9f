-- name: editions
-- The last two different editions of each book that other jobs wrote, the newer first.
select book_id, edition, chunks, nodes
  from (select e.*, row_number() over (partition by book_id order by edition_key desc) as place
          from (select distinct on (book_id, edition) *
                  from corpus_editions
                 where env = %(env)s and book_id = any (%(books)s)
                   and (asset_id, job_id) <> (%(asset_id)s, %(job_id)s)
                 order by book_id, edition, edition_key desc) as e) as ranked
 where place <= 2
 order by book_id, edition_key desc;

-- name: put_book
-- This does not replace an edition that was made later.
insert into corpus_books as b (env, book_id, source_id, edition, title, file, format, pages,
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

-- name: put_edition
insert into corpus_editions (env, book_id, edition, asset_id, job_id, chunks, nodes)
values (%(env)s, %(book_id)s, %(edition)s, %(asset_id)s, %(job_id)s, %(chunks)s::jsonb, %(nodes)s::jsonb)
    on conflict (env, book_id, asset_id, job_id) do update
   set edition = excluded.edition, chunks = excluded.chunks, nodes = excluded.nodes;

-- name: drop_old_editions
-- Keeps the latest `count` editions of a book.
delete from corpus_editions e
 where e.env = %(env)s and e.book_id = %(book_id)s
   and e.edition_key <= (select edition_key from corpus_editions
                          where env = %(env)s and book_id = %(book_id)s
                          order by edition_key desc offset %(count)s limit 1);

-- name: remove_book
with gone as (
    delete from corpus_editions where env = %(env)s and book_id = %(book_id)s)
delete from corpus_books where env = %(env)s and book_id = %(book_id)s;

-- name: texts
select chunk_key, kind, breadcrumb, text from corpus_chunks where book_key = %(book_key)s;

-- name: book_keys
select book_key from corpus_books order by book_key;

-- name: lock_book
-- No other session can write an edition of the book until the transaction ends.
select book_key from corpus_books where book_key = %(book_key)s for no key update;

-- name: copy_posting_lists
copy corpus_posting_lists (book_key, term, chunk_keys, frequencies, lengths) from stdin;

-- name: measure_book
update corpus_books
   set chunks = %(chunks)s, length = %(length)s
 where book_key = %(book_key)s;

-- name: set_words_version
update corpus_books set words_version = %(words_version)s where book_key = %(book_key)s;

-- name: create_temporary_tables
create temp table if not exists new_chunks (like corpus_chunks) on commit drop;
alter table new_chunks alter chunk_key drop not null, alter book_key drop not null;
create temp table if not exists new_nodes
    (node_id text, kind text, name text, spelling text, chunk_keys bigint[]) on commit drop;
create temp table if not exists new_edges
    (edge_id text, type text, src text, dst text, page integer, rule text, evidence text,
     chunk_keys bigint[]) on commit drop;
truncate new_chunks, new_nodes, new_edges;

-- name: copy_chunks
copy new_chunks (chunk_id, ordinal, kind, page, page_end, page_label, breadcrumb, spans, text,
                    prev, next, view_of, model, vector) from stdin;

-- name: copy_nodes
copy new_nodes (node_id, kind, name, spelling, chunk_keys) from stdin;

-- name: copy_edges
copy new_edges (edge_id, type, src, dst, page, rule, evidence, chunk_keys) from stdin;

-- name: drop_stale_chunks
-- All references to these chunks are deleted with them.
delete from corpus_chunks c
 where c.book_key = %(book_key)s
   and not exists (select from new_chunks n where n.chunk_id = c.chunk_id);

-- name: put_chunks
insert into corpus_chunks (book_key, chunk_id, ordinal, kind, page, page_end, page_label,
       breadcrumb, spans, text, prev, next, view_of, model, vector)
select %(book_key)s, chunk_id, ordinal, kind, page, page_end, page_label, breadcrumb, spans, text,
       prev, next, view_of, model, vector
  from new_chunks
    on conflict (book_key, chunk_id) do update
   set ordinal = excluded.ordinal, kind = excluded.kind, page = excluded.page,
       page_end = excluded.page_end, page_label = excluded.page_label,
       breadcrumb = excluded.breadcrumb, spans = excluded.spans, text = excluded.text,
       prev = excluded.prev, next = excluded.next, view_of = excluded.view_of,
       model = excluded.model, vector = excluded.vector;

-- name: chunk_keys
select chunk_id, chunk_key from corpus_chunks where book_key = %(book_key)s;

-- name: drop_posting_lists
delete from corpus_posting_lists where book_key = %(book_key)s;

-- name: put_nodes
insert into corpus_nodes (book_key, node_id, kind, name, spelling)
select %(book_key)s, node_id, kind, name, spelling
  from new_nodes
    on conflict (book_key, node_id) do update
   set kind = excluded.kind, name = excluded.name, spelling = excluded.spelling;

-- name: drop_node_references
delete from corpus_node_chunks r
 using corpus_nodes n
 where n.book_key = %(book_key)s and r.node_key = n.node_key;

-- name: put_node_references
insert into corpus_node_chunks (node_key, chunk_key)
select distinct n.node_key, chunk_key
  from new_nodes new
  join corpus_nodes n on n.book_key = %(book_key)s and n.node_id = new.node_id
 cross join unnest(new.chunk_keys) as c (chunk_key);

-- name: drop_orphans
-- Nodes without a reference to a chunk; their edges are deleted with them.
delete from corpus_nodes n
 where n.book_key = %(book_key)s
   and not exists (select from corpus_node_chunks r where r.node_key = n.node_key);

-- name: drop_edges
delete from corpus_edges e
 where e.book_key = %(book_key)s
   and not exists (select from new_edges n where n.edge_id = e.edge_id);

-- name: put_edges
insert into corpus_edges (book_key, edge_id, type, src, dst, page, rule, evidence)
select %(book_key)s, new.edge_id, new.type, src.node_key, dst.node_key, new.page,
       new.rule, new.evidence
  from new_edges new
  join corpus_nodes src on src.book_key = %(book_key)s and src.node_id = new.src
  join corpus_nodes dst on dst.book_key = %(book_key)s and dst.node_id = new.dst
    on conflict (book_key, edge_id) do update
   set src = excluded.src, dst = excluded.dst, page = excluded.page, rule = excluded.rule,
       evidence = excluded.evidence;

-- name: drop_edge_references
delete from corpus_edge_chunks r
 using corpus_edges e
 where e.book_key = %(book_key)s and r.edge_key = e.edge_key;

-- name: put_edge_references
insert into corpus_edge_chunks (edge_key, chunk_key)
select distinct e.edge_key, chunk_key
  from new_edges new
  join corpus_edges e on e.book_key = %(book_key)s and e.edge_id = new.edge_id
 cross join unnest(new.chunk_keys) as c (chunk_key);

-- name: books
select b.book_key, b.book_id, b.env, b.title, b.file, b.format, b.pages, b.words_version,
       b.licence, b.attribution, b.job_id, b.chunks, b.length
  from corpus_books b
 where (%(env)s::text is null or b.env = %(env)s)
   and (%(book)s::text is null or b.book_id = %(book)s or b.file = %(book)s
        or lower(b.title) = lower(%(book)s)
        or regexp_replace(b.file, '[.][^./]*$', '') = %(book)s)
 order by b.env, b.book_id;
