/* new: `aggregator new`. Loads what it wrote as production does, and removes it if it does not
 * load. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "new.h"
#include "base/nearest.h"
#include "http/builtin_paths.h"
#include "scaffold/scaffold.h"
#include "script/script.h"

#define MAX_NAME_BYTES 48 /* keeps generated lines within 100 columns */

bool new_check_name(const char *name, struct err *err) {
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return (len > 0 && len <= MAX_NAME_BYTES && name[len] == '\0') ||
           err_set(err, ERR_INPUT,
                   "NAME is \"%s\": it has lower-case letters, digits and _, at most %d", name,
                   MAX_NAME_BYTES);
}

static bool new_check_topic_name(const char *topic, struct err *err) {
    return script_is_topic(topic) ||
           err_set(err, ERR_INPUT,
                   "--topic is \"%s\": Kafka takes letters, digits, ., _ and -, up to 249 of them",
                   topic);
}

/* NAME with dots for _, and .v1; room for MAX_NAME_BYTES + 4. */
static void new_name_topic(const char *name, char *topic) {
    snprintf(topic, MAX_NAME_BYTES + 4, "%s.v1", name);
    for (char *at = topic; *at; at++) {
        *at = *at == '_' ? '.' : *at;
    }
}

static bool new_check_topic(const struct script_generation *generation, const char *topic,
                            struct err *err) {
    size_t count;
    if (!new_check_topic_name(topic, err)) {
        return false;
    }
    int owner = script_handler_of(generation, topic);
    return owner < 0 ||
           err_set(err, ERR_INPUT, "the topic %s is read by %s already: say another --topic", topic,
                   script_generation_handlers(generation, &count)[owner].name);
}

static bool new_check_path(const struct script_generation *generation, const char *method,
                           const char *path, struct err *err) {
    size_t count;
    if (builtin_paths_include(path)) {
        return err_set(err, ERR_INPUT, "the program itself answers %s: say another --path", path);
    }
    int owner = script_route_of(generation, method, path);
    return owner < 0 ||
           err_set(err, ERR_INPUT, "%s %s is answered by %s already: say another --path", method,
                   path, script_generation_routes(generation, &count)[owner].name);
}

static bool new_plan_handler(struct scaffold *scaffold, const struct command *command,
                             const struct script_generation *generation, struct err *err) {
    const char *name = command->words[0];
    char topic[MAX_NAME_BYTES + 4];
    new_name_topic(name, topic);
    const char *wanted = command->topic ? command->topic : topic;
    if (!new_check_topic(generation, wanted, err)) {
        return false;
    }
    struct scaffold_request request = {.kind = "handler", .name = name, .topic = wanted};
    return scaffold_fill(scaffold, &request, generation, err);
}

static bool new_check_method(const char *method, struct err *err) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return err_set(err, ERR_INPUT, "--method is \"%s\": there are GET, POST, PUT, PATCH, DELETE",
                   method);
}

static bool new_plan_route(struct scaffold *scaffold, const struct command *command,
                           const struct script_generation *generation, struct err *err) {
    const char *name = command->words[0];
    char path[MAX_NAME_BYTES + 8];
    snprintf(path, sizeof path, "/%s/{id}", name);
    const char *wanted = command->path ? command->path : path;
    const char *method = command->method ? command->method : "GET";
    if (!new_check_method(method, err) || !new_check_path(generation, method, wanted, err)) {
        return false;
    }
    struct scaffold_request request = {.kind = strcmp(method, "GET") == 0 ? "route" : "write",
                                       .name = name,
                                       .path = wanted,
                                       .method = method};
    return scaffold_fill(scaffold, &request, generation, err);
}

#define NEW_FOLLOWED                                                                               \
    "has a key of text, uuid, integer or bigint and a group with the rule first or latest, by "    \
    "which the template dates its facts"

