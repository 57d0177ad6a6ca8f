#include "spec_gate.h"

#include "base/subprocess.h"

#define OUTPUT_MAX_BYTES (16UL * 1024 * 1024)
#define SHOWN_BYTES 700 /* of the failures; err.text holds little more */

static bool spec_gate_run_specs(const char *config_path, const struct config *config, int stop_fd,
                                struct buffer *output, struct err *err) {
    const char *const arguments[] = {"test", "--config", config_path, config->scripts.specs, NULL};
    struct subprocess_options options = {
        .arguments = arguments,
        .timeout_ms = config->scripts.specs_timeout_s * 1000,
        .stop_fd = stop_fd,
        .output_max_bytes = OUTPUT_MAX_BYTES,
    };
    struct buffer errors = {0};
    int status;
    bool ok = subprocess_run(&options, output, &errors, &status, err);
    if (ok && status != 0) {
        buffer_append(output, errors.data, errors.len);
        ok = err_set(err, ERR_INPUT, "the specs fail: %.*s",
                     (int)(output->len < SHOWN_BYTES ? output->len : SHOWN_BYTES), output->data);
    } else if (!ok) {
        err_wrap(err, "the specs in %s", config->scripts.specs);
    }
    buffer_free(&errors);
    return ok;
}

static bool spec_gate_check_unchanged(const struct script_generation *generation, struct err *err) {
    char hash[SCRIPT_HASH_LEN + 1];
    return script_sources_hash(script_generation_config(generation), hash, err) &&
           (strcmp(hash, script_generation_hash(generation)) == 0 ||
            err_set(err, ERR_INPUT, "the scripts changed while the specs ran: reload again"));
}

bool spec_gate_run(const char *config_path, const struct script_generation *generation, int stop_fd,
                   struct err *err) {
    struct buffer output = {0};
    bool ok = spec_gate_run_specs(config_path, script_generation_config(generation), stop_fd,
                                  &output, err);
    buffer_free(&output);
    return ok && spec_gate_check_unchanged(generation, err);
}
