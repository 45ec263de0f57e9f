-- Books in chunks, the words of each chunk, and the graph of nodes and edges.

create table corpus_books (
    book_key    integer generated always as identity primary key,
    env         text not null check (env <> ''),
    book_id     text not null check (book_id <> ''),
    source_id   text not null check (source_id ~ '^[0-9a-f]{64}$'),
    edition     text not null check (edition ~ '^[0-9a-f]{64}$'),
    title       text not null check (title <> ''),
    file        text not null check (file <> ''),
    pages       integer not null check (pages > 0),
    licence     text,
    attribution text,
    asset_id    text not null,
    job_id      text not null,
    made_at     timestamptz not null,
    format      text not null,
    words_version text not null,
    chunks      integer not null default 0 check (chunks >= 0),
    length      double precision not null default 0 check (length >= 0),
    unique (env, book_id)
);

create table corpus_editions (
    edition_key bigint generated always as identity primary key,
    env         text not null,
    book_id     text not null,
    edition     text not null check (edition ~ '^[0-9a-f]{64}$'),
    asset_id    text not null,
    job_id      text not null,
    chunks      jsonb not null,
    nodes       jsonb not null,
    unique (env, book_id, asset_id, job_id)
);
create index corpus_editions_by_book on corpus_editions (env, book_id, edition_key desc);

create table corpus_chunks (
    chunk_key   bigint generated always as identity primary key,
    book_key    integer not null references corpus_books on delete cascade,
    chunk_id    text not null,
    ordinal     integer not null,
    kind        text not null,
    page        integer not null,
    page_end    integer not null,
    page_label  text,
    breadcrumb  text[] not null,
    spans       jsonb not null,
    text        text not null,
    prev        text,
    next        text,
    view_of     text,
    model       text,
    vector      real[],
    unique (book_key, chunk_id)
);

-- One row per book and word, with the chunks that contain the word and all that ranking needs of
-- them: one row per word and chunk took four times the space.
create table corpus_posting_lists (
    book_key    integer not null references corpus_books on delete cascade,
    term        text not null,
    chunk_keys  bigint[] not null,
    frequencies real[] not null,
    lengths     real[] not null,
    primary key (book_key, term),
    check (cardinality(chunk_keys) = cardinality(frequencies)
           and cardinality(chunk_keys) = cardinality(lengths))
);

create table corpus_nodes (
    node_key    bigint generated always as identity primary key,
    book_key    integer not null references corpus_books on delete cascade,
    node_id     text not null,
    kind        text not null,
    name        text not null,
    spelling    text not null,
    unique (book_key, node_id)
);
create index corpus_nodes_by_spelling on corpus_nodes (spelling);

create table corpus_node_chunks (
    node_key    bigint not null references corpus_nodes on delete cascade,
    chunk_key   bigint not null references corpus_chunks on delete cascade,
    primary key (node_key, chunk_key)
);
create index corpus_node_chunks_by_chunk on corpus_node_chunks (chunk_key);

create table corpus_edges (
    edge_key    bigint generated always as identity primary key,
    book_key    integer not null references corpus_books on delete cascade,
    edge_id     text not null,
    type        text not null,
    src         bigint not null references corpus_nodes on delete cascade,
    dst         bigint not null references corpus_nodes on delete cascade,
    page        integer not null,
    rule        text not null,
    evidence    text not null,
    unique (book_key, edge_id)
);
create index corpus_edges_by_src on corpus_edges (src, type);
create index corpus_edges_by_dst on corpus_edges (dst, type);

create table corpus_edge_chunks (
    edge_key    bigint not null references corpus_edges on delete cascade,
    chunk_key   bigint not null references corpus_chunks on delete cascade,
    primary key (edge_key, chunk_key)
);
create index corpus_edge_chunks_by_chunk on corpus_edge_chunks (chunk_key);

-- No plan depends on statistics of long texts, documents and lists, and these columns are most of
-- what ANALYZE would read.
alter table corpus_posting_lists
    alter chunk_keys set statistics 0,
    alter frequencies set statistics 0,
    alter lengths set statistics 0;
alter table corpus_chunks
    alter text set statistics 0,
    alter spans set statistics 0,
    alter breadcrumb set statistics 0,
    alter vector set statistics 0;
alter table corpus_editions
    alter chunks set statistics 0,
    alter nodes set statistics 0;

do $$
begin
    create extension if not exists vector schema public;
exception when others then
    raise notice 'without pgvector: vectors are compared by plain SQL';
end
$$;
