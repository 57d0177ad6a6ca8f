#include "folders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool folders_make(const char *path, mode_t mode, struct err *err) {
    char folder[4096];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, mode) != 0 && errno != EEXIST) {
            return err_set(err, ERR_INPUT, "cannot create the folder %s: %s", folder,
                           strerror(errno));
        }
    }
    return true;
}
