#include "location.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "reader.h"

#define SITE_PATH "/etc/aggregator/config.lua"
#define SITE_SOCKET "/run/aggregator/admin.sock"
#define SHARED_PATH "share/aggregator/config.lua"

/* Fills PREFIX/share/aggregator/config.lua and PREFIX/etc/aggregator/config.lua. False: the program
 * is not installed. */
static bool location_of_prefix(struct buffer *share, struct buffer *site) {
    char program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    program[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash || slash - program < 4 || strncmp(slash - 4, "/bin", 4) != 0) {
        return false;
    }
    slash[-3] = '\0';
    buffer_append_format(share, "%s" SHARED_PATH, program);
    buffer_append_format(site, "%setc/aggregator/config.lua", program);
    return access(share->data, F_OK) == 0;
}

void config_find(const char *given, struct buffer *path) {
    const char *named = given ? given : getenv(CONFIG_PATH_VARIABLE);
    struct buffer share = {0}, site = {0};
    if (named && named[0]) {
        buffer_append_text(path, named);
    } else if (!location_of_prefix(&share, &site)) {
        buffer_append_text(path, "config.lua");
    } else {
        buffer_append_text(path, access(site.data, F_OK) == 0   ? site.data
                                 : access(SITE_PATH, F_OK) == 0 ? SITE_PATH
                                                                : share.data);
    }
    buffer_free(&share);
    buffer_free(&site);
}

char *config_default_socket(const char *path) {
    static const char *const variables[] = {"AGGREGATOR_ADMIN_SOCKET", "ADMIN_SOCKET"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (value && value[0]) {
            return config_resolve(path, value);
        }
    }
    return strcmp(path, SITE_PATH) == 0 ? xstrdup(SITE_SOCKET)
                                        : config_resolve(path, "aggregator.sock");
}
