/* fields: the table of settings. `aggregator config`, the checks and docs/operate/settings.md come
 * from it. */
#include "fields.h"

#define HOST_BYTES 253 /* of a name in DNS (RFC 1035) as text; addresses are shorter */

/* NOLINTBEGIN(bugprone-macro-parentheses): names of members */
#define ROW(section_, key_, kind_, standard_, ...)                                                 \
    {                                                                                              \
        .section = #section_, .key = #key_, .kind = (kind_),                                       \
        .offset = offsetof(struct config, section_.key_), .standard = (standard_), __VA_ARGS__     \
    }
#define TLS_ROW(section_, key_, kind_, standard_, ...)                                             \
    {                                                                                              \
        .section = #section_, .key = "tls_" #key_, .kind = (kind_),                                \
        .offset = offsetof(struct config, section_.tls.key_), .standard = (standard_),             \
        .live = true, __VA_ARGS__                                                                  \
    }
/* TLS of a listener. */
#define TLS_ROWS(section)                                                                          \
    TLS_ROW(section, certificate, PATH, "",                                                        \
            .help =                                                                                \
                "PEM file of the listener's certificate, then those of the CAs between it and "    \
                "the root; \"\": without TLS"),                                                    \
        TLS_ROW(section, key, PATH, "",                                                            \
                .help = "PEM file of the certificate's key, without a passphrase"),                \
        TLS_ROW(section, client_ca, PATH, "",                                                      \
                .help = "PEM file of the CAs whose client certificates are accepted; \"\": "       \
                        "clients are not asked for one"),                                          \
        TLS_ROW(section, client_names, STRINGS, "",                                                \
                .help = "names of client certificates that are accepted: DNS names, URIs, or the " \
                        "common name of one without both; none: all of tls_client_ca"),            \
        TLS_ROW(section, client_certificates, WORD, "required", .words = " required optional ",    \
                .help = "whether a client has to send a certificate where tls_client_ca is set"),  \
        TLS_ROW(section, min_version, WORD, "1.2", .words = " 1.2 1.3 ",                           \
                .help = "the oldest version of TLS")
/* NOLINTEND(bugprone-macro-parentheses) */

