/* spec_support: spec/support, which the binary carries: a service of its own needs no copy. */
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "script/bundle_disk.h"
#include "spec_private.h"

struct spec_support_file {
    const char *name; /* "doubles/pg" */
    const unsigned char *text;
    size_t len;
};

#include "spec_support_files.h"

static void spec_support_add(struct bundle *bundle) {
    size_t own = bundle->count;
    for (size_t i = 0; i < sizeof spec_support_files / sizeof *spec_support_files; i++) {
        const struct spec_support_file *file = &spec_support_files[i];
        struct buffer path = {0}, text = {0};
        bool replaced = false;
        for (size_t k = 0; k < own && !replaced; k++) {
            replaced = strcmp(bundle->files[k].name, file->name) == 0;
        }
        if (!replaced) {
            buffer_append_format(&path, "built-in/%s.lua", file->name);
            buffer_append(&text, file->text, file->len);
            bundle_append(bundle, path.data, xstrdup(file->name), &text);
        }
        buffer_free(&path);
    }
    bundle_finish(bundle);
}

bool spec_support_read(struct bundle *bundle, const char *folder, struct err *err) {
    struct bundle_folders folders = {.scripts = folder};
    bool ok = access(folder, F_OK) != 0 || bundle_disk_read(bundle, &folders, err);
    if (ok) {
        spec_support_add(bundle);
    }
    return ok;
}
