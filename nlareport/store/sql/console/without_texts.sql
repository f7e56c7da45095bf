-- Makes of empty tables the ones that are loaded when a reader asks for figures only.
ALTER TABLE item DROP COLUMN context;
ALTER TABLE explanation DROP COLUMN text;
ALTER TABLE explanation DROP COLUMN completion;
