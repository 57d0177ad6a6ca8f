#include "location.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#define SITE_PATH "/etc/aggregator/config.lua"
#define SHARED_PATH "share/aggregator/config.lua"

/* Appends PREFIX/share/aggregator/config.lua. False: the program is not installed. */
static bool location_of_share(struct buffer *path) {
    char program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    program[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash || slash - program < 4 || strncmp(slash - 4, "/bin", 4) != 0) {
        return false;
    }
    slash[-3] = '\0';
    buffer_append_format(path, "%s" SHARED_PATH, program);
    return access(path->data, F_OK) == 0;
}

void config_find(const char *given, struct buffer *path) {
    const char *named = given ? given : getenv(CONFIG_PATH_VARIABLE);
    struct buffer share = {0};
    if (named && named[0]) {
        buffer_append_text(path, named);
    } else if (!location_of_share(&share)) {
        buffer_append_text(path, "config.lua");
    } else {
        buffer_append_text(path, access(SITE_PATH, F_OK) == 0 ? SITE_PATH : share.data);
    }
    buffer_free(&share);
}
