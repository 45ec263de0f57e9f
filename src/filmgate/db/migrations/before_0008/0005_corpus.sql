-- Books in chunks, the words of each chunk, and the graph of nodes and edges.

do $$
begin
    create extension if not exists vector;
exception when others then
    raise notice 'without pgvector: vectors are compared by plain SQL';
end
$$;

create schema corpus;
comment on schema corpus is 'What rulebook jobs made of books: what `filmgate ask` answers from.';

create table corpus.books (
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
    unique (env, book_id)
);

create table corpus.editions (
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
create index editions_by_book on corpus.editions (env, book_id, edition_key desc);
comment on table corpus.editions is 'The last printings of each book, to tell the next one from.';

create table corpus.chunks (
    chunk_key   bigint generated always as identity primary key,
    book_key    integer not null references corpus.books on delete cascade,
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
    weight      real not null,
    model       text,
    vector      real[],
    unique (book_key, chunk_id)
);
comment on column corpus.chunks.weight is 'How long it is, in words weighted by where they stand.';

create table corpus.postings (
    term        text not null,
    chunk_key   bigint not null references corpus.chunks on delete cascade,
    in_title    smallint not null,
    in_crumb    smallint not null,
    in_text     smallint not null,
    primary key (term, chunk_key)
);
create index postings_by_chunk on corpus.postings (chunk_key);

create table corpus.nodes (
    node_key    bigint generated always as identity primary key,
    book_key    integer not null references corpus.books on delete cascade,
    node_id     text not null,
    kind        text not null,
    name        text not null,
    spelling    text not null,
    unique (book_key, node_id)
);
create index nodes_by_spelling on corpus.nodes (spelling);
comment on column corpus.nodes.spelling is 'Its name in letters and digits alone.';

create table corpus.node_chunks (
    node_key    bigint not null references corpus.nodes on delete cascade,
    chunk_key   bigint not null references corpus.chunks on delete cascade,
    primary key (node_key, chunk_key)
);
create index node_chunks_by_chunk on corpus.node_chunks (chunk_key);
comment on table corpus.node_chunks is 'References: a node without any is removed.';

create table corpus.edges (
    edge_key    bigint generated always as identity primary key,
    book_key    integer not null references corpus.books on delete cascade,
    edge_id     text not null,
    type        text not null,
    src         bigint not null references corpus.nodes on delete cascade,
    dst         bigint not null references corpus.nodes on delete cascade,
    page        integer not null,
    rule        text not null,
    evidence    text not null,
    unique (book_key, edge_id)
);
create index edges_by_src on corpus.edges (src, type);
create index edges_by_dst on corpus.edges (dst, type);

create table corpus.edge_chunks (
    edge_key    bigint not null references corpus.edges on delete cascade,
    chunk_key   bigint not null references corpus.chunks on delete cascade,
    primary key (edge_key, chunk_key)
);
create index edge_chunks_by_chunk on corpus.edge_chunks (chunk_key);
