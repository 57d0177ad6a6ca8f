
-- citus.sql: what follows on functions.sql where the database has Citus.

-- Sequences of Citus give each node a range of its own, and messages of one key leave in the order of
-- their ids: an id begins with the microseconds since 2025. Six bits of the node's group (the upper 16 of
-- `number`) and six of the node's sequence part ids of one microsecond. The nodes' clocks must agree to
-- less than the time between two facts of one key. In PL/pgSQL: a function in SQL that is not inlined takes
-- several times as long for each row.
CREATE OR REPLACE FUNCTION aggregator_state.ordered_id(number bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (((extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 1735689600000000) << 12)
    + (((number >> 48) & 63) << 6) + (number & 63);
END
$$;

CREATE OR REPLACE FUNCTION aggregator_state.outbox_ids(wanted bigint) RETURNS SETOF bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT aggregator_state.ordered_id(nextval('aggregator_state.ids'))
    FROM generate_series(1, wanted);
END
$$;

-- The program's tables are in each transaction with the rows of a batch, and in statements with one
-- another: Citus keeps a distributed schema on one node.
CREATE OR REPLACE FUNCTION aggregator_state.distribute_program() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  wanted text;
BEGIN
  IF EXISTS (SELECT FROM pg_dist_schema WHERE schemaid = 'aggregator_state'::regnamespace) THEN
    RETURN false;
  END IF;
  CREATE SEQUENCE IF NOT EXISTS aggregator_state.ids;
  FOREACH wanted IN ARRAY '{outbox,reaction_marks}'::text[] LOOP
    EXECUTE format('ALTER TABLE aggregator_state.%I ALTER COLUMN id DROP IDENTITY IF EXISTS', wanted);
    EXECUTE format('ALTER TABLE aggregator_state.%I ALTER COLUMN id SET DEFAULT '
      'aggregator_state.ordered_id(nextval(''aggregator_state.ids''))', wanted);
  END LOOP;
  PERFORM citus_schema_distribute('aggregator_state');
  RETURN true;
END
$$;

-- Citus writes to the shards of its own node only after all others have written. Two commits with rows in common
-- that begin at different nodes lock them in opposite order, and wait for each other until Citus ends one after
-- seconds. Without that shortcut all nodes get their part of a statement at once, wherever it begins.
CREATE OR REPLACE FUNCTION aggregator_state.begin_writes() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('citus.enable_local_execution', 'off', true);
END
$$;

-- The transactions that are prepared on this node, by the names that Citus gives them.
CREATE OR REPLACE FUNCTION aggregator_state.prepared_here() RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(gid), '{}') FROM pg_prepared_xacts
  WHERE database = current_database() AND gid LIKE 'citus\_%'
$$;

-- The same of each node that has rows of the view. Citus opens a connection to each of the others, which takes
-- some milliseconds of CPU there: the rest of the nodes is not asked.
CREATE OR REPLACE FUNCTION aggregator_state.prepared_commits() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  names text[] := aggregator_state.prepared_here();
  hosts text[];
  ports integer[];
  commands text[];
  node record;
BEGIN
  SELECT array_agg(nodename), array_agg(nodeport), array_agg('SELECT aggregator_state.prepared_here()'::text)
  INTO hosts, ports, commands
  FROM pg_dist_node
  WHERE isactive AND noderole = 'primary' AND groupid <> (SELECT groupid FROM pg_dist_local_group)
    AND groupid IN (
      SELECT groupid
      FROM pg_dist_partition JOIN pg_dist_shard USING (logicalrelid) JOIN pg_dist_placement USING (shardid)
      WHERE partmethod = 'h');
  IF hosts IS NULL THEN
    RETURN names;
  END IF;
  FOR node IN SELECT * FROM master_run_on_worker(hosts, ports, commands, parallel => true) LOOP
    IF NOT node.success THEN
      RAISE EXCEPTION 'the node %:% does not say which commits are prepared: %', node.node_name,
        node.node_port, node.result USING ERRCODE = '08006';
    END IF;
    names := names || node.result::text[];
  END LOOP;
  RETURN names;
END
$$;

-- A commit over several nodes is prepared on each, and then becomes visible on one before the other: what
-- was prepared when this is called has become visible everywhere when it returns. If the node that began a
-- commit died in the middle, Citus ends the commit later.
CREATE OR REPLACE FUNCTION aggregator_state.await_commits() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  give_up_at constant timestamptz := clock_timestamp() + interval '3 seconds';
  pause_s float8 := 0.002;
  names text[] := aggregator_state.prepared_commits();
BEGIN
  WHILE cardinality(names) > 0 LOOP
    IF clock_timestamp() > give_up_at THEN
      RAISE EXCEPTION 'the commit % is prepared and has not ended for 3 s: Citus ends it within '
        'citus.recover_2pc_interval, once all nodes are there', names[1] USING ERRCODE = '55000';
    END IF;
    PERFORM pg_sleep(pause_s);
    pause_s := least(2 * pause_s, 0.1);
    names := ARRAY(SELECT unnest(names) INTERSECT SELECT unnest(aggregator_state.prepared_commits()));
  END LOOP;
END
$$;

-- Every node must name the database alike: the coordinator's values become constants. There is no
-- timeline: each node has its own.
CREATE OR REPLACE FUNCTION aggregator_state.fix_epoch() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE OR REPLACE FUNCTION aggregator_state.epoch(OUT system text, OUT database text, '
    'OUT offsets text, OUT timeline text) LANGUAGE sql STABLE AS %L',
    format('SELECT %L::text, %L::text, %L::text, ''''::text',
      (SELECT system_identifier FROM pg_control_system()),
      (SELECT oid FROM pg_database WHERE datname = current_database()),
      'aggregator_state.consumer_offsets'::regclass::oid));
END
$$;

-- The service's functions, and the program's, that other nodes lack.
CREATE OR REPLACE FUNCTION aggregator_state.distribute_functions(service oid) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
  lacking regprocedure;
BEGIN
  FOR lacking IN
    SELECT p.oid FROM pg_proc p
    WHERE p.pronamespace IN (service, 'aggregator_state'::regnamespace) AND p.prokind IN ('f', 'p')
      AND p.prorettype <> 'trigger'::regtype
      AND NOT EXISTS (SELECT FROM pg_dist_object o
        WHERE o.classid = 'pg_proc'::regclass AND o.objid = p.oid)
      AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    ORDER BY 1
  LOOP
    PERFORM create_distributed_function(lacking);
    RETURN NEXT lacking::text;
  END LOOP;
END
$$;

-- A distributed table whose column of distribution has the type and collation of this one: their rows
-- with equal values lie on one node. 'none': there is none.
CREATE OR REPLACE FUNCTION aggregator_state.distribution_mate(relation regclass, wanted name)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce((
    SELECT p.logicalrelid::text
    FROM pg_dist_partition p
    JOIN pg_attribute m ON m.attrelid = p.logicalrelid
      AND m.attname = column_to_column_name(p.logicalrelid, p.partkey)
    JOIN pg_attribute a ON a.attrelid = relation AND a.attname = wanted
      AND (a.atttypid, a.attcollation) = (m.atttypid, m.attcollation)
    WHERE p.partmethod = 'h'
    ORDER BY p.logicalrelid LIMIT 1), 'none')
$$;

-- `tables` are spread by the hash of their `columns`. Other tables of the service's schema stay on the
-- coordinator, and every node reaches them.
-- A row for each object that was not distributed before.
CREATE OR REPLACE FUNCTION aggregator_state.distribute(
  tables text[], columns text[], OUT object text, OUT place text
) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  service constant oid := (SELECT relnamespace FROM pg_class WHERE oid = 'schema_migrations'::regclass);
  relation regclass;
BEGIN
  -- in one transaction, functions may not follow on work that nodes did side by side
  PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
  IF aggregator_state.distribute_program() THEN
    object := 'aggregator_state'; place := 'one node';
    RETURN NEXT;
  END IF;
  FOR n IN 1 .. cardinality(tables) LOOP
    relation := quote_ident(tables[n])::regclass;
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = relation) THEN
      PERFORM create_distributed_table(relation, columns[n],
        colocate_with => aggregator_state.distribution_mate(relation, columns[n]));
      PERFORM truncate_local_data_after_distributing_table(relation);
      object := relation; place := format('all nodes, by %s', columns[n]);
      RETURN NEXT;
    END IF;
  END LOOP;
  FOR relation IN
    SELECT c.oid FROM pg_class c
    WHERE c.relnamespace = service AND c.relkind = 'r'
      AND NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = c.oid)
      AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname
  LOOP
    object := relation; place := 'the coordinator'; -- before: the name becomes that of a shell
    PERFORM citus_add_local_table_to_metadata(relation, cascade_via_foreign_keys => true);
    RETURN NEXT;
  END LOOP;
  PERFORM aggregator_state.fix_epoch();
  place := 'every node';
  FOR object IN SELECT f FROM aggregator_state.distribute_functions(service) f LOOP
    RETURN NEXT;
  END LOOP;
END
$$;

-- functions.sql has made epoch() that of each node: between this transaction and that of distribute()
-- nodes would name the database differently, and each audit would drop all cached responses.
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_dist_schema WHERE schemaid = 'aggregator_state'::regnamespace) THEN
    PERFORM aggregator_state.fix_epoch();
  END IF;
END $$;
