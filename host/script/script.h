/* script: the only unit that runs Lua. A generation is one consistent set of sources with its
 * manifest: immutable, reference counted. An instance is one Lua state of a generation; one thread
 * at a time owns it. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "config/config.h"
#include "extract/extract.h"
#include "view/merge.h"

#define SCRIPT_HASH_LEN 32 /* hexadecimal digits */

struct script_generation;
struct script_instance;

struct script_handler {
    const char *name; /* "handlers/order_placed" */
    const char *const *topics;
    size_t topic_count;
    const struct extract_plan *plan; /* the envelope's fields first */
    const struct extract_field *fields;
    size_t field_count;
};
/* The fields of scripts/envelope.lua that the program itself reads. They are the first fields of
 * every handler. The envelope's further fields follow, then those of the handler. */
enum script_envelope {
    ENVELOPE_EVENT_ID,       /* uuid, required */
    ENVELOPE_TIME,           /* timestamp, required: the version's time */
    ENVELOPE_CORRELATION_ID, /* string, optional */
    ENVELOPE_ROLES
};

/* A caller's own words for words of a response's body. Words that it lacks stay. JSON writes all of
 * them without escapes. */
struct script_vocabulary {
    const char *name; /* "internal" */
    const char *const *words;
    const char *const *spoken; /* the replacement of each word */
    size_t count;
};
/* The place of such words in a response, and the callers' vocabularies. */
struct script_words {
    const char *at; /* names of objects; lists between them are traversed */
    const struct script_vocabulary *vocabularies;
    size_t count;
};

/* A part of a request as a route declares it: fields as those of an event, whose paths are names of
 * query parameters or header fields, or paths in the body. */
struct script_part {
    const struct extract_plan *plan;
    const struct extract_field *fields;
    size_t field_count;
};
#define SCRIPT_BODY_BYTES 65536
struct script_body {
    struct script_part part;  /* plan NULL: the route gets the bytes as they are */
    const char *content_type; /* "application/json", without parameters */
    size_t max_bytes;
    bool ignores_unknown; /* members that no field declares; else they are refused */
};

/* A token bucket of each caller of a route. */
struct script_rate {
    int64_t interval_ns; /* between two requests in the long run; 0: unlimited */
    int64_t burst;       /* requests at once after a pause */
};

/* How responses of a cached route are kept, and what their heads say of it. */
struct script_cache {
    int ttl_s;                    /* 0: cache.ttl_s */
    int stale_while_revalidate_s; /* served for so long after ttl_s while one is refreshed */
    int stale_if_error_s;         /* … while none can be computed */
    bool stale_after_commit;      /* a commit makes one stale instead of dropping it */
    int max_age_s;                /* for clients; 0: none */
    const char *control;          /* Cache-Control of a 200; NULL: the program's own */
    const char *vary;             /* Vary of a 200, beside Accept-Encoding; NULL: none */
};

#define SCRIPT_LIVE_ANSWER "answer" /* a stream's own query parameter */
struct script_route {
    const char *name;         /* "routes/order" */
    const char *method;       /* "GET" (HEAD follows it) */
    const char *const *paths; /* "/orders/{order_id}" and aliases */
    size_t path_count;
    const char *const *live_paths; /* of the streams of changes */
    size_t live_count;             /* 0: not live */
    const char *endpoint;          /* metrics label */
    bool authenticated;
    bool writes;            /* a GET that writes to Postgres: it never asks a replica */
    bool streams;           /* may return `stream` */
    const char *cache_key;  /* "order:{order_id}" or NULL */
    const char *cache_type; /* metrics label */
    struct script_cache cache;
    const struct script_words *words;  /* NULL: all callers read the same */
    const struct script_part *query;   /* NULL: any parameter, as text */
    const struct script_part *headers; /* NULL: none are passed */
    struct script_rate rate;
    const struct script_body *body; /* NULL: a request with a body is refused */
};

