/* process: the two processes: what their threads do around the code under test. A writer does the
 * part of host/ingest/worker.c that concerns the caches: it reads the offsets, announces what their
 * former owner has not, commits, announces, and comes back to what is not announced yet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "cache/cache_internal.h"
#include "pipeline/announcement_audit.h"
#include "pipeline/inherited.h"
#include "world.h"

#define REST_US 6000000

static struct process *self(void) {
    return &world->processes[process_of(actor_running)];
}

/* ---- readers ------------------------------------------------------------------------------- */

static const struct cache_key keys[KEYS] = {
    {.text = {"k:0", 3}, .type = "test", .scripts = 1},
    {.text = {"k:1", 3}, .type = "test", .scripts = 1},
};

static int tags_of(int key) {
    return key == 0 ? 1 : 2;
}

/* The query's snapshot is taken at one moment, its reply used at a later one. It may be taken as
 * soon as Redis' replies have arrived: the time of their reading is not observable. */
static struct cached_response *compute(void *context, uint64_t **tags, size_t *tag_count,
                                       struct err *err) {
    const struct request *request = context;
    if (!request->waited) {
        actor_wait(WAIT_TURN, "queries the database");
    }
    if (!world->database_up) {
        err_set(err, ERR_UNAVAILABLE, "no database");
        return NULL;
    }
    struct versions seen = world->database;
    actor_wait(WAIT_TURN, "has the database's reply");
    *tag_count = (size_t)tags_of(request->key);
    *tags = xcalloc(*tag_count, sizeof **tags);
    for (size_t tag = 0; tag < *tag_count; tag++) {
        (*tags)[tag] = tag + 1;
    }
    return cached_response_create(200, (struct slice){(const char *)seen.of, TAGS});
}

static bool is_alone(void) {
    for (int i = 0; i < READERS; i++) {
        if (self()->requests[i].busy) {
            return false;
        }
    }
    return true;
}

/* Redis has forgotten announcements. Until a process notices that its subscription is lost, it may
 * be answered with what they have outdated. */
static bool is_led_astray(int process) {
    const struct actor *subscriber = &world->actors[process * ACTORS_A_PROCESS + SUBSCRIBER];
    return world->server.was_restored && subscriber->wait == WAIT_MESSAGE &&
           world->connections[subscriber->connection].lost;
}

void process_note_restored(void) {
    world->server.was_restored = true;
    for (int process = 0; process < PROCESSES; process++) {
        for (int i = 0; i < READERS; i++) {
            memset(&world->processes[process].requests[i].must, 0, sizeof(struct versions));
        }
    }
}

/* A process without subscription, or that could not announce, asks the database, except for a
 * request that shares another's query. */
static struct versions least_versions(void) {
    int subscriber = process_of(actor_running) * ACTORS_A_PROCESS + SUBSCRIBER;
    bool hears = world->actors[subscriber].wait == WAIT_MESSAGE;
    bool asks = !hears || self()->pipeline->announcer.caches_doubtful;
    if (is_led_astray(process_of(actor_running))) {
        return (struct versions){{0}};
    }
    return asks && is_alone() ? world->database : self()->told;
}

static void check_request(const struct request *request, struct versions got) {
    for (int tag = 0; tag < tags_of(request->key); tag++) {
        if (got.of[tag] < request->must.of[tag]) {
            violation(
                "process %c answers key %d with version %d of tag %d, though it had to know of "
                "version %d when it was asked",
                'A' + process_of(actor_running), request->key, got.of[tag], tag,
                request->must.of[tag]);
        }
    }
}

void process_note_waited(void) {
    int thread = actor_running % ACTORS_A_PROCESS - FIRST_READER;
    if (thread >= 0) {
        self()->requests[thread].waited = true;
    }
}

struct versions process_answer;

