SELECT name FROM things ORDER BY name
