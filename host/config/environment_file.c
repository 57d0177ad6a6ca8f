#include "environment_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/regular_file.h"

#define MAX_BYTES (256UL * 1024)
#define BLANKS " \t\r"
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
/* The names that were set from the file, for a process that inherits them. */
#define NAMES_VARIABLE "_AGGREGATOR_FROM_FILE"

static void environment_file_forget_inherited(void) {
    const char *names = getenv(NAMES_VARIABLE);
    char *copy = names ? strdup(names) : NULL, *rest = NULL;
    for (char *name = copy ? strtok_r(copy, " ", &rest) : NULL; name;
         name = strtok_r(NULL, " ", &rest)) {
        unsetenv(name);
    }
    unsetenv(NAMES_VARIABLE);
    free(copy);
}

/* Ends the value, and returns its start. A quoted value may begin or end with blanks. */
static char *environment_file_value(char *text) {
    text += strspn(text, BLANKS);
    size_t len = strlen(text);
    while (len > 0 && strchr(BLANKS, text[len - 1])) {
        text[--len] = '\0';
    }
    bool quoted = len > 1 && (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0];
    text[quoted ? len - 1 : len] = '\0';
    return text + quoted;
}

static bool environment_file_lists(const char *names, const char *variable) {
    size_t len = strlen(variable);
    for (const char *at = names; at && *at; at += strspn(at, " ")) {
        size_t name_len = strcspn(at, " ");
        if (name_len == len && memcmp(at, variable, len) == 0) {
            return true;
        }
        at += name_len;
    }
    return false;
}

/* Of two lines with one name the last one counts, as for systemd, which reads the file for the
 * service. False: no variable. */
static bool environment_file_set(char *line, struct buffer *names) {
    line += strspn(line, BLANKS);
    size_t len = strspn(line, NAME_BYTES);
    if (line[0] == '\0' || line[0] == '#') {
        return true;
    }
    if (len == 0 || line[len] != '=' || (line[0] >= '0' && line[0] <= '9')) {
        return false;
    }
    line[len] = '\0';
    if (!environment_file_lists(names->data, line)) {
        const char *present = getenv(line);
        if (present && present[0]) {
            return true; /* the process' own wins */
        }
        buffer_append_format(names, "%s%s", names->len ? " " : "", line);
    }
    setenv(line, environment_file_value(line + len + 1), 1);
    return true;
}

static bool environment_file_set_all(const char *path, char *text, struct err *err) {
    struct buffer names = {0};
    int number = 0;
    bool ok = true;
    for (char *line = text; ok && line; number++) {
        char *end = strchr(line, '\n');
        if (end) {
            *end = '\0';
        }
        ok = environment_file_set(line, &names);
        line = end ? end + 1 : NULL;
    }
    if (names.len > 0) {
        setenv(NAMES_VARIABLE, names.data, 1);
    }
    buffer_free(&names);
    return ok || err_set(err, ERR_INPUT, "%s:%d: must be NAME=value, or a comment behind #", path,
                         number);
}

bool environment_file_read(const char *config_path, struct err *err) {
    const char *slash = strrchr(config_path, '/');
    struct buffer path = {0}, text = {0};
    buffer_append_format(&path, "%.*senvironment", slash ? (int)(slash + 1 - config_path) : 0,
                         config_path);
    environment_file_forget_inherited();
    bool ok = access(path.data, F_OK) != 0 ||
              (regular_file_read(AT_FDCWD, path.data, path.data, MAX_BYTES, &text, err) &&
               (text.len == 0 || environment_file_set_all(path.data, text.data, err)));
    if (text.data) {
        explicit_bzero(text.data, text.cap);
    }
    buffer_free(&text);
    buffer_free(&path);
    return ok;
}

bool environment_file_has(const char *variable) {
    return environment_file_lists(getenv(NAMES_VARIABLE), variable);
}
