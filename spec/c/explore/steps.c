/* steps: see steps.h. */
#include <stdio.h>
#include <string.h>

#include "redis_memory.h"
#include "steps.h"

#define SETTLE_STEPS 2000

struct list {
    const struct steps_setting *setting;
    struct step *steps;
    int count;
};

static void add(struct list *list, enum step_kind kind, int who, int what) {
    if (list->count < STEPS) {
        list->steps[list->count++] = (struct step){kind, who, what, -1};
    } else {
        violation("more steps than there is room for: STEPS");
    }
}

static void add_if_left(struct list *list, int budget, enum step_kind kind, int who, int what) {
    if (world->left[budget] > 0) {
        add(list, kind, who, what);
        list->steps[list->count - 1].budget = budget;
    }
}

/* ---- enabled steps ------------------------------------------------------------------------- */

static void add_for_writer(struct list *list, int actor) {
    int process = process_of(actor);
    const struct pipeline *pipeline = world->processes[process].pipeline;
    if (writer_has_progress(process)) {
        add(list, STEP_WAKE, actor, WORK_PROGRESS);
    } else if (pipeline->announcer.under_way) {
        add_if_left(list, MAY_TIME_OUT, STEP_ANNOUNCEMENT_LATE, actor, 0);
    } else if (pipeline->announcer.caches_doubtful && world->server.up && !world->server.refuses) {
        add(list, STEP_WAKE, actor, WORK_REST_OVER);
    }
    for (int tags = 0; tags < 1 << TAGS; tags++) {
        if (world->owner[process] == process && list->setting->commits >> tags & 1) {
            add_if_left(list, MAY_COMMIT_A + process, STEP_COMMIT, actor, tags);
        }
    }
    if (world->owner[1 - process] == 1 - process) {
        add_if_left(list, MAY_TAKE_OVER, STEP_TAKE_OVER, actor, 0);
    }
}

static void add_for_reader(struct list *list, int actor) {
    int process = process_of(actor);
    for (int other = process * ACTORS_A_PROCESS + FIRST_READER; other < actor; other++) {
        if (world->actors[other].wait == WAIT_REQUEST) {
            return; /* readers are alike: the first that is idle is asked */
        }
    }
    for (int key = 0; key < list->setting->keys; key++) {
        add_if_left(list, MAY_REQUEST_A + process, STEP_REQUEST, actor, key);
    }
}

static void add_if_replied(struct list *list, int actor) {
    int connection = world->actors[actor].connection;
    if (world->connections[connection].lost || client_has_all_replies(connection)) {
        add(list, STEP_WAKE, actor, SIGNAL_GO);
    } else {
        add_if_left(list, MAY_TIME_OUT, STEP_WAKE, actor, SIGNAL_LATE);
    }
}

static bool sees_something(int auditor) {
    bool blind = mutation == NO_AUDIT && !world->processes[process_of(auditor)].audit_doubtful;
    return !blind && world->database_up && world->server.up && !world->server.refuses &&
           (world->processes[process_of(auditor)].audit_doubtful || !server_knows_counts());
}

/* A look comes a long time after the one before: when nothing else happens. */
static void add_looks(struct list *list) {
    bool nothing_else = true;
    for (int i = 0; i < list->count; i++) {
        nothing_else = nothing_else && list->steps[i].budget >= 0;
    }
    for (int actor = AUDITOR; actor < ACTORS; actor += ACTORS_A_PROCESS) {
        if (world->actors[actor].wait != WAIT_LOOK) {
            continue;
        }
        if (nothing_else && sees_something(actor)) {
            add(list, STEP_WAKE, actor, SIGNAL_GO);
        } else {
            add_if_left(list, MAY_LOOK, STEP_WAKE, actor, SIGNAL_GO);
        }
    }
}

static bool is_late(int actor) {
    int64_t now_us = START_US + world->processes[process_of(actor)].clock_us;
    return now_us >= world->actors[actor].wakes_at_us;
}

static void add_if_heard(struct list *list, int actor) {
    const struct connection *connection = &world->connections[world->actors[actor].connection];
    if (connection->out.len > 0 || connection->lost) {
        add(list, STEP_WAKE, actor, SIGNAL_GO);
    } else if (connection->silent || is_late(actor)) {
        add(list, STEP_WAKE, actor, SIGNAL_LATE);
    }
}

static void add_if(struct list *list, bool enabled, int actor) {
    if (enabled) {
        add(list, STEP_WAKE, actor, SIGNAL_GO);
    }
}