/* `name` NULL: the first table that a reaction can follow. */
static const struct view_table *new_find_followed(const struct view *view, const char *name,
                                                  struct err *err) {
    const char *names[64];
    char hint[NEAREST_HINT_CAP];
    size_t count = 0;
    for (size_t i = 0; i < view->table_count; i++) {
        const struct view_table *table = &view->tables[i];
        if (!scaffold_can_follow(table) || count == sizeof names / sizeof *names) {
            continue;
        }
        if (!name || strcmp(table->name, name) == 0) {
            return table;
        }
        names[count++] = table->name;
    }
    if (count == 0) {
        err_set(err, ERR_INPUT,
                "no table of the view %s: declare one in scripts/view.lua, or write the reaction "
                "without this command",
                NEW_FOLLOWED);
    } else {
        err_set(err, ERR_INPUT, "--table is \"%s\", no table of the view that %s: %s", name,
                NEW_FOLLOWED, nearest_hint(hint, name, names, count));
    }
    return NULL;
}

static bool new_plan_reaction(struct scaffold *scaffold, const struct command *command,
                              const struct script_generation *generation, struct err *err) {
    const char *name = command->words[0];
    char topic[MAX_NAME_BYTES + 4];
    const struct view_table *table =
        new_find_followed(script_generation_view(generation), command->table, err);
    if (!table || (command->topic && !new_check_topic_name(command->topic, err))) {
        return false;
    }
    new_name_topic(name, topic);
    struct scaffold_request request = {.kind = "reaction",
                                       .name = name,
                                       .topic = command->topic ? command->topic : topic,
                                       .table = table};
    return scaffold_fill(scaffold, &request, generation, err);
}

typedef bool (*planner)(struct scaffold *scaffold, const struct command *command,
                        const struct script_generation *generation, struct err *err);

static bool new_plan(struct scaffold *scaffold, const struct command *command, planner planned,
                     struct err *err) {
    struct script_generation *generation = script_generation_load(command->config, 1, err);
    if (!generation) {
        return err_wrap(err, "the present scripts have to load first");
    }
    bool ok = planned(scaffold, command, generation, err);
    script_generation_unref(generation);
    return ok;
}

static bool new_write_checked(struct scaffold *scaffold, const struct config *config,
                              struct err *err) {
    if (!scaffold_write(scaffold, err)) {
        return false;
    }
    struct script_generation *generation = script_generation_load(config, 1, err);
    if (!generation) {
        scaffold_remove(scaffold);
        return err_wrap(err, "the new files do not load, and were removed");
    }
    script_generation_unref(generation);
    return true;
}

/* The spec is the second file. */
static void new_say(const struct scaffold *scaffold) {
    for (size_t i = 0; i < scaffold->count; i++) {
        printf("wrote %s\n", scaffold->files[i].path);
    }
    printf("\nIt passes as it is:\n  aggregator test %s\n"
           "Change the spec to what you want, then the script to what the spec wants; then:\n"
           "  aggregator test --coverage\n  luacheck scripts spec\n  aggregator check\n",
           scaffold->files[1].path);
}

static int new_run(const struct command *command, planner planned) {
    struct scaffold scaffold = {.count = 0};
    struct err err = {0};
    bool ok = new_check_name(command->words[0], &err) && command_check_folder(command, &err) &&
              new_plan(&scaffold, command, planned, &err) &&
              new_write_checked(&scaffold, command->config, &err);
    if (ok) {
        new_say(&scaffold);
    } else {
        fprintf(stderr, "aggregator: new: %s\n", err.text);
    }
    scaffold_free(&scaffold);
    return ok ? 0 : 1;
}

int command_new_handler(const struct command *command) {
    return new_run(command, new_plan_handler);
}

int command_new_route(const struct command *command) {
    return new_run(command, new_plan_route);
}

int command_new_reaction(const struct command *command) {
    int status = new_run(command, new_plan_reaction);
    if (status == 0) {
        printf("To see it sent, give an event a time of the last %d hours: an older fact "
               "is not sent.\n",
               command->config->outbox.horizon_hours);
    }
    return status;
}
