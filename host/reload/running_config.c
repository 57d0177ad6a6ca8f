/* running_config: the settings of the running program, beside those on the disk. */
#include "config/show.h"
#include "reload_private.h"

bool reload_show_config(struct reload *reload, struct slice only, bool changed, struct buffer *json,
                        struct err *err) {
    struct err disk_err = {0};
    struct config *disk = config_load(reload->options.config_path, &disk_err);
    struct change now = reload_begin(reload, "config");
    struct config_view view = {.config = script_generation_config(now.running),
                               .disk = disk,
                               .disk_error = disk ? NULL : disk_err.text,
                               .only = only,
                               .changed = changed};
    bool ok = config_show(&view, json, err);
    reload_end(&now);
    config_unref(disk);
    return ok;
}

void reload_pass_config(struct reload *reload, struct buffer *json) {
    struct err ignored = {0}; /* it has settings */
    struct change now = reload_begin(reload, "config");
    struct config_view view = {.config = script_generation_config(now.running), .plain = true};
    config_show(&view, json, &ignored);
    reload_end(&now);
}
