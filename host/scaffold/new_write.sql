-- @method@ @path@
-- One row: `body` is the response, as JSON@about@. No row: 404.
-- Replace this by a statement that writes a table of your own, and not one of scripts/view.lua, which
-- events alone write. A client may repeat a request: INSERT … ON CONFLICT … RETURNING …
SELECT json_build_object(@pairs@)::text AS body@id@
