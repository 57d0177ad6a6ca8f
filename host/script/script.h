/* script: the only unit that runs Lua. A generation is one consistent set of sources and its
 * manifest (view, handlers, routes, reactions), immutable and reference counted; an instance is one
 * Lua state loaded from it, owned by one thread at a time. */
#ifndef AGG_HOST_SCRIPT_SCRIPT_H
#define AGG_HOST_SCRIPT_SCRIPT_H

#include "base/arena.h"
#include "config/config.h"
#include "extract/extract.h"
#include "view/merge.h"

#define SCRIPT_HASH_LEN 32 /* hexadecimal digits */

struct script_generation;
struct script_instance;

struct script_handler {
    const char *name; /* "handlers/essay_slot_assigned" */
    const char *const *topics;
    size_t topic_count;
    const struct extract_plan *plan; /* envelope fields first */
    const struct extract_field *fields;
    size_t field_count; /* envelope included */
};
/* The fields of scripts/envelope.lua that the program itself reads. They are the first fields of
 * every handler. The envelope's further fields follow, then those of the handler. */
enum script_envelope {
    ENVELOPE_EVENT_ID,       /* uuid, required */
    ENVELOPE_TIME,           /* timestamp, required: the version's time */
    ENVELOPE_CORRELATION_ID, /* string, optional */
    ENVELOPE_ROLES
};

/* What a vocabulary says for the words of an answer's body; words that it has not stay. Words are
 * texts that JSON writes as they are. */
struct script_vocabulary {
    const char *name; /* "internal" */
    const char *const *words;
    const char *const *spoken; /* for each of the words */
    size_t count;
};
/* Where an answer has words, and the vocabularies that it is answered in. */
struct script_words {
    const char
        *at; /* "batches.overall_status": names of objects; lists between them are gone through */
    const struct script_vocabulary *vocabularies;
    size_t count;
};

struct script_route {
    const char *name;         /* "routes/batch_status" */
    const char *method;       /* "GET" (HEAD follows it) */
    const char *const *paths; /* "/internal/v1/batches/{batch_id}/status" and aliases */
    size_t path_count;
    const char *endpoint; /* metrics label */
    bool authenticated;
    const char *cache_key;            /* "api:batch:{batch_id}" or NULL */
    const char *cache_type;           /* metrics label */
    const struct script_words *words; /* NULL: all callers read the same */
};

/* A table whose rows a reaction follows, and the text column of it that has the key. */
#define SCRIPT_FOLLOWS_KEY (-1)
struct script_follow {
    const char *table, *column;
    size_t table_index; /* in the view */
    int group;          /* of the table; SCRIPT_FOLLOWS_KEY: the column is one of the key */
    size_t at;          /* in the group or the key */
};
struct script_reaction {
    const char *name;                    /* "reactions/results_ready" */
    const struct script_follow *follows; /* in order of their tables */
    size_t follow_count;
    const char *query; /* a file of sql/queries, with the one parameter :keys */
};

/* Reads every Lua file under config->scripts.root and every query under config->scripts.sql at
 * once, compiles and checks them in a fresh state. NULL: err names file:line and what to do. */
struct script_generation *script_generation_load(const struct config *config, uint64_t number,
                                                 struct err *err);
/* The same of what is to run: waits for a copy that seems to be under way, and refuses a set
 * without a handler or without a route. */
struct script_generation *script_generation_load_service(const struct config *config,
                                                         uint64_t number, struct err *err);
/* The hash that a generation of what stands on the disk would have; it is not looked at further. */
bool script_sources_hash(const struct config *config, char hash[SCRIPT_HASH_LEN + 1],
                         struct err *err);
/* One file of a generation. Names have no ending: "handlers/x", "queries/y". */
struct script_source {
    const char *name;
    const char *path;
    struct slice text;
};
/* A generation of files that were kept elsewhere, copied; what stands on the disk is not read. */
struct script_generation *script_generation_restore(const struct config *config, uint64_t number,
                                                    const struct script_source *sources,
                                                    size_t count, struct err *err);
/* Its files, one after the other, in order of their names; false: there is no such index. */
bool script_generation_source(const struct script_generation *generation, size_t index,
                              struct script_source *source);
struct script_generation *script_generation_ref(struct script_generation *generation);
void script_generation_unref(struct script_generation *generation);
uint64_t script_generation_number(const struct script_generation *generation);
/* The settings that it was loaded with. */
const struct config *script_generation_config(const struct script_generation *generation);
const char *script_generation_hash(const struct script_generation *generation); /* 32 hex digits */
const struct view *script_generation_view(const struct script_generation *generation);
const struct script_handler *script_generation_handlers(const struct script_generation *generation,
                                                        size_t *count);
/* The fields of scripts/envelope.lua; none: no handler needs them. */
const struct extract_field *script_generation_envelope(const struct script_generation *generation,
                                                       size_t *count);
/* Events that live ingestion has committed as handled by these scripts. Any thread. */
struct script_counts {
    uint64_t handled, rejected; /* rejected ones are among the handled */
};
void script_generation_count(struct script_generation *generation, struct script_counts more);
struct script_counts script_generation_counts(const struct script_generation *generation);
/* Whether Kafka has topics of that name. */
bool script_is_topic(const char *name);
/* The handler that declares the topic, as an index; -1: none. */
int script_handler_of(const struct script_generation *generation, const char *topic);
/* The statements that routes name, one after the other; false: there is no such index. */
struct script_query {
    const char *path;
    const char *text;
};
bool script_generation_query(const struct script_generation *generation, size_t index,
                             struct script_query *query);
