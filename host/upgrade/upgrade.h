/* upgrade: has the installed program take over from this process, or nothing at all: if the new
 * process does not get ready, this one goes on. */
#pragma once

#include "base/buffer.h"
#include "successor.h"

struct upgrade;

struct upgrade_options {
    char *const *argv; /* of this process; outlives it */
    int timeout_ms;    /* until the new process is ready */
    int stop_fd;
    /* Fills the sockets to hand over, SUCCESSOR_SOCKETS_MAX at most; returns their number. */
    size_t (*sockets)(void *context, struct successor_socket *sockets);
    /* Whether this process reaches Kafka: the new one has to, too. */
    bool (*consumes)(void *context);
    /* Before the new process joins the consumer group: leaves it if both cannot be members. */
    void (*before)(void *context);
    void (*undo)(void *context); /* after `before`: the new process did not take over */
    /* The new process has clients and partitions: stops taking new ones. */
    void (*handed_over)(void *context);
    void *context;
};

struct upgrade *upgrade_create(const struct upgrade_options *options);
void upgrade_destroy(struct upgrade *upgrade);

/* Blocks until the new process has taken over, or has failed. Appends a JSON object: done, and the
 * new process or the error. Any thread; false: nothing was changed. */
bool upgrade_run(struct upgrade *upgrade, struct buffer *json);
/* True: one is under way, or has handed over. */
bool upgrade_is_under_way(struct upgrade *upgrade);
/* Readable once this process has handed over and has to end. */
int upgrade_fd(const struct upgrade *upgrade);
