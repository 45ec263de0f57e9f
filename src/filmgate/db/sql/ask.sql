-- name: fragment_scope
-- The books that are asked.
select book_key from corpus.books where env = %(env)s and book_id = any (%(books)s)

-- name: by_words
-- BM25F (Robertson and Zaragoza 2009): a word counts by where it stands, then saturates.
with scope as ({scope}),
     size as (
    select count(*)::float8 as chunks, greatest(avg(weight), 1)::float8 as mean
      from corpus.chunks where book_key in (select book_key from scope)),
     standing as (
    select p.term, p.chunk_key, c.weight, c.kind,
           (p.in_title * %(title)s + p.in_crumb * %(crumb)s + p.in_text)::float8 as often
      from corpus.postings p
      join corpus.chunks c using (chunk_key)
     where p.term = any (%(words)s) and c.book_key in (select book_key from scope)),
     spread as (select term, count(*)::float8 as chunks from standing group by term)
select s.chunk_key,
       sum(ln(1 + (size.chunks - spread.chunks + 0.5) / (spread.chunks + 0.5))
           * s.often * (%(k1)s + 1)
           / (s.often + %(k1)s * (1 - %(b)s + %(b)s * s.weight / size.mean))) as score
  from standing s join spread using (term) cross join size
 group by s.chunk_key
 order by score desc, s.chunk_key
 limit %(candidates)s;

-- name: by_title
-- Chunks of what has the name that is asked for; the longest name first. A name that many things
-- have is none.
with scope as ({scope}),
     named as (
    select n.node_key, n.spelling, n.kind, n.name, n.book_key,
           count(*) over (partition by n.book_key, n.spelling) as namesakes
      from corpus.nodes n
     where n.spelling = any (%(names)s) and n.book_key in (select book_key from scope))
select n.node_key, n.spelling, n.kind, n.name, r.chunk_key
  from named n
  join corpus.node_chunks r using (node_key)
 where n.namesakes <= %(namesakes)s
 order by length(n.spelling) desc, n.node_key, r.chunk_key
 limit %(candidates)s;

-- name: by_likeness
with scope as ({scope})
select chunk_key, {likeness} as score
  from corpus.chunks
 where book_key in (select book_key from scope) and vector is not null
 order by score desc, chunk_key
 limit %(candidates)s;

-- name: fragment_likeness_pgvector
-(vector::vector <#> %(vector)s::real[]::vector)

-- name: fragment_likeness_plain
(select sum(mine * theirs) from unnest(vector, %(vector)s::real[]) as pair (mine, theirs))

-- name: has_pgvector
select exists (select from pg_extension where extname = 'vector') as there;

-- name: has_vectors
with scope as ({scope})
select exists (select from corpus.chunks
                where book_key in (select book_key from scope) and vector is not null) as there;

-- name: neighbours
-- One hop from what was named, along edges of the types that say what belongs to what.
select near.name, near.kind, e.type, e.rule, e.page, n.name as of,
       n.node_key, first.chunk_key, c.page_label
  from corpus.nodes n
  join corpus.edges e on e.src = n.node_key or e.dst = n.node_key
  join corpus.nodes near on near.node_key = case when e.src = n.node_key then e.dst else e.src end
 cross join lateral (
    select r.chunk_key from corpus.edge_chunks r where r.edge_key = e.edge_key
     order by r.chunk_key limit 1) as first
  join corpus.chunks c on c.chunk_key = first.chunk_key
 where n.node_key = any (%(nodes)s) and e.type = any (%(types)s)
   and near.kind = any (%(kinds)s)
 order by n.node_key, near.name, e.edge_key;

-- name: kinds
with scope as ({scope})
select distinct kind from corpus.nodes where book_key in (select book_key from scope);

-- name: chunks
select c.chunk_key, c.chunk_id, c.kind, c.page, c.page_end, c.page_label, c.breadcrumb, c.spans,
       c.text, c.view_of, b.book_id, b.title, b.format, b.licence, b.attribution
  from corpus.chunks c join corpus.books b using (book_key)
 where c.chunk_key = any (%(keys)s);