/* One request: the wait for the next one keeps no state of the last. */
static void reader_body(int actor) {
    int thread = actor % ACTORS_A_PROCESS - FIRST_READER;
    struct request *request = &self()->requests[thread];
    request->key = world->actors[actor].signal;
    request->must = least_versions();
    request->busy = true;
    struct err err = {0};
    struct cached_response *response = cache_get(self()->cache, &keys[request->key], 1000, compute,
                                                 request, &(struct cache_serving){0}, &err);
    memset(&process_answer, 0, sizeof process_answer);
    if (response) {
        memcpy(process_answer.of, response->body.data, TAGS);
        check_request(request, process_answer);
    }
    cached_response_unref(response);
    memset(request, 0, sizeof *request);
}

void process_ask(int actor, int key) {
    actor_start(actor, reader_body, WAIT_REQUEST);
    actor_wake(actor, key);
}

/* ---- writers ------------------------------------------------------------------------------- */

/* In place of host/view/merge.c: the tags of the commit that ends. */
const uint64_t *merge_tags(struct merge *merge, size_t *count) {
    (void)merge;
    struct process *me = self();
    *count = 0;
    for (int tag = 0; tag < TAGS; tag++) {
        if (me->commit_tags >> tag & 1) {
            me->tags[(*count)++] = (uint64_t)tag + 1;
        }
    }
    return me->tags;
}

/* Those of its partitions, with their counts. */
static void load_offsets(int process) {
    struct process *me = &world->processes[process];
    struct partitions *partitions = &me->pipeline->partitions;
    actor_wait(WAIT_TURN, "reads the offsets");
    me->loaded = world->database;
    partitions->count = 0;
    for (int i = 0; i < PROCESSES; i++) {
        if (world->owner[i] == process) {
            struct partition *partition = &partitions->items[partitions->count++];
            *partition = (struct partition){.position = (char *)partition_names[i],
                                            .counted = world->counts[i]};
        }
    }
    me->must_load = false;
    inherited_announce(me->pipeline);
}

/* Its own partition is its first or second. */
static size_t own_partition(const struct process *me, int process) {
    const struct partition *items = me->pipeline->partitions.items;
    return strcmp(items[0].position, partition_names[process]) == 0 ? 0 : 1;
}

/* Of one event, which has no id: its tags are those of the commit. */
static void announce(int process) {
    struct process *me = &world->processes[process];
    size_t own = own_partition(me, process);
    struct event event = {.record.partition = own, .state = EVENT_APPLIED};
    struct advance advances[PROCESSES] = {{.next = -1}, {.next = -1}};
    struct batch batch = {.events = &event,
                          .count = 1,
                          .advances = advances,
                          .advance_count = me->pipeline->partitions.count,
                          .touched = &own,
                          .touched_count = 1};
    advances[own].next = 1;
    announcer_begin(me->pipeline, &batch);
}

/* The commit has become visible; the writer learns its end later, or never. */
static void commit(int process) {
    struct process *me = &world->processes[process];
    struct versions committed = {{0}};
    for (int tag = 0; tag < TAGS; tag++) {
        if (me->commit_tags >> tag & 1) {
            committed.of[tag] = ++world->database.of[tag];
        }
    }
    world->counts[process]++;
    world->last_tags[process] = me->commit_tags;
    if (mutation_is(ANNOUNCED_BEFORE_COMMIT)) {
        return;
    }
    if (actor_wait(WAIT_COMMIT, "waits for the end of COMMIT") == COMMIT_UNKNOWN) {
        me->must_load = true;
        return;
    }
    versions_raise(&me->ended, &committed);
    versions_raise(&me->told, &committed);
    me->pipeline->partitions.items[own_partition(me, process)].counted++;
    announce(process);
}