static void add_for_actor(struct list *list, int actor) {
    switch (world->actors[actor].wait) {
    case WAIT_NOTHING:
        break;
    case WAIT_TURN:
        add(list, STEP_WAKE, actor, SIGNAL_GO);
        break;
    case WAIT_REPLIES:
        add_if_replied(list, actor);
        break;
    case WAIT_MESSAGE:
        add_if_heard(list, actor);
        break;
    case WAIT_RETRY:
        add_if(list, world->server.up, actor);
        break;
    case WAIT_FLIGHT:
        add_if(list, !world->actors[actor].waits_on, actor);
        break;
    case WAIT_REQUEST:
        add_for_reader(list, actor);
        break;
    case WAIT_WORK:
        add_for_writer(list, actor);
        break;
    case WAIT_LOOK: /* add_looks */
        break;
    case WAIT_COMMIT:
        add(list, STEP_WAKE, actor, COMMIT_ENDED);
        add_if_left(list, MAY_BE_UNKNOWN, STEP_WAKE, actor, COMMIT_UNKNOWN);
        break;
    case WAIT_DATABASE:
        add_if(list, world->database_up, actor);
        break;
    }
}

static void add_for_connection(struct list *list, int number) {
    const struct connection *connection = &world->connections[number];
    if (server_can_execute(number)) {
        add(list, STEP_EXECUTE, number, 0);
    }
    if (connection->used && connection->open && !connection->lost) {
        add_if_left(list, MAY_LOSE, STEP_LOSE, number, 0);
        if (connection->subscribed && !connection->silent) {
            add_if_left(list, MAY_SILENCE, STEP_SILENCE, number, 0);
        }
    }
}

static bool is_first_row_of_key(int row) {
    const struct row *rows = world->server.memory.rows;
    return row == 0 || rows[row].key_len != rows[row - 1].key_len ||
           memcmp(rows[row].key, rows[row - 1].key, rows[row].key_len) != 0;
}

static void add_for_server(struct list *list) {
    const struct server *server = &world->server;
    if (!server->up) {
        add(list, STEP_SERVER_START, 0, 0);
        return;
    }
    add_if_left(list, MAY_CRASH, STEP_SERVER_CRASH, 0, 0);
    add_if_left(list, MAY_WIPE, STEP_SERVER_WIPE, 0, 0);
    add_if_left(list, MAY_FLUSH, STEP_SERVER_FLUSH, 0, 0);
    if (server->has_saved) {
        add_if_left(list, MAY_RESTORE, STEP_SERVER_RESTORE, 0, 0);
    } else {
        add_if_left(list, MAY_SAVE, STEP_SERVER_SAVE, 0, 0);
    }
    if (server->refuses) {
        add(list, STEP_TAKE_AGAIN, 0, 0);
    } else {
        add_if_left(list, MAY_REFUSE, STEP_REFUSE, 0, 0);
    }
    for (int row = 0; row < server->memory.count; row++) {
        if (is_first_row_of_key(row)) {
            add_if_left(list, MAY_EVICT, STEP_EVICT, row, 0);
        }
    }
}

int steps_enabled(const struct steps_setting *setting, struct step steps[STEPS]) {
    struct list list = {setting, steps, 0};
    for (int actor = 0; actor < ACTORS; actor++) {
        add_for_actor(&list, actor);
    }
    for (int connection = 0; connection < CONNECTIONS; connection++) {
        add_for_connection(&list, connection);
    }
    for (int process = 0; process < setting->processes; process++) {
        if (world->processes[process].alive) {
            add_if_left(&list, MAY_KILL, STEP_KILL, process, 0);
            add_if_left(&list, MAY_FREEZE, STEP_FREEZE, process, 0);
        } else {
            add(&list, STEP_START, process, 0);
        }
    }
    add_for_server(&list);
    if (!world->database_up) {
        add(&list, STEP_DATABASE_START, 0, 0);
    }
    add_looks(&list);
    return list.count;
}

/* ---- text of a step ------------------------------------------------------------------------ */

static const char *actor_name(int actor) {
    static char name[24];
    int role = actor % ACTORS_A_PROCESS;
    char process = (char)('A' + process_of(actor));
    if (role >= FIRST_READER) {
        snprintf(name, sizeof name, "%c.reader%d", process, role - FIRST_READER + 1);
    } else {
        static const char *const names[] = {"subscriber", "writer", "auditor"};
        snprintf(name, sizeof name, "%c.%s", process, names[role]);
    }
    return name;
}