/* A table that a reaction follows, and the column that holds the reaction's key. */
#define SCRIPT_FOLLOWS_KEY (-1)
struct script_follow {
    const char *table, *column;
    size_t table_index; /* in the view */
    int group;          /* SCRIPT_FOLLOWS_KEY: the column is part of the table's key */
    size_t at;          /* in the group or the key */
    enum view_type type;
};
/* A column of the row that a reaction reads by a literal name. */
struct script_read {
    const char *column;
    int line;
    const struct script_read *next;
};
struct script_reaction {
    const char *name;                    /* "reactions/results_ready" */
    const struct script_follow *follows; /* in order of their tables */
    size_t follow_count;
    const char *query; /* a file of sql/queries, with the one parameter :keys */
    const struct script_read *reads;
};

/* Reads the Lua files under scripts.root and the queries under scripts.sql at one moment, and
 * compiles and checks them in a new state. NULL: err names file, line and remedy. */
struct script_generation *script_generation_load(const struct config *config, uint64_t number,
                                                 struct err *err);
/* Also waits until a copy of files under way has ended, and requires a handler, a route and the
 * configured vocabularies. */
struct script_generation *script_generation_load_service(const struct config *config,
                                                         uint64_t number, struct err *err);
/* The sources on disk, unchecked: for script_generation_source, _hash and _unref, and for
 * lint_generation. */
struct script_generation *script_generation_read(const struct config *config, struct err *err);
/* The hash of the sources on disk, unchecked. */
bool script_sources_hash(const struct config *config, char hash[SCRIPT_HASH_LEN + 1],
                         struct err *err);
/* One file. Names have no ending: "handlers/x", "queries/y". */
struct script_source {
    const char *name;
    const char *path;
    struct slice text;
};
/* Builds a generation from stored sources, which are copied, instead of the disk. */
struct script_generation *script_generation_restore(const struct config *config, uint64_t number,
                                                    const struct script_source *sources,
                                                    size_t count, struct err *err);
/* Whether it has what its settings name; a load of the service checks it, a restore does not. */
bool script_generation_fits(const struct script_generation *generation, struct err *err);
/* Iterates over its files, in order of their names. False: no such index. */
bool script_generation_source(const struct script_generation *generation, size_t index,
                              struct script_source *source);
struct script_generation *script_generation_ref(struct script_generation *generation);
void script_generation_unref(struct script_generation *generation);
uint64_t script_generation_number(const struct script_generation *generation);
/* The settings at its load. */
const struct config *script_generation_config(const struct script_generation *generation);
const char *script_generation_hash(const struct script_generation *generation); /* 32 hex digits */
const struct view *script_generation_view(const struct script_generation *generation);
const struct script_handler *script_generation_handlers(const struct script_generation *generation,
                                                        size_t *count);
/* The fields of scripts/envelope.lua; none: no handler needs them. */
const struct extract_field *script_generation_envelope(const struct script_generation *generation,
                                                       size_t *count);
/* Events that live ingestion has committed with these scripts. Any thread. */
struct script_counts {
    uint64_t handled, rejected; /* `handled` includes `rejected` */
};
void script_generation_count(struct script_generation *generation, struct script_counts more);
struct script_counts script_generation_counts(const struct script_generation *generation);
/* Whether Kafka allows the topic's name. */
bool script_is_topic(const char *name);
/* Index of the topic's handler; -1: none. */
int script_handler_of(const struct script_generation *generation, const char *topic);
/* openapi.json beside the scripts. False: there is none. */
bool script_generation_api(const struct script_generation *generation,
                           struct script_source *source);
/* Iterates over the files of sql/queries. False: no such index. */
struct script_query {
    const char *path;
    const char *text;
};
bool script_generation_query(const struct script_generation *generation, size_t index,
                             struct script_query *query);
/* The statement sql/queries/NAME.sql. False: missing. */
bool script_find_query(const struct script_generation *generation, const char *name,
                       struct script_query *query);
/* Line of the view that declares a table, or a column (otherwise NULL) of it. */
int script_view_place(const struct script_generation *generation, const char *table,
                      const char *column, const char **path);
/* Calls `changed` with the path of every file that was added, removed or modified. */
void script_generation_compare(const struct script_generation *old,
                               const struct script_generation *new,
                               void (*changed)(void *context, const char *path), void *context);
const struct script_route *script_generation_routes(const struct script_generation *generation,
                                                    size_t *count);
