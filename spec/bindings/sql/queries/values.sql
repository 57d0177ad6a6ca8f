-- Every type that scripts see as something other than text; and what quotes hide from :names.
SELECT :text::text AS text, :boolean::boolean AS boolean, :small::int2 AS small,
  :integer::int4 AS integer, :big::int8 AS big, :single::float4 AS single, :double::float8 AS double,
  :numeric::numeric AS numeric, :json::jsonb AS json, :bytes::bytea AS bytes, :moment::timestamptz AS moment,
  ':text' AS quoted, E'\':text' AS escaped, $q$:text$q$ AS dollars /* :text /* ' */ */
