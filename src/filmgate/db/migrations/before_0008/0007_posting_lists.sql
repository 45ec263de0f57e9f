-- One row per book and word, with the chunks that contain the word and all that ranking needs of
-- them. One row per word and chunk took four times the space, and a question of five common words
-- had to fetch 50,000 rows from all parts of the table.

create table corpus.posting_lists (
    book_key    integer not null references corpus.books on delete cascade,
    term        text not null,
    chunk_keys  bigint[] not null,
    frequencies real[] not null,
    lengths     real[] not null,
    primary key (book_key, term),
    check (cardinality(chunk_keys) = cardinality(frequencies)
           and cardinality(chunk_keys) = cardinality(lengths))
);
comment on table corpus.posting_lists is
    'The chunks of a book that contain a word; derived, written again with each printing of the book.';
comment on column corpus.posting_lists.frequencies is
    'How often each chunk contains the word: 5 for each time in its title, 2 in the titles above, 1 in
    its text.';
comment on column corpus.posting_lists.lengths is
    'The length of each chunk in words, weighted in the same way.';

insert into corpus.posting_lists
select c.book_key, p.term,
       array_agg(p.chunk_key order by p.chunk_key),
       array_agg((p.in_title * 5.0 + p.in_crumb * 2.0 + p.in_text)::real order by p.chunk_key),
       array_agg(c.weight order by p.chunk_key)
  from corpus.postings p
  join corpus.chunks c using (chunk_key)
 group by c.book_key, p.term;

alter table corpus.books
    add chunks integer not null default 0 check (chunks >= 0),
    add length double precision not null default 0 check (length >= 0);
comment on column corpus.books.length is 'The sum of the lengths of its chunks.';

update corpus.books b
   set chunks = c.chunks, length = c.length
  from (select book_key, count(*) as chunks, sum(weight::double precision) as length
          from corpus.chunks group by book_key) c
 where c.book_key = b.book_key;

drop table corpus.postings;
alter table corpus.chunks drop column weight;

-- ANALYZE reads a sample of every column that has statistics. No plan depends on statistics of long
-- texts, documents and lists, and these columns are most of what ANALYZE would read.

alter table corpus.posting_lists
    alter chunk_keys set statistics 0,
    alter frequencies set statistics 0,
    alter lengths set statistics 0;
alter table corpus.chunks
    alter text set statistics 0,
    alter spans set statistics 0,
    alter breadcrumb set statistics 0,
    alter vector set statistics 0;
alter table corpus.editions
    alter chunks set statistics 0,
    alter nodes set statistics 0;
alter table artifact_rows alter payload set statistics 0;
