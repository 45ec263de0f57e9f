comment on column corpus_books.length is 'The sum of the lengths of its chunks.';
comment on table corpus_editions is
    'The latest editions of each book, with which the next edition is compared.';
comment on table corpus_posting_lists is
    'The chunks of a book that contain a word; derived, written again with each edition of the book.';
comment on column corpus_posting_lists.frequencies is
    'Frequency of the word in each chunk: 5 per occurrence in its title, 2 in the titles above, 1 in '
    'its text.';
comment on column corpus_posting_lists.lengths is
    'The length of each chunk in words, weighted in the same way.';
comment on column corpus_nodes.spelling is 'Its name in letters and digits alone.';
comment on table corpus_node_chunks is 'References: a node without any is removed.';
