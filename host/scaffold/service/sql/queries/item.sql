-- One row: `body` is the response, as JSON. No row: 404.
SELECT json_build_object('item_id', item_id, 'state', state, 'changed_at', state_at)::text AS body
FROM items WHERE item_id = :item_id::text
