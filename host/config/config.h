/* config: config.lua as one const struct. Run once in a throwaway Lua state and checked against the
 * one table in fields.c; an unknown key, a wrong type or a value out of bounds is an error
 * naming key, file and line. Strings are owned by the struct. */
#ifndef AGG_HOST_CONFIG_CONFIG_H
#define AGG_HOST_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The most events of a shadow run: each side keeps its rejections in memory. */
#define CONFIG_CANARY_EVENTS_MAX 1000000

struct config_strings {
    char **items;
    size_t count;
};

/* Name, value pairs: librdkafka's properties, for one. */
struct config_pairs {
    char **names;
    char **values;
    size_t count;
};

struct config {
    _Atomic int refs;
    struct config_strings secret_files; /* that env_or_file has read: see renewal.h */
    struct {
        char *name;        /* SERVICE_NAME */
        char *environment; /* ENVIRONMENT */
        char *version;     /* SERVICE_VERSION: of the service; the program has one of its own */
    } service;
    struct {
        char *host;
        int port; /* 0 = a free one, logged at start */
        int loops;
        int threads;
        int max_connections;
        int states; /* pooled Lua states, each with its own database connection */
        int request_timeout_ms;
        int keep_alive_timeout_ms;
        int healthz_needs_database;
        char *api_key_header; /* names of fields of requests */
        char *caller_header;
        char *correlation_id_header;    /* and of answers */
        struct config_strings api_keys; /* secret */
        struct config_strings allowed_services;
        struct config_pairs vocabularies; /* by caller; scripts know what each says */
    } http;
    struct {
        char *brokers;
        char *group;
        char *client_id;
        char *auto_offset_reset; /* "earliest" | "latest": only for a never-seen partition */
        int session_timeout_ms;
        struct config_pairs options;
    } kafka;
    struct {
        char *url; /* secret: may hold a password */
        int connect_timeout_ms;
        int statement_timeout_ms;
    } postgres;
    struct {
        char *url; /* "" = no Redis at all */
        int timeout_ms;
        int seen_ttl_s;
    } redis;
    struct {
        int workers;
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
        int enabled; /* 0 | 1: this process publishes what is in the outbox */
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
        char *specs; /* that a reload has to pass, a folder or a file; "": none */
        int specs_timeout_s;
        int trial_s; /* 0: none */
        int trial_margin_percent;
        int canary_events;
        int canary_accept_percent;
        int memory_limit_mb;
        int handler_timeout_ms;
        int route_timeout_ms;
        int stuck_unready_s; /* both beyond the timeout */
        int stuck_exit_s;    /* 0: never */
    } scripts;
    struct {
        char *socket; /* "" = none */
        char *host;
        int port;                   /* 0 = a free one, logged at start */
        struct config_strings keys; /* secret; none: nothing listens */
    } admin;
    struct {
        char *level;
        char *format; /* "json" | "text" */
    } log;
};

/* Reads the file (environment overrides are read by the file itself with env()). NULL on error. */
struct config *config_load(const char *path, struct err *err);
/* Calls `differs` for each setting that is not the same in both; `live`: it can change while the
 * program runs. */
void config_compare(const struct config *a, const struct config *b,
                    void (*differs)(void *context, const char *section, const char *key, bool live),
                    void *context);
/* The running configuration with the fresh one's values of what can change while the program runs.
 */
struct config *config_renew(const struct config *running, const struct config *fresh);
/* Any thread; what is pointed to is immutable. */
const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config);

#endif