/* The statement sql/queries/NAME.sql; false: there is none. */
bool script_find_query(const struct script_generation *generation, const char *name,
                       struct script_query *query);
/* Where the view declares a table, or a column of it (otherwise NULL). Returns the line. */
int script_view_place(const struct script_generation *generation, const char *table,
                      const char *column, const char **path);
/* Calls `changed` with the path of every file that only one of two generations has, or that
 * differs. */
void script_generation_compare(const struct script_generation *old,
                               const struct script_generation *new,
                               void (*changed)(void *context, const char *path), void *context);
const struct script_route *script_generation_routes(const struct script_generation *generation,
                                                    size_t *count);
const struct script_reaction *
script_generation_reactions(const struct script_generation *generation, size_t *count);
/* The reaction of that name ("reactions/x"), as an index; -1: none. */
int script_reaction_of(const struct script_generation *generation, const char *name);
/* True for patterns that match the same paths: the names of parameters do not matter. */
bool script_same_paths(const char *one, const char *other);
/* The route that answers the method on the pattern's paths, as an index; -1: none. */
int script_route_of(const struct script_generation *generation, const char *method,
                    const char *path);

/* From now on the metrics page has what these scripts declare, and the series of their handlers and
 * routes, and of no others. */
void script_generation_show_metrics(const struct script_generation *generation);

struct script_instance *script_instance_create(struct script_generation *generation,
                                               struct err *err);
void script_instance_destroy(struct script_instance *instance);
/* From now on nothing reaches an outside system: records for Kafka count as delivered, every other
 * question fails ("unavailable") with this reason, a borrowed text. No metric moves. Handlers run
 * for effect, in a state that is not muted, only where events are ingested. */
void script_instance_mute(struct script_instance *instance, const char *reason);
/* The binding that the last handler call of a muted instance asked for an answer that is not known,
 * such as "http": what the call merged, raised or returned says nothing of what live ingestion
 * makes of the event. NULL: the call asked nothing. */
const char *script_instance_rests_on(const struct script_instance *instance);
/* The ids that the last handler call of a muted instance touched, the last one first; in the arena
 * of its merge. NULL: none, or not muted. */
struct script_touch {
    struct slice id;
    const struct script_touch *before;
};
const struct script_touch *script_instance_touches(const struct script_instance *instance);
/* False once a limit was hit: retire it (destroy, create another). */
bool script_instance_healthy(const struct script_instance *instance);

enum script_result {
    SCRIPT_OK,
    SCRIPT_IGNORED,
    SCRIPT_ERROR,
    SCRIPT_TIMEOUT,
    SCRIPT_OUTAGE, /* an outside system is away or slow, and neither the event nor the script at
                    * fault */
};

/* Runs one handler on extracted values; merges are staged in `merge` under the event's version (the
 * caller accepts or discards). */
enum script_result script_handle(struct script_instance *instance, size_t handler,
                                 const struct extract_value *values, struct merge *merge,
                                 struct err *err);

/* What a failed call is rejected under: "handler_error", "handler_timeout", "handler_unavailable".
 */
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
/* Hands the rows of a reaction's query to the state, which keeps a copy. */
bool script_react_to(struct script_instance *instance, size_t reaction,
                     const struct pg_result *rows, struct err *err);
/* The same of rows as JSON: an object, or a list of objects. What is null is no column of the row,
 * and an object, or a list with one, becomes its text, as a column of json is. False: ERR_INPUT. */
bool script_react_to_json(struct script_instance *instance, size_t reaction, struct slice json,
                          int *row_count, struct err *err);
/* Calls the reaction for one of these rows. What it wants to be published is in the arena and, its
 * source and scripts, in the generation; nothing unless SCRIPT_OK comes back. */
enum script_result script_react(struct script_instance *instance, size_t reaction, int row,
                                struct arena *arena, struct script_published *published,
                                struct err *err);

struct script_request {
    size_t route;
    const struct script_pair *params; /* path parameters, decoded */
    size_t param_count;
    const struct script_pair *query; /* decoded */
    size_t query_count;
    const char *correlation_id;
    struct slice traceparent; /* as traceparent_read returns it */
};
struct script_response {
    int status;
    struct slice body; /* malloc'ed; the caller frees body.data and tags */
    uint64_t *tags;    /* hash64 of the ids that the body depends on */
    size_t tag_count;
};
/* SCRIPT_OUTAGE: the route passed on what is unavailable; err says it, and there is no response. */
enum script_result script_answer(struct script_instance *instance,
                                 const struct script_request *request,
                                 struct script_response *response, struct err *err);
/* Shuts the garbage collector's door a little further; between batches. */
void script_collect_step(struct script_instance *instance);

#define SCRIPT_WAITING_METRIC "ras_script_waiting_requests"

/* A fixed set of instances of the present generation for request threads. */
struct script_pool;
struct script_pool *script_pool_create(struct script_generation *generation, struct err *err);
void script_pool_destroy(struct script_pool *pool);
/* Waits at most timeout_ms for a free instance, behind all that wait already, calls, gives it back
 * (or retires it). ERR_BUSY when none came free. */
enum script_result script_pool_answer(struct script_pool *pool,
                                      const struct script_request *request, int timeout_ms,
                                      struct script_response *response, struct err *err);

#endif