const struct script_reaction *
script_generation_reactions(const struct script_generation *generation, size_t *count);
/* Index of the reaction ("reactions/x"); -1: none. */
int script_reaction_of(const struct script_generation *generation, const char *name);
/* Whether both patterns match the same paths: names of parameters are ignored. */
bool script_same_paths(const char *one, const char *other);
/* Index of the route for the method and the pattern's paths; -1: none. */
int script_route_of(const struct script_generation *generation, const char *method,
                    const char *path);

/* Limits the metrics page to what these scripts declare, and to the series of their handlers,
 * routes and reactions. */
void script_generation_show_metrics(const struct script_generation *generation);

/* How a dry run opens the states of a generation. */
struct script_states {
    bool read_only;   /* transactions of Postgres are read-only, and are rolled back */
    const char *asks; /* the one binding ("pg") that muted states may ask; NULL: none */
    /* Called in each open state before its scripts load; NULL: nothing. */
    bool (*prepare)(void *context, struct script_instance *instance, struct err *err);
    void *context;
};
/* For states created from now on. Borrowed. */
void script_generation_set_states(struct script_generation *generation,
                                  const struct script_states *states);
struct script_instance *script_instance_create(struct script_generation *generation,
                                               struct err *err);
void script_instance_destroy(struct script_instance *instance);
/* Cuts the state off from outside systems: records for Kafka count as delivered, other calls fail
 * ("unavailable") with the reason, which is borrowed, and no metric moves. */
void script_instance_mute(struct script_instance *instance, const char *reason);
/* The binding, such as "http", whose reply the last handler call of a muted instance lacked: live
 * ingestion may process the event differently. NULL: none. */
const char *script_instance_rests_on(const struct script_instance *instance);
/* Ids that the last handler call of a muted instance touched, the last first; in the merge's arena.
 */
struct script_touch {
    struct slice id;
    const struct script_touch *before;
};
const struct script_touch *script_instance_touches(const struct script_instance *instance);
/* False after a limit was hit: replace the instance. */
bool script_instance_healthy(const struct script_instance *instance);

enum script_result {
    SCRIPT_OK,
    SCRIPT_IGNORED,
    SCRIPT_ERROR,
    SCRIPT_TIMEOUT,
    SCRIPT_OUTAGE, /* an outside system is unavailable or slow; event and script are not at fault */
};

/* Runs a handler on extracted values. Its merges are staged in `merge`, which the caller accepts or
 * discards. */
enum script_result script_handle(struct script_instance *instance, size_t handler,
                                 const struct extract_value *values, struct merge *merge,
                                 struct err *err);

/* The rejection's code: "handler_error", "handler_timeout", "handler_unavailable". */
const char *script_rejection_code(enum script_result result);

struct script_pair {
    struct slice name;
    struct slice value;
};
struct pg_result; /* bindings/pg_rows.h */
struct script_published {
    struct outbox_message *messages;
    size_t count;
};
/* Copies the rows of a reaction's query into the state. */
bool script_react_to(struct script_instance *instance, size_t reaction,
                     const struct pg_result *rows, struct err *err);
/* Reads rows from JSON: an object, or a list of objects. null leaves a column out; an object, or a
 * list with one, becomes its text, as a json column does. False: ERR_INPUT. */
bool script_react_to_json(struct script_instance *instance, size_t reaction, struct slice json,
                          int *row_count, struct err *err);
/* Calls the reaction for a row. Messages lie in the arena, their source and scripts in the
 * generation. Only SCRIPT_OK publishes. */
enum script_result script_react(struct script_instance *instance, size_t reaction, int row,
                                struct arena *arena, struct script_published *published,
                                struct err *err);