static void writer_body(int actor) {
    int process = process_of(actor);
    struct process *me = &world->processes[process];
    actor_wait(WAIT_DATABASE, "connects to the database");
    cache_set_view(me->cache, VIEW);
    for (;;) {
        if (me->must_load) {
            load_offsets(process);
        }
        announcer_progress(me->pipeline);
        switch (actor_wait(WAIT_WORK, "is idle")) {
        case WORK_COMMIT:
            if (mutation_is(ANNOUNCED_BEFORE_COMMIT)) {
                me->pipeline->partitions.items[own_partition(me, process)].counted++;
                announce(process);
                actor_wait(WAIT_TURN, "sends COMMIT");
            }
            commit(process);
            break;
        case WORK_REST_OVER:
            if (me->pipeline->announcer.rest_until_us > START_US + me->clock_us) {
                me->clock_us += REST_US;
            }
            client_stop_resting(me->pipeline->announcer.redis);
            break;
        case WORK_LOAD:
            me->must_load = true;
            break;
        default:
            break;
        }
    }
}

bool writer_rests(int process) {
    const struct pipeline *pipeline = world->processes[process].pipeline;
    int64_t now_us = START_US + world->processes[process].clock_us;
    return redis_resting(pipeline->announcer.redis) || now_us < pipeline->announcer.rest_until_us;
}

bool writer_has_progress(int process) {
    const struct pipeline *pipeline = world->processes[process].pipeline;
    const struct redis *marks = pipeline->announcer.redis;
    if (pipeline->announcer.under_way) {
        return client_can_progress(marks);
    }
    return pipeline->announcer.caches_doubtful && !writer_rests(process);
}

/* ---- processes ----------------------------------------------------------------------------- */

static struct config settings = {.redis = {.url = (char *)"redis://127.0.0.1", .timeout_ms = 250},
                                 .cache = {.enabled = true}};
static struct script_generation *const no_generation = NULL;

static struct pipeline *make_pipeline(struct cache *cache) {
    struct pipeline *pipeline = xcalloc(1, sizeof *pipeline);
    struct err err = {0};
    pipeline->options.cache = cache;
    pipeline->generation = no_generation;
    pipeline->config = &settings;
    pipeline->view_epoch = VIEW;
    pipeline->partitions.items = xcalloc(PROCESSES, sizeof *pipeline->partitions.items);
    pipeline->announcer.redis = redis_create("", 1, &err);
    client_be_patient(pipeline->announcer.redis);
    return pipeline;
}

int process_starting = -1;

void process_start(int number) {
    static const struct cache_options options = {.redis_url = "redis://127.0.0.1",
                                                 .redis_timeout_ms = 250,
                                                 .ttl_s = 300,
                                                 .max_bytes = 1 << 20,
                                                 .enabled = true};
    struct process *process = &world->processes[number];
    struct err err = {0};
    memset(process, 0, sizeof *process);
    process->alive = true;
    process_starting = number;
    world->starts++;
    process->must_load = world->owner[number] == number;
    world_use_heap(START_HEAP(number));
    process->cache = cache_create(&options, &err);
    /* As chains have names of one state; in no tag's bucket. */
    process->cache->id = 1000 + 4 * (uint64_t)world->starts;
    process->pipeline = make_pipeline(process->cache);
    cache_start(process->cache, &err);
    audit_start(&settings, process->cache, &err);
    world_use_heap(-1);
    process_starting = -1;
    actor_start(number * ACTORS_A_PROCESS + WRITER, writer_body, WAIT_NOTHING);
    for (int i = 0; i < READERS; i++) {
        world->actors[number * ACTORS_A_PROCESS + FIRST_READER + i] =
            (struct actor){.wait = WAIT_REQUEST, .connection = NO_CONNECTION};
    }
}

/* What it has sent to Redis is executed nevertheless. */
void process_kill(int number) {
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *connection = &world->connections[i];
        if (connection->used && process_of(connection->actor) == number) {
            server_close(i);
        }
    }
    for (int i = 0; i < ACTORS_A_PROCESS; i++) {
        actor_remove(number * ACTORS_A_PROCESS + i);
    }
    world_free_heaps(number);
    memset(&world->processes[number], 0, sizeof world->processes[number]);
}
