/* redis_server: connections to a model of Redis, and its crashes. A command is one step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_commands.h"

/* ---- connections --------------------------------------------------------------------------- */

/* Its number does not depend on the order in which actors connect. */
int server_connect(int actor) {
    int first = actor * CONNECTIONS_AN_ACTOR;
    if (!world->server.up) {
        return NO_CONNECTION;
    }
    for (int i = first; i < first + CONNECTIONS_AN_ACTOR; i++) {
        struct connection *connection = &world->connections[i];
        if (!connection->used) {
            memset(connection, 0, sizeof *connection);
            connection->used = connection->open = true;
            connection->actor = actor;
            return i;
        }
    }
    fputs("explore_cache: too many connections: CONNECTIONS_AN_ACTOR\n", stderr);
    abort();
}

static void forget_if_done(struct connection *connection) {
    if (!connection->open && (connection->in.len == 0 || connection->lost)) {
        memset(connection, 0, sizeof *connection);
    }
}

void server_close(int number) {
    struct connection *connection = &world->connections[number];
    connection->open = connection->subscribed = false;
    connection->out.len = 0;
    forget_if_done(connection);
}

void server_lose(int number) {
    struct connection *connection = &world->connections[number];
    connection->lost = true;
    if (connection->subscribed) {
        connection->out.len = 0;
    }
    connection->subscribed = false;
    connection->in.len = 0;
    forget_if_done(connection);
}

bool server_can_execute(int number) {
    const struct connection *connection = &world->connections[number];
    return world->server.up && connection->used && !connection->lost && connection->in.len > 0;
}

static bool matters(const struct command *command) {
    return !text_is(command->args[0], "PTTL");
}

static void execute(struct connection *connection, const struct command *command) {
    struct value reply = {0};
    redis_speaks_of = command->speaks_of;
    bool subscribes = text_is(command->args[0], "SUBSCRIBE");
    if (subscribes) {
        value_array(&reply, 0);
        connection->subscribed = true;
    } else if (text_is(command->args[0], "PING")) {
        value_array(&reply, 2);
        value_text(&reply, '$', slice_of("pong"));
        value_text(&reply, '$', slice_of(""));
    } else if (text_is(command->args[0], "EVAL")) {
        redis_run_script(command, &reply);
    } else {
        redis_run_command(command->args, command->count, &reply);
    }
    /* Earlier announcements do not arrive any more: they must have been processed. */
    connection_send(connection, &reply,
                    subscribes ? &world->server.announced : &(struct versions){{0}});
    connection->executed++;
}

void server_execute(int number) {
    struct connection *connection = &world->connections[number];
    struct wire taken;
    struct command command;
    do {
        taken.len = 2 + wire_number(connection->in.bytes);
        memcpy(taken.bytes, connection->in.bytes, (size_t)taken.len);
        wire_drop_first(&connection->in);
        wire_read_command(&taken, &command);
        execute(connection, &command);
        if (connection->in.len > 0) { /* what changes nothing and sees nothing is no step */
            wire_read_command(&connection->in, &command);
        }
    } while (connection->in.len > 0 && !matters(&command));
    forget_if_done(connection);
}

const char *server_next_command(int number) {
    static char text[64];
    struct command command;
    wire_read_command(&world->connections[number].in, &command);
    const char *name = command.args[0].data;
    int len = (int)command.args[0].len;
    if (text_is(command.args[0], "EVAL")) {
        const char *script = command.args[1].data;
        snprintf(text, sizeof text, "%s",
                 strstr(script, "SADD")     ? "store"
                 : strstr(script, "SUNION") ? "invalidate"
                 : strstr(script, "run_id") ? "greet"
                 : strstr(script, "KNOWN")  ? "forget all"
                                            : "note the counts");
    } else {
        snprintf(text, sizeof text, "%.*s", len, name);
    }
    return text;
}

bool server_knows_counts(void) {
    char key[48];
    snprintf(key, sizeof key, "ras:cache:announced:%016x", VIEW);
    int first, rows = memory_rows(&world->server.memory, slice_of(key), &first);
    for (int i = 0; i < PROCESSES; i++) {
        int64_t known = 0;
        for (int at = first; at < first + rows; at++) {
            const struct row *row = &world->server.memory.rows[at];
            if (slice_equal((struct slice){row->member, row->member_len},
                            slice_of(partition_names[i]))) {
                known = (int64_t)row->score;
            }
        }
        if (known != world->counts[i]) {
            return false;
        }
    }
    return true;
}

/* ---- failures of the server --------------------------------------------------------------- */

void server_crash(void) {
    world->server.up = false;
    world->server.time_s += 10; /* the time it takes */
    for (int i = 0; i < CONNECTIONS; i++) {
        if (world->connections[i].used) {
            server_lose(i);
        }
    }
}

void server_save(void) {
    memset(&world->server.saved, 0, sizeof world->server.saved);
    world->server.saved.count = world->server.memory.count;
    memcpy(world->server.saved.rows, world->server.memory.rows,
           (size_t)world->server.memory.count * sizeof(struct row));
    world->server.has_saved = true;
}

void server_evict(int row) {
    struct row evicted = world->server.memory.rows[row];
    memory_delete(&world->server.memory, (struct slice){evicted.key, evicted.key_len});
}
