#include "inherited.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "late_commits.h"
#include "pipeline.h"

#define COUNT_BYTES 24

/* Of the pipeline's partitions, in the order of their names. */
struct inherited {
    struct cache_position *positions;
    size_t count;
    char (*announced)[COUNT_BYTES]; /* the counts in Redis */
    bool refused;
};

static int inherited_by_name(const void *a, const void *b) {
    const struct cache_position *one = a, *other = b;
    return strcmp(one->name, other->name);
}

static void inherited_list(struct inherited *inherited, const struct partitions *partitions) {
    *inherited = (struct inherited){
        .positions = xcalloc(partitions->count + 1, sizeof *inherited->positions),
        .announced = xcalloc(partitions->count + 1, sizeof *inherited->announced),
    };
    for (size_t i = 0; i < partitions->count; i++) {
        const struct partition *partition = &partitions->items[i];
        if (partition->position) {
            inherited->positions[inherited->count++] = (struct cache_position){
                .name = partition->position,
                .counted = (uint64_t)partition->counted,
            };
        }
    }
    qsort(inherited->positions, inherited->count, sizeof *inherited->positions, inherited_by_name);
}

static void inherited_on_counts(void *context, size_t index, const redisReply *reply) {
    struct inherited *inherited = context;
    (void)index;
    for (size_t i = 0; i < inherited->count; i++) {
        const char *announced = cache_announced(reply, inherited->count, i, "0");
        if (!announced) {
            inherited->refused = true;
            return;
        }
        snprintf(inherited->announced[i], COUNT_BYTES, "%s", announced);
        inherited->positions[i].announced = inherited->announced[i];
    }
}

static void inherited_keep_late(struct inherited *inherited) {
    size_t kept = 0;
    for (size_t i = 0; i < inherited->count; i++) {
        struct cache_position position = inherited->positions[i];
        if (strtoull(position.announced, NULL, 10) != position.counted) {
            inherited->positions[kept++] = position;
        }
    }
    inherited->count = kept;
}

static void inherited_look(struct pipeline *pipeline, struct inherited *inherited) {
    struct cache_announcement late = {
        .view = pipeline->view_epoch,
        .positions = inherited->positions,
        .position_count = inherited->count,
    };
    struct late_commits with = {
        .cache = pipeline->options.cache,
        .redis = pipeline->announcer.redis,
        .pg = pipeline->pg,
        .tells_position = pipeline->config->postgres.read_urls.count > 0,
    };
    struct err err = {0};
    bool ok = cache_append_positions_query(with.cache, with.redis, &late, &err);
    if (ok && redis_queued(with.redis) == 0) {
        return; /* no response is cached in Redis: nothing is announced */
    }
    ok = ok && redis_run(with.redis, inherited_on_counts, inherited, &err) && !inherited->refused;
    if (!ok) {
        log_debug("the announced counts of new partitions are not known",
                  LOG_TEXT("error", inherited->refused ? "an unexpected reply" : err.text));
        return;
    }
    inherited_keep_late(inherited);
    late.position_count = inherited->count;
    if (late.position_count > 0) {
        late_commits_announce(&with, &late);
    }
}

void inherited_announce(struct pipeline *pipeline) {
    struct inherited inherited;
    if (pipeline->partitions.count == 0 || !announcer_settle(pipeline)) {
        return;
    }
    inherited_list(&inherited, &pipeline->partitions);
    if (inherited.count > 0) {
        inherited_look(pipeline, &inherited);
    }
    free(inherited.positions);
    free(inherited.announced);
}
