-- GET @path@
-- One row: `body` is the response, as JSON; `tags` are the ids that it depends on. No row: 404.
-- Replace this by a SELECT from tables of scripts/view.lua.
SELECT json_build_object(@pairs@)::text AS body,
       ARRAY[@values@]::text[] AS tags
