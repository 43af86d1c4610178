"""The wing that makes, checks and shows the book: no method imports anything of it."""