static const char *woken_text(const struct step *step) {
    const struct actor *actor = &world->actors[step->who];
    bool late = step->what == SIGNAL_LATE;
    const struct connection *connection =
        actor->connection == NO_CONNECTION ? NULL : &world->connections[actor->connection];
    switch (actor->wait) {
    case WAIT_REPLIES:
        return late               ? "gives up waiting for Redis"
               : connection->lost ? "sees its connection lost"
                                  : "has Redis' replies";
    case WAIT_MESSAGE:
        return late               ? "received nothing for a while"
               : connection->lost ? "sees its subscription lost"
                                  : "hears what was announced";
    case WAIT_RETRY:
        return "connects again";
    case WAIT_FLIGHT:
        return "has the other request's response";
    case WAIT_COMMIT:
        return step->what == COMMIT_UNKNOWN ? "loses the database before COMMIT's end is known"
                                            : "sees the end of COMMIT";
    case WAIT_WORK:
        return step->what == WORK_REST_OVER ? "has rested, and tries again"
                                            : "goes on with its announcement";
    case WAIT_LOOK:
        return "looks at the database's counts";
    case WAIT_DATABASE:
        return "connects to the database";
    default:
        return actor->label;
    }
}

static void describe_server(const struct step *step, char text[STEP_TEXT]) {
    static const char *const texts[] = {
        [STEP_SERVER_CRASH] = "Redis crashes, but keeps its memory",
        [STEP_SERVER_WIPE] = "Redis crashes, and loses its memory",
        [STEP_SERVER_RESTORE] = "Redis crashes, and has what it had saved",
        [STEP_SERVER_FLUSH] = "Redis is flushed",
        [STEP_SERVER_START] = "Redis is there again",
        [STEP_SERVER_SAVE] = "Redis saves its memory",
        [STEP_REFUSE] = "Redis refuses writes from now on",
        [STEP_TAKE_AGAIN] = "Redis takes writes again",
        [STEP_DATABASE_START] = "the database is there",
    };
    if (step->kind == STEP_EVICT) {
        const struct row *row = &world->server.memory.rows[step->who];
        snprintf(text, STEP_TEXT, "Redis evicts %.*s", row->key_len, row->key);
    } else {
        snprintf(text, STEP_TEXT, "%s", texts[step->kind]);
    }
}

void step_describe(const struct step *step, char text[STEP_TEXT]) {
    const struct connection *connection = &world->connections[step->who];
    switch (step->kind) {
    case STEP_WAKE:
        snprintf(text, STEP_TEXT, "%s %s", actor_name(step->who), woken_text(step));
        break;
    case STEP_EXECUTE:
        snprintf(text, STEP_TEXT, "Redis executes for %s: %s", actor_name(connection->actor),
                 server_next_command(step->who));
        break;
    case STEP_REQUEST:
        snprintf(text, STEP_TEXT, "%s is asked for key %d", actor_name(step->who), step->what);
        break;
    case STEP_COMMIT:
        snprintf(text, STEP_TEXT, "%s commits%s%s%s: visible to all", actor_name(step->who),
                 step->what == 0 ? " no tag" : "", step->what & 1 ? " tag 0" : "",
                 step->what & 2 ? " tag 1" : "");
        break;
    case STEP_ANNOUNCEMENT_LATE:
        snprintf(text, STEP_TEXT, "%s gives up waiting for its announcement's end",
                 actor_name(step->who));
        break;
    case STEP_LOSE:
        snprintf(text, STEP_TEXT, "a connection of %s is lost", actor_name(connection->actor));
        break;
    case STEP_SILENCE:
        snprintf(text, STEP_TEXT, "%s hears nothing any more", actor_name(connection->actor));
        break;
    case STEP_KILL:
        snprintf(text, STEP_TEXT, "process %c is killed", 'A' + step->who);
        break;
    case STEP_FREEZE:
        snprintf(text, STEP_TEXT, "process %c was frozen for two seconds", 'A' + step->who);
        break;
    case STEP_START:
        snprintf(text, STEP_TEXT, "process %c starts", 'A' + step->who);
        break;
    case STEP_TAKE_OVER:
        snprintf(text, STEP_TEXT, "%s is given the other process' partition",
                 actor_name(step->who));
        break;
    default:
        describe_server(step, text);
    }
}

/* ---- how it happens ------------------------------------------------------------------------ */

/* An invalidation counts as received when the subscriber waits again. */
static void wake(int actor, int signal) {
    struct process *process = &world->processes[process_of(actor)];
    actor_wake(actor, signal);
    if (actor % ACTORS_A_PROCESS == SUBSCRIBER) {
        versions_raise(&process->told, &process->hears);
    }
}

