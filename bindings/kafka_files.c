#include "kafka_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/file_stamp.h"
#include "base/xalloc.h"

static bool kafka_files_is_path(const char *option) {
    return strncmp(option, "ssl.", 4) == 0 && strlen(option) > 9 &&
           strcmp(option + strlen(option) - 9, ".location") == 0;
}

static uint64_t kafka_files_stamp(const struct kafka_files *files) {
    uint64_t stamp = 1;
    for (size_t i = 0; i < files->count; i++) {
        stamp = file_stamp(files->paths[i], stamp);
    }
    return stamp;
}

void kafka_files_note(struct kafka_files *files, const struct kafka_settings *settings) {
    files->paths = xcalloc(settings->option_count + 1, sizeof *files->paths);
    for (size_t i = 0; i < settings->option_count; i++) {
        if (kafka_files_is_path(settings->option_names[i])) {
            files->paths[files->count++] = xstrdup(settings->option_values[i]);
        }
    }
    files->stamp = kafka_files_stamp(files);
}

bool kafka_files_changed(const struct kafka_files *files) {
    return kafka_files_stamp(files) != files->stamp;
}

void kafka_files_free(struct kafka_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        free(files->paths[i]);
    }
    free(files->paths);
    *files = (struct kafka_files){0};
}
