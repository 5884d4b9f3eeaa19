"""Readers, one file a kind of source; `neuro.data.sources` is their table. They give data as these are found."""
