/* config: the settings as one immutable struct, which owns its strings. Each comes from the first
 * of these that has it: a variable AGGREGATOR_SECTION_KEY, the file, the files that it `extends`,
 * the default (fields.c). An unknown key, a wrong type or a value out of bounds is an error with
 * key, file and line. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "bindings/kafka_settings.h"
#include "base/err.h"

#define CONFIG_PATH_VARIABLE "AGGREGATOR_CONFIG"

/* The most events of a shadow run: each side keeps its rejections in memory. */
#define CONFIG_CANARY_EVENTS_MAX 1000000
#define CONFIG_SPECS_TIMEOUT_MAX_S 3600

struct config_strings {
    char **items;
    size_t count;
};

struct config_pairs {
    char **names;
    char **values;
    size_t count;
};

/* Where a value comes from. Both empty: the default. */
struct config_origin {
    struct config_strings files;     /* "path:line"; several: maps are merged */
    struct config_strings variables; /* that the file reads there, or that override it */
};

/* TLS of a listener: its keys begin with "tls_". Paths are PEM files. */
struct config_tls {
    char *certificate; /* "": no TLS */
    char *key;
    char *client_ca; /* "": clients are not asked for a certificate */
    struct config_strings client_names;
    char *client_certificates; /* "required" | "optional" */
    char *min_version;         /* "1.2" | "1.3" */
};

struct config {
    _Atomic int refs;
    struct config_strings files;        /* the file, and those that it extends */
    struct config_strings secret_files; /* paths that variables NAME_FILE named: see renewal.h */
    struct config_strings warnings;     /* what is probably a mistake, each with its place */
    struct config_origin *origins;      /* of each field */
    struct {
        char *name;        /* SERVICE_NAME */
        char *environment; /* ENVIRONMENT */
        char *version;     /* SERVICE_VERSION; not the program's own version */
        char *metric_prefix;
        int upgrade_timeout_ms;
    } service;
    struct {
        char *host;
        int port;   /* 0: a free one, logged at start */
        int routes; /* 0 | 1: answers the scripts' routes */
        int loops;
        int threads;
        int max_connections;
        int max_live_readers;
        int live_heartbeat_ms;
        int states; /* Lua states of the pool, each with a database connection */
        int request_timeout_ms;
        int max_streams;
        int stream_timeout_ms; /* of a whole stream */
        int stream_max_mb;
        int request_bodies_max_mb; /* of all requests, by their Content-Length */
        int slow_request_ms;       /* 0: none is logged */
        int compress_min_bytes;    /* 0: no response is compressed */
        int keep_alive_timeout_ms;
        int drain_delay_ms;   /* from SIGTERM until the listeners close */
        int drain_timeout_ms; /* from then until connections are closed */
        int healthz_needs_database;
        char *api_key_header; /* names of request fields */
        char *caller_header;
        char *correlation_id_header;    /* of responses, too */
        struct config_strings api_keys; /* secret */
        struct config_strings allowed_services;
        int handshake_timeout_ms;
        int max_handshakes;            /* under way */
        int client_certificate_is_key; /* 0 | 1: stands for an API key that is not sent */
        struct config_tls tls;
        struct config_pairs vocabularies; /* caller to vocabulary, which scripts declare */
    } http;
    struct {
        char *brokers;
        char *group;
        char *client_id;
        char *auto_offset_reset; /* "earliest" | "latest": for a partition without an offset */
        int session_timeout_ms;
        struct config_pairs options;
    } kafka;
    struct {
        char *url;                       /* secret: may hold a password */
        struct config_strings read_urls; /* of replicas; secret likewise */
        int read_max_lag_ms;
        int read_wait_ms;
        int connect_timeout_ms;
        int statement_timeout_ms;
        char *prepare; /* "auto" | "always" | "never": behind a pooler */
    } postgres;
    struct {
        char *url; /* "": no Redis; secret: may hold a password */
        char *sentinel_user;
        char *sentinel_password; /* secret; "": none */
        char *tls_ca;            /* PEM files of rediss://; "": none */
        char *tls_certificate;
        char *tls_key;
        int timeout_ms;
        int seen_ttl_s;
        int seen_max_mb; /* 0: no bound */
    } redis;
    struct {
        int workers; /* 0: none consumes here; reactions, the outbox' relay and retention rest */
        int metrics_partitions; /* of all workers */
        int nice; /* added to that of the workers' threads and of their Kafka clients' */
        int batch_max_events;
        int batch_max_bytes;
        int batch_max_merge_bytes;
        int event_max_merge_bytes;
        int breaker_share_percent;
        int breaker_window_events;
        int rejected_keep_hours;
        int rejected_keep_rows;
        int rejected_keep_mb;
    } ingest;
    struct {
        int enabled; /* 0 | 1: this process publishes the outbox */
        int horizon_hours;
        int keep_rows;
    } outbox;
    struct {
        int enabled; /* 0 | 1 */
        int ttl_s;
        int process_max_bytes;
    } cache;
    struct {
        char *root;  /* folder of the Lua files */
        char *sql;   /* folder with migrations/ and queries/ */
        char *specs; /* folder or file of the specs that a reload has to pass; "": none */
        int specs_timeout_s;
        int trial_s; /* bake time; 0: none */
        int trial_margin_percent;
        int canary_events;
        int canary_accept_percent;
        int compile;                       /* 0 | 1: LuaJIT's compiler */
        struct config_strings interpreted; /* names of scripts that are never compiled */
        int memory_limit_mb;
        int handler_timeout_ms;
        int route_timeout_ms;
        char *http_tls_ca;   /* PEM file; "": the system's CAs */
        int stuck_unready_s; /* after the timeout */
        int stuck_exit_s;    /* after the timeout; 0: never */
    } scripts;
    struct {
        char *socket; /* "": none */
        char *host;
        int port;                   /* 0: a free one, logged at start */
        struct config_strings keys; /* secret; none: no port */
        struct config_tls tls;
    } admin;
    struct {
        char *level;
        char *format; /* "json" | "text" */
    } log;
};

/* Reads the file and those that it extends, and adds their secrets to redact.h. NULL: err has a
 * line for each problem. */
struct config *config_load(const char *path, struct err *err);
/* Where the running program is reached if config_load fails: admin.socket as far as the files
 * have it, else config_default_socket (location.h). malloc'ed. */
char *config_find_socket(const char *path);
/* NULL: unknown. Borrowed. */
const struct config_origin *config_origin_of(const struct config *config, const char *section,
                                             const char *key);
/* "FILE:LINE" (of a merged map, the last merged), the variable, or "default": for messages about a
 * value. Borrowed. */
const char *config_place_of(const struct config *config, const char *section, const char *key);
/* Calls `differs` for each different setting; `live`: a running program can apply it. */
void config_compare(const struct config *a, const struct config *b,
                    void (*differs)(void *context, const char *section, const char *key, bool live),
                    void *context);
/* A copy of `running` with the live settings of `fresh`, without secret_files and warnings. */
struct config *config_renew(const struct config *running, const struct config *fresh);
/* Borrowed from the configuration. */
struct kafka_settings config_kafka_settings(const struct config *config);
/* group.instance.id of kafka.options, which makes static members; NULL: none. */
const char *config_kafka_instance(const struct config *config);
/* Any thread. */
const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config);