/* The values of what a route declares; in an arena, or in the request. */
struct script_inputs {
    const struct extract_value *query, *headers, *body;
    /* After a refusal, for the log: "query", "headers" or "body", and the declared path at fault;
     * NULL: none of them. */
    const char *refused_part, *refused_path;
};
/* Where the parts of a streamed response go. Called on script_answer's thread. */
struct script_response;
struct script_sink {
    void *context;
    /* The response's status and headers are known; the parts follow. */
    void (*begin)(void *context, const struct script_response *response);
    /* May wait for the client. NULL, or why it takes no more parts: a literal. */
    const char *(*write)(void *context, struct slice part);
};
/* The parts of a response, where no client takes them. */
#define SCRIPT_PARTS_BYTES (16UL * 1024 * 1024)
struct script_parts {   /* begin: {0}, or {.cuts = true} */
    struct buffer body; /* one after the other */
    struct buffer lens; /* a size_t each */
    bool cuts;          /* over SCRIPT_PARTS_BYTES bytes are dropped; else the write fails */
    size_t dropped;     /* bytes */
};
struct script_sink script_parts_sink(struct script_parts *parts);
void script_parts_free(struct script_parts *parts);
struct script_request {
    size_t route;
    const struct script_pair *params; /* path parameters, decoded */
    size_t param_count;
    const struct script_pair *query; /* decoded */
    size_t query_count;
    const struct script_pair *headers; /* in any spelling, each name once; undeclared ones may be
                                          among them */
    size_t header_count;
    struct slice body;           /* of a route that declares one */
    struct script_inputs inputs; /* of script_read_inputs */
    const char *correlation_id;
    struct slice traceparent; /* as traceparent_read returns it */
    const struct script_sink
        *sink; /* of a streamed response; NULL: its parts are not made (HEAD) */
};
/* The headers of a response that is not cached. */
struct script_headers {
    char *lines; /* malloc'ed, each with CRLF; NULL: none */
    bool has_content_type, has_cache_control, has_retry_after;
};
struct script_response {
    int status;
    struct script_headers headers;
    bool is_stream;    /* its parts went to the request's sink; there is no body */
    struct slice body; /* malloc'ed; script_response_free frees it with headers.lines and tags */
    uint64_t *tags;    /* surrogate keys: hash64 of the ids that the body depends on */
    size_t tag_count;
    struct buffer tag_texts; /* of a muted state: the ids, as elements of a JSON list */
};
void script_response_free(struct script_response *response);
/* Whether the route declares all of these query parameters, if it declares any. False: ERR_INPUT,
 * for the client, with the nearest name. */
bool script_query_known(const struct script_route *route, const struct script_pair *query,
                        size_t count, struct err *err);
/* Of a cached route, cache_key.c: the key with the values of the path, and of the declared query
 * parameters and headers. False: it is too long to be one. */
bool script_cache_key(const struct script_route *route, const struct script_request *request,
                      struct buffer *key);
/* Appends the values of declared query parameters and headers, percent-encoded, in the order of
 * their declaration: "?limit=5&status=done#Accept-Language=sv"; nothing where none is sent. */
void script_append_variant(const struct script_route *route, const struct script_request *request,
                           struct buffer *text);
/* Checks query, headers and body by the route's declaration and sets request->inputs. False:
 * ERR_INPUT, a sentence for the client. Touches no Lua state. */
bool script_read_inputs(const struct script_route *route, struct script_request *request,
                        struct arena *arena, struct err *err);
/* The request's inputs must have been read. SCRIPT_OUTAGE: the route returned `unavailable`; err
 * has its text, and there is no response. */
enum script_result script_answer(struct script_instance *instance,
                                 const struct script_request *request,
                                 struct script_response *response, struct err *err);
/* From now on `print` of any script writes plain lines to standard error, for authors, also in
 * muted states; else it logs, at a bounded rate. Call it before scripts load. */
void script_print_plainly(void);
/* Runs one incremental step of the garbage collector; between batches. */
void script_collect_step(struct script_instance *instance);

#define SCRIPT_WAITING_METRIC "ras_script_waiting_requests"

/* A fixed set of instances of one generation, for request threads. */
struct script_pool;
struct script_pool *script_pool_create(struct script_generation *generation, struct err *err);
void script_pool_destroy(struct script_pool *pool);
/* Waits at most timeout_ms for a free instance, in order of arrival. ERR_BUSY: none came free. */
enum script_result script_pool_answer(struct script_pool *pool,
                                      const struct script_request *request, int timeout_ms,
                                      struct script_response *response, struct err *err);
