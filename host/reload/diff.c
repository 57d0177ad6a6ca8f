/* diff: a shadow run that replaces nothing: the running scripts beside those on the disk, or the
 * scripts on the disk interpreted and compiled. */
#include "reload_private.h"
#include "script/compiler.h"
#include "shadow_run/shadow_run.h"

static bool diff_load_modes(struct shadow_run_options *options, const struct change *change,
                            struct config *fresh, struct err *err) {
    if (!compiler_is_allowed()) {
        return err_set(err, ERR_INPUT,
                       "the system refuses to make memory executable: scripts run interpreted");
    }
    fresh->scripts.compile = false;
    options->running = from_disk_load(change, fresh, err);
    fresh->scripts.compile = true;
    options->candidate = options->running ? from_disk_load(change, fresh, err) : NULL;
    return options->candidate != NULL;
}

static bool diff_load(struct shadow_run_options *options, const struct change *change,
                      struct config *fresh, struct err *err) {
    options->running = script_generation_ref(change->running);
    options->candidate = from_disk_load(change, fresh, err);
    return options->candidate != NULL;
}

bool reload_diff(struct reload *reload, const struct reload_comparison *comparison,
                 struct buffer *json, struct err *err) {
    struct shadow_run_result result = {0};
    struct config *fresh = config_load(reload->options.config_path, err);
    struct change change = reload_begin(reload, "diff");
    struct shadow_run_options options = {.request.events = comparison->events,
                                         .stop_fd = reload->options.stop_fd};
    bool ok = fresh != NULL &&
              (comparison->by_mode ? diff_load_modes(&options, &change, fresh, err)
                                   : diff_load(&options, &change, fresh, err)) &&
              shadow_run(&options, &result, err);
    buffer_append(json, result.json.data, result.json.len);
    shadow_run_free(&result);
    script_generation_unref(options.running);
    script_generation_unref(options.candidate);
    config_unref(fresh);
    reload_end(&change);
    return ok;
}