static void replace_memory(const struct memory *memory) {
    struct memory *mine = &world->server.memory;
    memset(mine->rows, 0, (size_t)mine->count * sizeof *mine->rows);
    mine->count = memory->count;
    memcpy(mine->rows, memory->rows, (size_t)memory->count * sizeof *mine->rows);
}

static void crash(const struct memory *memory) {
    server_crash();
    if (memory) {
        replace_memory(memory);
    }
}

/* What was announced until now is two seconds old. */
static void freeze(struct process *process) {
    process->clock_us += 2000000;
    versions_raise(&process->told, &world->server.announced);
}

static void perform_for_server(const struct step *step) {
    static const struct memory nothing;
    switch (step->kind) {
    case STEP_SERVER_CRASH:
        crash(NULL);
        break;
    case STEP_SERVER_WIPE:
        crash(&nothing);
        break;
    case STEP_SERVER_RESTORE:
        crash(&world->server.saved);
        process_note_restored();
        break;
    case STEP_SERVER_FLUSH:
        replace_memory(&nothing);
        world->server.time_s++;
        break;
    case STEP_SERVER_START:
        world->server.up = true;
        world->server.run++;
        break;
    case STEP_SERVER_SAVE:
        server_save();
        break;
    case STEP_REFUSE:
    case STEP_TAKE_AGAIN:
        world->server.refuses = step->kind == STEP_REFUSE;
        break;
    case STEP_EVICT:
        server_evict(step->who);
        break;
    default:
        world->database_up = true;
    }
}

void step_perform(const struct step *step) {
    if (step->budget >= 0) {
        world->left[step->budget]--;
    }
    switch (step->kind) {
    case STEP_WAKE:
        wake(step->who, step->what);
        break;
    case STEP_REQUEST:
        process_ask(step->who, step->what);
        break;
    case STEP_EXECUTE:
        server_execute(step->who);
        break;
    case STEP_COMMIT:
        world->processes[process_of(step->who)].commit_tags = step->what;
        wake(step->who, WORK_COMMIT);
        break;
    case STEP_ANNOUNCEMENT_LATE:
        client_be_late(world->processes[process_of(step->who)].pipeline->announcer.redis);
        wake(step->who, WORK_PROGRESS);
        break;
    case STEP_LOSE:
        server_lose(step->who);
        break;
    case STEP_SILENCE:
        world->connections[step->who].silent = true;
        world->connections[step->who].out.len = 0;
        break;
    case STEP_KILL:
        process_kill(step->who);
        break;
    case STEP_FREEZE:
        freeze(&world->processes[step->who]);
        break;
    case STEP_START:
        process_start(step->who);
        break;
    case STEP_TAKE_OVER:
        world->owner[1 - process_of(step->who)] = process_of(step->who);
        wake(step->who, WORK_LOAD);
        break;
    default:
        perform_for_server(step);
    }
}

/* ---- quiet states -------------------------------------------------------------------------- */

bool steps_settle(const struct steps_setting *setting) {
    struct step steps[STEPS];
    for (int i = 0; i < SETTLE_STEPS; i++) {
        int count = steps_enabled(setting, steps), at = 0;
        while (at < count && steps[at].budget >= 0) {
            at++;
        }
        if (at == count) {
            return true;
        }
        step_perform(&steps[at]);
    }
    return false;
}

/* Whether it was answered at once. */
static bool ask(const struct steps_setting *setting, int process, int key) {
    int actor = process * ACTORS_A_PROCESS + FIRST_READER;
    const struct request *request = &world->processes[process].requests[0];
    if (world->actors[actor].wait != WAIT_REQUEST) {
        violation("a request of process %c is never answered", 'A' + process);
        return false;
    }
    process_ask(actor, key);
    bool at_once = !request->busy;
    if (!steps_settle(setting) || request->busy) {
        violation("process %c does not answer, though all is well", 'A' + process);
    }
    for (int tag = 0; tag <= key; tag++) {
        if (process_answer.of[tag] != world->database.of[tag]) {
            violation("all is done, and process %c answers key %d with version %d of tag %d; the "
                      "database has %d",
                      'A' + process, key, process_answer.of[tag], tag, world->database.of[tag]);
        }
    }
    return at_once;
}

void steps_check_quiet(const struct steps_setting *setting) {
    memset(world->left, 0, sizeof world->left);
    for (int process = 0; process < setting->processes; process++) {
        for (int key = 0; key < setting->keys; key++) {
            ask(setting, process, key);
            if (!ask(setting, process, key)) {
                violation("all is done, and process %c keeps no response", 'A' + process);
            }
        }
    }
}
