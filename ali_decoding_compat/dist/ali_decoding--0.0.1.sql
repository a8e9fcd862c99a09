-- The extension ali_decoding has no objects; slots name the library, not the extension.
\echo Use "CREATE EXTENSION ali_decoding" to load this file. \quit
