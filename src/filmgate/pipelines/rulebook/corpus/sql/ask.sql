-- Each execution gets a plan for its parameters (`Plans.CUSTOM`): the best plan depends on the number
-- of books and on the frequency of the words.

-- name: by_words
-- BM25F (Robertson and Zaragoza 2009): occurrences are weighted by their field, then saturate. The
-- lists are unnested in the select list, which returns rows one by one. In the from clause, the server
-- would store each list first, and the statement took 1.5 times as long.
with found as materialized (
    select term, chunk_keys, frequencies, lengths
      from corpus_posting_lists
     where book_key = any (%(books)s) and term = any (%(words)s)),
     weighted as materialized (
    select term, ln(1 + (%(chunks)s - chunks + 0.5) / (chunks + 0.5)) * (%(k1)s + 1) as weight
      from (select term, sum(cardinality(chunk_keys))::float8 as chunks from found group by term) as t)
select p.chunk_key,
       sum(p.weight * p.frequency
           / (p.frequency + %(k1)s * (1 - %(b)s) + %(k1)s * %(b)s / %(mean)s * p.length)) as score
  from (select w.weight, unnest(f.chunk_keys) as chunk_key, unnest(f.frequencies) as frequency,
               unnest(f.lengths) as length
          from found f
          join weighted w using (term)) as p
 group by p.chunk_key
 order by score desc, p.chunk_key
 limit %(candidates)s;

-- name: by_title
-- Chunks of the nodes with one of the names, the longest name first. A name that too many nodes of
-- a book have is ignored.
with named as materialized (
    select n.node_key, n.spelling, n.kind, n.name,
           count(*) over (partition by n.book_key, n.spelling) as namesakes
      from corpus_nodes n
     where n.spelling = any (%(names)s) and n.book_key = any (%(books)s))
select n.node_key, n.spelling, n.kind, n.name, r.chunk_key
  from named n
  join corpus_node_chunks r using (node_key)
 where n.namesakes <= %(namesakes)s
 order by length(n.spelling) desc, n.node_key, r.chunk_key
 limit %(candidates)s;

-- name: by_similarity
select chunk_key, {similarity} as score
  from corpus_chunks
 where book_key = any (%(books)s) and vector is not null
 order by score desc, chunk_key
 limit %(candidates)s;

-- name: fragment_similarity_pgvector
-(vector::vector <#> %(vector)s::real[]::vector)

-- name: fragment_similarity_plain
(select sum(a * b) from unnest(vector, %(vector)s::real[]) as pair (a, b))

-- name: has_pgvector
-- Whether the extension is installed in a schema of the search path.
select to_regtype('vector') is not null as found;

-- name: has_vectors
select exists (select from corpus_chunks
                where book_key = any (%(books)s) and vector is not null) as found;

-- name: neighbours
-- One hop from the named nodes, along edges of given types. `offset 0` keeps the planner from
-- looking up edges by their type first: a type has thousands of edges.
select near.name, near.kind, e.type, e.rule, e.page, n.name as of,
       n.node_key, first.chunk_key, c.page_label
  from corpus_nodes n
 cross join lateral (
    select e.edge_key, e.type, e.rule, e.page, e.dst as near_key
      from corpus_edges e
     where e.src = n.node_key
    union all
    select e.edge_key, e.type, e.rule, e.page, e.src
      from corpus_edges e
     where e.dst = n.node_key and e.src <> n.node_key
    offset 0) as e
  join corpus_nodes near on near.node_key = e.near_key
 cross join lateral (
    select r.chunk_key from corpus_edge_chunks r where r.edge_key = e.edge_key
     order by r.chunk_key limit 1) as first
  join corpus_chunks c on c.chunk_key = first.chunk_key
 where n.node_key = any (%(nodes)s) and e.type = any (%(types)s) and near.kind = any (%(kinds)s)
 order by n.node_key, near.name, e.edge_key;

-- name: kinds
select distinct kind from corpus_nodes where book_key = any (%(books)s);

-- name: chunks
with found as materialized (
    select chunk_key, book_key, chunk_id, kind, page, page_end, page_label, breadcrumb, spans, text,
           view_of
      from corpus_chunks
     where chunk_key = any (%(keys)s))
select c.*, b.book_id, b.title, b.format, b.licence, b.attribution
  from found c
  join corpus_books b using (book_key);