/* Sections stand together. */
const struct config_field config_fields[] = {
    ROW(service, name, TEXT, "aggregator", .help = "the name in log lines, metrics and /healthz"),
    ROW(service, environment, TEXT, "development",
        .help = "the environment in log lines and /healthz"),
    ROW(service, version, TEXT, "1.0.0",
        .help = "the version in /healthz, for dashboards; not the version of the program"),
    ROW(service, metric_prefix, TEXT, "ras",
        .help = "what the names of the program's metrics on /metrics begin with, before a _; the "
                "pages, the alert rules and the dashboard have the default"),
    ROW(service, upgrade_timeout_ms, INTEGER, "60000", .min = 1000, .max = 3600000,
        .help = "milliseconds until the new process of `aggregator upgrade` is ready; after them "
                "the running one goes on"),
    ROW(http, host, TEXT, "0.0.0.0", .max = HOST_BYTES,
        .help = "the name or address of the listener; \"::\": IPv4 and IPv6"),
    ROW(http, port, INTEGER, "4003", .max = 65535,
        .help = "the port of the listener; 0: a free port, which the log names"),
    ROW(http, routes, SWITCH, "true",
        .help = "false: this process only ingests; its listener answers probes, /metrics and "
                "/openapi.json"),
    ROW(http, loops, INTEGER, "2", .min = 1, .max = 64,
        .help = "threads that read requests and send responses from the process' cache"),
    ROW(http, threads, INTEGER, "16", .min = 1, .max = 4096,
        .help = "threads that wait for Redis and Postgres; more than http.states"),
    ROW(http, max_connections, INTEGER, "4096", .min = 1, .max = 1000000,
        .help = "connections; above it the server closes the one that is idle longest"),
    ROW(http, max_live_readers, INTEGER, "2000", .min = 1, .max = 1000000, .live = true,
        .help = "open streams of live routes, of http.max_connections; further ones get a 503"),
    ROW(http, live_heartbeat_ms, INTEGER, "15000", .min = 100, .max = 600000,
        .help = "milliseconds without an event until a stream gets a comment, so that no proxy "
                "ends it"),
    ROW(http, states, INTEGER, "8", .min = 1, .max = 256, .live = true,
        .help = "Lua states for requests, each with a database connection while a query runs"),
    ROW(http, request_timeout_ms, INTEGER, "10000", .min = 100, .max = 600000,
        .help = "milliseconds to receive a request, and again to send its response"),
    ROW(http, max_streams, INTEGER, "4", .min = 1, .max = 256, .live = true,
        .help = "responses that are streamed at the same time, each with a thread of http.threads "
                "and a state of http.states, of which one stays free; further ones get a 503"),
    ROW(http, stream_timeout_ms, INTEGER, "300000", .min = 100, .max = 86400000, .live = true,
        .help = "milliseconds of a streamed response; after them the connection is closed"),
    ROW(http, stream_max_mb, INTEGER, "4096", .min = 1, .max = 1000000, .live = true,
        .help = "MiB of a streamed response, before compression; after them the connection is "
                "closed"),
    ROW(http, request_bodies_max_mb, INTEGER, "64", .min = 16, .max = 65536,
        .help = "MiB of all request bodies that are received or handled, by their Content-Length; "
                "further ones get a 503"),
    ROW(http, slow_request_ms, INTEGER, "1000", .max = 600000,
        .help = "milliseconds; a request whose response takes as long is logged; 0: none"),
    ROW(http, compress_min_bytes, INTEGER, "1400", .max = 1000000000, .live = true,
        .help = "bytes; a JSON response as long is sent as gzip to a client that accepts it; 0: "
                "none"),
    ROW(http, keep_alive_timeout_ms, INTEGER, "5000", .max = 600000,
        .help = "milliseconds between two requests of a connection; 0: each response closes it"),
    ROW(http, drain_delay_ms, INTEGER, "0", .max = 600000,
        .help = "milliseconds from SIGTERM, when /readyz turns 503, until new connections are "
                "refused: as long as a balancer takes to notice"),
    ROW(http, drain_timeout_ms, INTEGER, "30000", .max = 600000,
        .help = "milliseconds after that for open connections to end by themselves"),
    ROW(http, healthz_needs_database, SWITCH, "true",
        .help = "true: /healthz is 503 while Postgres is unavailable; false: only while the "
                "process hangs"),
    ROW(http, api_key_header, HEADER, "X-Internal-API-Key",
        .help = "the request field with the API key"),
    ROW(http, caller_header, HEADER, "X-Service-ID", .help = "the request field with the caller"),
    ROW(http, correlation_id_header, HEADER, "X-Correlation-ID",
        .help = "the request field with the correlation id, which responses repeat"),
    ROW(http, api_keys, STRINGS, "", .live = true, .secret = true,
        .help = "API keys, several during a rotation; none: every request is refused"),
    ROW(http, allowed_services, STRINGS, "", .live = true,
        .help = "callers whose requests are answered; none: every request is refused"),
    ROW(http, handshake_timeout_ms, INTEGER, "5000", .min = 100, .max = 600000,
        .help = "milliseconds of a TLS handshake, also of the admin API's listener"),
    ROW(http, max_handshakes, INTEGER, "1024", .min = 1, .max = 1000000,
        .help = "TLS handshakes under way; above it the oldest is ended"),
    ROW(http, client_certificate_is_key, SWITCH, "false", .live = true,
        .help = "true: a request without an API key is admitted by its connection's client "
                "certificate (http.tls_client_ca)"),
    TLS_ROWS(http),
    ROW(http, vocabularies, PAIRS, "", .words = "must map callers to vocabularies", .live = true,
        .help = "caller to vocabulary: a vocabulary that routes declare, which replaces words of "
                "the response body"),
    ROW(kafka, brokers, BROKERS, "localhost:9092",
        .help = "brokers as host:port, separated by commas"),
    ROW(kafka, group, TEXT, "aggregator", .help = "the consumer group"),
    ROW(kafka, client_id, TEXT, "aggregator",
        .help = "the name of the clients in the logs and metrics of the brokers"),
    ROW(kafka, auto_offset_reset, WORD, "earliest", .words = " earliest latest ",
        .help = "where a partition without an offset in Postgres begins"),
    ROW(kafka, session_timeout_ms, INTEGER, "30000", .min = 1000, .max = 3600000,
        .help = "milliseconds without a heartbeat after which the group gives partitions to "
                "another member"),
    ROW(kafka, options, PAIRS, "", .words = "must map property names to strings or numbers",
        .dotted = true,
        .help = "properties of librdkafka; the worker's number is appended to group.instance.id; a "
                "changed sasl.password is applied while the program runs"),
    ROW(postgres, url, POSTGRES_URL, "postgresql://localhost:5432/aggregator",
        .help = "the database: postgresql://user:password@host:port/database"),
    ROW(postgres, read_urls, STRINGS, "", .secret = true, .urls = true,
        .help = "the databases of replicas, each like postgres.url: GET routes read from them; in "
                "all processes alike; none: everything goes to postgres.url"),
    ROW(postgres, read_max_lag_ms, INTEGER, "1000", .min = 50, .max = 600000,
        .help = "milliseconds that a read may be behind the primary"),
    ROW(postgres, read_wait_ms, INTEGER, "20", .max = 60000,
        .help = "milliseconds that a read waits for a replica to replay what was announced, before "
                "it goes to the primary"),
    ROW(postgres, connect_timeout_ms, INTEGER, "5000", .min = 100, .max = 600000,
        .help = "milliseconds to connect to one host"),
    ROW(postgres, statement_timeout_ms, INTEGER, "15000", .min = 100, .max = 3600000,
        .help = "milliseconds of one statement"),
    ROW(postgres, prepare, WORD, "auto", .words = " auto always never ",
        .help = "whether statements are kept prepared behind a pooler; auto: if the pooler keeps "
                "them; always: also behind a PgBouncer that pools by session; without a pooler "
                "they always are"),
    ROW(redis, url, REDIS_URL, "redis://localhost:6379",
        .help = "the Redis: redis://user:password@host:port/database, or "
                "redis-sentinel://user:password@host:port,host:port/primary/database; rediss:// "
                "and rediss-sentinel:// for TLS; \"\" or \"none\": without Redis responses are "
                "cached for at most one second"),
    ROW(redis, sentinel_user, TEXT, "", .live = true,
        .help = "the user of the Sentinels in redis.url; \"\": their default user"),
    ROW(redis, sentinel_password, TEXT, "", .live = true, .secret = true,
        .help = "the password of these Sentinels; \"\": they ask for none"),
    ROW(redis, tls_ca, PATH, "", .live = true,
        .help = "PEM file of the CAs whose certificates of Redis are accepted; \"\": those of the "
                "system. Each connect reads the present files"),
    ROW(redis, tls_certificate, PATH, "", .live = true,
        .help = "PEM file of this program's certificate, if Redis asks for one"),
    ROW(redis, tls_key, PATH, "", .live = true,
        .help = "PEM file of the certificate's key, without a passphrase"),
    ROW(redis, timeout_ms, INTEGER, "250", .min = 1, .max = 60000,
        .help = "milliseconds of one pipeline of commands"),
    ROW(redis, seen_ttl_s, INTEGER, "86400", .min = 1, .max = 31536000, .live = true,
        .help = "seconds that the ids of processed events are kept"),
    ROW(redis, seen_max_mb, INTEGER, "4096", .max = 1048576, .live = true,
        .help = "MiB of Redis for these ids, of all processes together; above half of it they are "
                "kept for a shorter time; 0: no bound"),
    ROW(ingest, workers, INTEGER, "1", .max = 64,
        .help = "threads that consume, each with a consumer and a database connection; 0: this "
                "process only answers requests"),
    ROW(ingest, metrics_partitions, INTEGER, "500", .max = 1900,
        .help = "partitions of this process of which each has its own lag on /metrics; a worker "
                "with more than its share has the lag of each of its topics"),
    ROW(ingest, nice, INTEGER, "10", .min = 0, .max = 19,
        .help =
            "added to the nice value of these threads, so that requests get the processor first"),
    ROW(ingest, batch_max_events, INTEGER, "4000", .min = 1, .max = 1000000, .live = true,
        .help = "events of one transaction; half as many while requests reach the database"),
    ROW(ingest, batch_max_bytes, INTEGER, "16777216", .min = 1024, .max = 268435456, .live = true,
        .help = "bytes of the events of one transaction"),
    ROW(ingest, batch_max_merge_bytes, INTEGER, "67108864", .min = 65536, .max = 1073741824,
        .live = true, .help = "bytes of memory of a batch's merges; at the limit it commits"),
    ROW(ingest, event_max_merge_bytes, INTEGER, "16777216", .min = 65536, .max = 268435456,
        .live = true,
        .help = "bytes of memory of an event's merges; above it the event is rejected"),
    ROW(ingest, breaker_share_percent, INTEGER, "50", .min = 1, .max = 100, .live = true,
        .help = "a topic waits, and alerts, if a larger share of its handler's last events was "
                "rejected; 100: never"),
    ROW(ingest, breaker_window_events, INTEGER, "100", .min = 10, .max = 100000, .live = true,
        .help = "the number of last events that the breaker judges, from 20 events on"),
    ROW(ingest, rejected_keep_hours, INTEGER, "24", .min = 1, .max = 8760, .live = true,
        .help = "hours that rejected events are kept"),
    ROW(ingest, rejected_keep_rows, INTEGER, "100000", .min = 1, .max = 10000000, .live = true,
        .help = "rejected events that are kept"),
    ROW(ingest, rejected_keep_mb, INTEGER, "1024", .min = 1, .max = 1048576, .live = true,
        .help = "MiB of the table of rejected events; above it the oldest rows are deleted"),
    ROW(outbox, enabled, SWITCH, "true", .help = "false: another process publishes the messages"),
    ROW(outbox, horizon_hours, INTEGER, "24", .min = 1, .max = 876000,
        .help = "hours after which a fact is never published"),
    ROW(outbox, keep_rows, INTEGER, "1000000", .max = 1000000000,
        .help = "rows of the outbox; above it facts past the horizon are deleted early, the oldest "
                "first"),
    ROW(cache, enabled, SWITCH, "true", .help = "whether responses are cached"),
    ROW(cache, ttl_s, INTEGER, "300", .min = 1, .max = 86400,
        .help = "seconds that a response is cached at most"),
    ROW(cache, process_max_bytes, INTEGER, "33554432", .max = 2147483647,
        .help =
            "bytes of the process' own cache, without the compressed forms of its responses, which "
            "add about a quarter; 0: Redis alone caches"),
    ROW(scripts, root, PATH, "scripts", .help = "the folder of the Lua files"),
    ROW(scripts, sql, PATH, "sql", .help = "the folder with migrations, functions and queries"),
    ROW(scripts, specs, PATH, "", .live = true,
        .help = "the specs that a reload has to pass; \"\": none"),
    ROW(scripts, specs_timeout_s, INTEGER, "120", .min = 1, .max = CONFIG_SPECS_TIMEOUT_MAX_S,
        .live = true, .help = "seconds of these specs"),
    ROW(scripts, trial_s, INTEGER, "60", .max = 86400, .live = true,
        .help = "seconds of bake time after a reload, in which a rise of rejected events rolls "
                "back; 0: none"),
    ROW(scripts, trial_margin_percent, INTEGER, "5", .max = 100, .live = true,
        .help =
            "percentage points by which the share of rejected events may rise in the bake time"),
    ROW(scripts, canary_events, INTEGER, "10000", .min = 1, .max = CONFIG_CANARY_EVENTS_MAX,
        .live = true, .help = "the number of newest events of a shadow run"),
    ROW(scripts, canary_accept_percent, INTEGER, "0", .max = 100, .live = true,
        .help = "the share of differing rows or newly rejected events that a reload with a shadow "
                "run accepts"),
    ROW(scripts, compile, SWITCH, "true", .live = true,
        .help = "whether scripts are compiled to machine code; false: they are interpreted, with "
                "the same results"),
    ROW(scripts, interpreted, STRINGS, "", .live = true,
        .help = "scripts that are interpreted all the same, such as \"handlers/x\""),
    ROW(scripts, memory_limit_mb, INTEGER, "64", .min = 1, .max = 4096, .live = true,
        .help = "MiB of one Lua state"),
    ROW(scripts, handler_timeout_ms, INTEGER, "1000", .min = 1, .max = 600000, .live = true,
        .help = "milliseconds of the handler of one event"),
    ROW(scripts, route_timeout_ms, INTEGER, "2000", .min = 1, .max = 600000, .live = true,
        .help = "milliseconds of the route of one request"),
    ROW(scripts, http_tls_ca, PATH, "", .live = true,
        .help = "PEM file of the CAs whose certificates are accepted of servers that scripts ask "
                "(http); \"\": those of the system"),
    ROW(scripts, stuck_unready_s, INTEGER, "5", .min = 1, .max = 86400, .live = true,
        .help = "seconds after its timeout at which a script that hangs in a C function makes the "
                "process unready"),
    ROW(scripts, stuck_exit_s, INTEGER, "60", .max = 86400, .live = true,
        .help = "seconds after its timeout at which such a script ends the process; 0: never"),
    ROW(admin, socket, PATH, "aggregator.sock",
        .help = "the socket of `aggregator status`, `aggregator reload` and the other commands"),
    ROW(admin, host, TEXT, "127.0.0.1", .max = HOST_BYTES,
        .help = "the name or address of the admin API over HTTP"),
    ROW(admin, port, INTEGER, "4004", .max = 65535,
        .help = "the port of the admin API over HTTP; 0: a free port, which the log names"),
    ROW(admin, keys, STRINGS, "", .secret = true,
        .help =
            "bearer keys of the admin API, several during a rotation; none: the port is closed"),
    TLS_ROWS(admin),
    ROW(log, level, WORD, "info", .words = " debug info warn warning error critical ", .live = true,
        .help = "the least severe lines that are logged"),
    ROW(log, format, WORD, "json", .words = " json text ", .live = true,
        .help = "the form of log lines; text: for people"),
};
const size_t config_field_count = sizeof config_fields / sizeof *config_fields;
